// KEXINIT: what is written, read and chosen, in both roles.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireError } from '../wire.ts';
import {
  type Negotiated,
  type Proposal,
  formatKexInit,
  guessedRight,
  mark,
  negotiate,
  parseKexInit,
} from './kexinit.ts';

const proposal: Proposal = {
  keyExchange: ['curve25519-sha256', mark.extInfoClient, mark.strictClient],
  hostKey: ['ssh-ed25519', 'rsa-sha2-512'],
  encryptionClientToServer: ['aes128-ctr', 'aes256-gcm@openssh.com'],
  encryptionServerToClient: ['aes256-ctr'],
  macClientToServer: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
  macServerToClient: ['hmac-sha2-512'],
  compressionClientToServer: ['none'],
  compressionServerToClient: ['none'],
};

function chosen(client: Partial<Proposal>, server: Partial<Proposal>): Negotiated {
  const result = negotiate({ ...proposal, ...client }, { ...proposal, ...server });
  assert.ok(!('missing' in result), `nothing in common: ${JSON.stringify(result)}`);
  return result;
}

function missing(client: Partial<Proposal>, server: Partial<Proposal>): keyof Proposal | undefined {
  const result = negotiate({ ...proposal, ...client }, { ...proposal, ...server });
  return 'missing' in result ? result.missing : undefined;
}

test('writes the message of RFC 4253, byte for byte', () => {
  const short: Proposal = {
    keyExchange: ['a'],
    hostKey: ['b', 'c'],
    encryptionClientToServer: ['d'],
    encryptionServerToClient: ['e'],
    macClientToServer: [],
    macServerToClient: ['g'],
    compressionClientToServer: ['h'],
    compressionServerToClient: ['i'],
  };
  const cookie = Buffer.alloc(16, 0xcc);
  const lists = '0000000161 00000003622c63 0000000164 0000000165 00000000 0000000167 0000000168'.replaceAll(
    ' ',
    '',
  );
  const start = `14${'cc'.repeat(16)}${lists}00000001690000000000000000`;
  assert.equal(formatKexInit(short, { cookie }).toString('hex'), `${start}0000000000`);
  const guessing = formatKexInit(short, { cookie, firstKexPacketFollows: true });
  assert.equal(guessing.toString('hex'), `${start}0100000000`);
});

test('reads what it writes', () => {
  for (const firstKexPacketFollows of [false, true]) {
    const payload = formatKexInit(proposal, { firstKexPacketFollows });
    assert.deepEqual(parseKexInit(payload), { proposal, firstKexPacketFollows });
  }
});

test('has another cookie each time', () => {
  assert.notDeepEqual(formatKexInit(proposal).subarray(1, 17), formatKexInit(proposal).subarray(1, 17));
});

test('refuses a message that is cut short or goes on', () => {
  const payload = formatKexInit(proposal);
  for (let end = 0; end < payload.length; end += 1) {
    assert.throws(() => parseKexInit(payload.subarray(0, end)), WireError);
  }
  assert.throws(() => parseKexInit(Buffer.concat([payload, Buffer.of(0)])), WireError);
});

test('chooses the first of the client that the server has, for each direction', () => {
  assert.deepEqual(
    chosen(
      {
        keyExchange: ['diffie-hellman-group14-sha256', 'mlkem768x25519-sha256', 'curve25519-sha256'],
        hostKey: ['rsa-sha2-512', 'ssh-ed25519'],
        encryptionClientToServer: ['aes256-ctr', 'aes128-ctr'],
        encryptionServerToClient: ['chacha20-poly1305@openssh.com', 'aes192-ctr'],
        macServerToClient: ['hmac-sha2-256', 'hmac-sha2-512'],
      },
      {
        keyExchange: ['curve25519-sha256', 'mlkem768x25519-sha256'],
        encryptionServerToClient: ['aes192-ctr'],
      },
    ),
    {
      keyExchange: 'mlkem768x25519-sha256',
      hostKey: 'rsa-sha2-512',
      encryptionClientToServer: 'aes128-ctr',
      encryptionServerToClient: 'aes192-ctr',
      macClientToServer: 'hmac-sha2-256-etm@openssh.com',
      macServerToClient: 'hmac-sha2-512',
      compressionClientToServer: 'none',
      compressionServerToClient: 'none',
    },
  );
});

test('chooses no MAC beside a cipher that authenticates by itself, and needs none in common', () => {
  for (const cipher of [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
  ]) {
    const one = { encryptionClientToServer: [cipher] };
    assert.equal(chosen(one, one).macClientToServer, undefined);
    assert.equal(chosen(one, one).macServerToClient, 'hmac-sha2-512');
    assert.equal(chosen(one, { ...one, macClientToServer: [] }).macClientToServer, undefined);
    assert.equal(missing(one, { ...one, macServerToClient: [] }), 'macServerToClient');
  }
  assert.equal(missing({}, { macClientToServer: [] }), 'macClientToServer');
});

test('never takes a mark for a key exchange, even one that the peer copied from us', () => {
  const marks = Object.values(mark);
  assert.equal(missing({ keyExchange: marks }, { keyExchange: marks }), 'keyExchange');
  const keyExchange = [...marks, 'curve25519-sha256'];
  assert.equal(chosen({ keyExchange }, { keyExchange }).keyExchange, 'curve25519-sha256');
});

test('chooses nothing that it could not use', () => {
  const unusable: Partial<Record<keyof Proposal, string[]>> = {
    keyExchange: ['diffie-hellman-group1-sha1', 'toString'],
    hostKey: ['ssh-rsa', 'ssh-dss', 'null'],
    encryptionClientToServer: ['none', '3des-cbc', 'constructor'],
    encryptionServerToClient: ['none', 'aes128-cbc'],
    macClientToServer: ['none', 'hmac-sha1'],
    macServerToClient: ['hmac-md5', 'toString'],
    compressionClientToServer: ['zlib', 'zlib@openssh.com'],
    compressionServerToClient: ['zlib@openssh.com'],
  };
  for (const [field, names] of Object.entries(unusable)) {
    assert.equal(missing({ [field]: names }, { [field]: names }), field);
  }
});

test('says which is the first field with nothing in common', () => {
  assert.equal(missing({ hostKey: ['ssh-ed25519'] }, { hostKey: ['rsa-sha2-256'] }), 'hostKey');
  assert.equal(missing({ keyExchange: [] }, { hostKey: [] }), 'keyExchange');
});

test('takes a guess for right only when both first choices agree', () => {
  const other = { ...proposal, keyExchange: ['ecdh-sha2-nistp256', 'curve25519-sha256'] };
  assert.ok(guessedRight(proposal, proposal));
  assert.ok(guessedRight(proposal, { ...proposal, keyExchange: ['curve25519-sha256'] }));
  assert.ok(!guessedRight(proposal, other));
  assert.ok(!guessedRight(other, proposal));
  assert.ok(!guessedRight(proposal, { ...proposal, hostKey: ['rsa-sha2-512', 'ssh-ed25519'] }));
});
