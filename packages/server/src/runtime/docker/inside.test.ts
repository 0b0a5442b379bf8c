import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readInside } from './inside.ts';

const whole = `clock 1790000000
disk 4096 1000 500 400 /gemini/code
disk 4096 0 0 0 /tmp
file 755 0 /run/berth
file 644 0 /run/berth/authorized_keys
memory.used 10485760
memory.limit 268435456
memory.cache inactive_file 1048576
memory.cache total_inactive_file 2097152
memory.kills 3
account $y$hash:20000:99999::
key ssh-ed25519 AAAA one
key 
`;

describe('what a look inside prints', () => {
  test('is read as it is', () => {
    const inside = readInside(whole);
    assert.equal(inside.clockSeconds, 1_790_000_000);
    assert.deepEqual(inside.disks, [
      { place: '/gemini/code', freeBytes: 4_096_000, inodes: 500, inodesFree: 400 },
      { place: '/tmp', freeBytes: 0, inodes: 0, inodesFree: 0 },
    ]);
    assert.deepEqual(inside.memory, { usedBytes: 10_485_760 - 2_097_152, limitBytes: 268_435_456, kills: 3 });
    assert.deepEqual(inside.account, { hash: '$y$hash', expired: null });
    assert.deepEqual(inside.files[1], { path: '/run/berth/authorized_keys', mode: 0o644, owner: 0 });
    assert.deepEqual(inside.authorizedKeys, ['ssh-ed25519 AAAA one', '']);
  });

  test('says of accounts whether they are over, as shadow(5) has it', () => {
    const expired = (fields: string) => readInside(`account h:${fields}\n`).account?.expired;
    assert.equal(expired('20000:99999::'), null);
    assert.equal(expired('20000:99999::1'), 'account');
    assert.equal(expired('0:99999::'), 'password');
    assert.equal(expired('10000:30::'), 'password');
    assert.equal(expired('10000:30:10:'), 'password');
    assert.equal(expired('10000:::'), null);
  });

  test('may lack anything, or be anything', () => {
    assert.deepEqual(readInside(''), {
      clockSeconds: null,
      disks: [],
      memory: null,
      account: null,
      files: [],
      authorizedKeys: null,
    });
    assert.equal(readInside('memory.used 5\nmemory.limit max\n').memory?.limitBytes, null);
    assert.equal(readInside('memory.used 5\nmemory.limit 9223372036854771712\n').memory?.limitBytes, null);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), fc.nat(whole.length), (noise, at) => {
        const { disks, files } = readInside(whole.slice(0, at) + noise + whole.slice(at));
        for (const { freeBytes, inodesFree } of disks)
          assert.ok(Number.isFinite(freeBytes) && Number.isInteger(inodesFree));
        for (const { mode, owner } of files) assert.ok(Number.isInteger(mode) && Number.isInteger(owner));
      }),
    );
  });
});
