// The key exchanges, each half against the other, against arithmetic of its own, and against shares that must be
// refused. key-exchange-vectors.test.ts has the published vectors, openssh.test.ts real servers.

import assert from 'node:assert/strict';
import { createHash, getDiffieHellman } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Reader, WireError, Writer } from '../wire.ts';
import { group14, group16, group18, nistp256, nistp521, x25519 } from './key-agreement.ts';
import {
  agreementHalves,
  answerKeyExchange,
  defaultKeyExchangeNames,
  exchangeHash,
  keyExchangeNames,
  startKeyExchange,
} from './key-exchange.ts';
import {
  formatKeyExchangeInit,
  formatKeyExchangeReply,
  parseKeyExchangeInit,
  parseKeyExchangeReply,
} from './key-exchange-messages.ts';

const hashNames = new Map([
  ['mlkem768x25519-sha256', 'sha256'],
  ['curve25519-sha256', 'sha256'],
  ['curve25519-sha256@libssh.org', 'sha256'],
  ['ecdh-sha2-nistp256', 'sha256'],
  ['ecdh-sha2-nistp384', 'sha384'],
  ['ecdh-sha2-nistp521', 'sha512'],
  ['diffie-hellman-group14-sha256', 'sha256'],
  ['diffie-hellman-group16-sha512', 'sha512'],
  ['diffie-hellman-group18-sha512', 'sha512'],
]);

const modpGroups = new Map([
  ['diffie-hellman-group14-sha256', { modp: 'modp14', agreement: group14 }],
  ['diffie-hellman-group16-sha512', { modp: 'modp16', agreement: group16 }],
  ['diffie-hellman-group18-sha512', { modp: 'modp18', agreement: group18 }],
]);

function refuses(name: string, share: Buffer): void {
  const client = startKeyExchange(name);
  assert.throws(() => client.sharedSecret(share), WireError);
  assert.throws(() => answerKeyExchange(name, share), WireError);
}

test('knows every exchange with its hash', () => {
  assert.deepEqual(keyExchangeNames.toSorted(), [...hashNames.keys()].toSorted());
  for (const [name, hashName] of hashNames) {
    const client = startKeyExchange(name);
    assert.equal(client.hashName, hashName);
    assert.equal(answerKeyExchange(name, client.clientShare).hashName, hashName);
  }
  for (const name of defaultKeyExchangeNames) assert.ok(keyExchangeNames.includes(name));
  assert.equal(defaultKeyExchangeNames[0], 'mlkem768x25519-sha256');
});

test('knows no other', () => {
  for (const name of ['ext-info-c', 'kex-strict-s-v00@openssh.com', 'diffie-hellman-group1-sha1', '']) {
    assert.throws(() => startKeyExchange(name), RangeError);
    assert.throws(() => answerKeyExchange(name, Buffer.alloc(32, 9)), RangeError);
  }
});

for (const name of keyExchangeNames) {
  test(`${name}: both halves come to one secret, and to another the next time`, () => {
    const clients = [startKeyExchange(name), startKeyExchange(name)];
    const [first, second] = clients.map(({ clientShare, sharedSecret }) => {
      const server = answerKeyExchange(name, clientShare);
      assert.deepEqual(sharedSecret(server.serverShare), server.sharedSecret);
      return { clientShare, ...server };
    });
    assert.notDeepEqual(first?.clientShare, second?.clientShare);
    assert.notDeepEqual(first?.serverShare, second?.serverShare);
    assert.notDeepEqual(first?.sharedSecret, second?.sharedSecret);
    // The same client share does not bring back a server's key either.
    const again = answerKeyExchange(name, clients[0]?.clientShare ?? Buffer.alloc(0));
    assert.notDeepEqual(again.serverShare, first?.serverShare);
  });

  test(`${name}: refuses shares that are empty, too short, too long or filled with one byte`, () => {
    const { clientShare } = startKeyExchange(name);
    const { serverShare } = answerKeyExchange(name, clientShare);
    for (const share of [clientShare, serverShare]) {
      refuses(name, Buffer.alloc(0));
      refuses(name, Buffer.concat([share, Buffer.alloc(8, 1)]));
      refuses(name, Buffer.concat([Buffer.of(0), share]));
      refuses(name, Buffer.alloc(35_000, 1));
      refuses(name, Buffer.alloc(share.length));
      if (!modpGroups.has(name)) refuses(name, share.subarray(0, -1));
    }
    if (!/25519/.test(name)) refuses(name, Buffer.alloc(serverShare.length, 0xff));
  });

  test(`${name}: throws nothing but WireError for any share`, () => {
    const { clientShare, sharedSecret } = startKeyExchange(name);
    const { serverShare } = answerKeyExchange(name, clientShare);
    const survives = (compute: () => unknown): void => {
      try {
        compute();
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    };
    const edit = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), (edits, end) => {
        const [toServer, toClient] = [clientShare, serverShare].map((share) => {
          const changed = Buffer.concat([share, end]);
          for (const [at, byte] of edits) changed[at % changed.length] = byte;
          return changed;
        }) as [Buffer, Buffer];
        survives(() => answerKeyExchange(name, toServer));
        survives(() => sharedSecret(toClient));
      }),
      { numRuns: modpGroups.has(name) ? 20 : 200 },
    );
  });
}

for (const [name, { modp, agreement }] of modpGroups) {
  const prime = BigInt(`0x${getDiffieHellman(modp).getPrime('hex')}`);
  const encode = (value: bigint): Buffer => new Writer().mpint(value).toBuffer().subarray(4);
  const decode = (share: Buffer): bigint => new Reader(new Writer().string(share).toBuffer()).mpint('share');
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (const bit of exponent.toString(2)) {
      result = (result * result) % prime;
      if (bit === '1') result = (result * base) % prime;
    }
    return result;
  };

  test(`${name}: computes e, f and K as the RFC says, with mpints`, () => {
    const exponent = 0xfedcba9876543210fedcba9876543210fedcba9876543210fedcba98n;
    const own = power(2n, exponent);
    const client = startKeyExchange(name);
    const expected = (share: Buffer): Buffer => new Writer().mpint(power(decode(share), exponent)).toBuffer();
    assert.deepEqual(client.sharedSecret(encode(own)), expected(client.clientShare));
    const server = answerKeyExchange(name, encode(own));
    assert.deepEqual(server.sharedSecret, expected(server.serverShare));
  });

  test(`${name}: takes 2 and p - 2, and no number outside`, () => {
    for (const value of [2n, 3n, 127n, 128n, 255n, 256n, prime - 2n]) {
      const client = startKeyExchange(name);
      assert.ok(client.sharedSecret(encode(value)).length > 4);
      answerKeyExchange(name, encode(value));
    }
    for (const value of [
      -1n,
      0n,
      1n,
      prime - 1n,
      prime,
      prime + 1n,
      prime + 2n,
      prime * 2n,
      -prime,
      2n - prime,
    ]) {
      refuses(name, encode(value));
    }
    refuses(name, Buffer.of(0, 2));
    refuses(name, Buffer.of(0x80));
  });

  test(`${name}: computes nothing for a number out of range`, () => {
    const generate = (): never => assert.fail('an own key was made');
    const { answer } = agreementHalves({ ...agreement, generate });
    for (const value of [0n, 1n, prime - 1n, prime, prime + 2n, prime << 8n]) {
      assert.throws(() => answer(encode(value)), WireError);
    }
  });

  test(`${name}: hands out no secret of one, whatever let the share through`, () => {
    const one = Buffer.alloc(encode(prime).length - 1);
    one[one.length - 1] = 1;
    assert.throws(() => agreement.agree(agreement.generate(), one), WireError);
  });
}

test('mlkem768x25519-sha256: refuses a bad half on either side', () => {
  const name = 'mlkem768x25519-sha256';
  const client = startKeyExchange(name);
  const { serverShare } = answerKeyExchange(name, client.clientShare);
  const zeroPoint = Buffer.alloc(32);
  assert.throws(
    () => client.sharedSecret(Buffer.concat([serverShare.subarray(0, 1088), zeroPoint])),
    WireError,
  );
  assert.throws(
    () => answerKeyExchange(name, Buffer.concat([client.clientShare.subarray(0, 1184), zeroPoint])),
    WireError,
  );
  // A coefficient beyond the modulus of ML-KEM.
  const beyond = Buffer.from(client.clientShare);
  beyond.fill(0xff, 0, 3);
  assert.throws(() => answerKeyExchange(name, beyond), WireError);
});

test('mlkem768x25519-sha256: a ciphertext for another key gives another secret, not an error', () => {
  const name = 'mlkem768x25519-sha256';
  const client = startKeyExchange(name);
  const server = answerKeyExchange(name, client.clientShare);
  const changed = Buffer.from(server.serverShare);
  changed[5] = changed.readUInt8(5) ^ 1;
  assert.notDeepEqual(client.sharedSecret(changed), server.sharedSecret);
});

for (const [name, bytes] of [
  ['ecdh-sha2-nistp256', 32],
  ['ecdh-sha2-nistp384', 48],
  ['ecdh-sha2-nistp521', 66],
] as const) {
  test(`${name}: refuses compressed and hybrid points, infinity, and points off the curve`, () => {
    const { clientShare } = startKeyExchange(name);
    const y = clientShare.readUInt8(clientShare.length - 1);
    const x = clientShare.subarray(1, 1 + bytes);
    refuses(name, Buffer.concat([Buffer.of(2 + (y & 1)), x]));
    refuses(name, Buffer.concat([Buffer.of(6 + (y & 1)), clientShare.subarray(1)]));
    refuses(name, Buffer.of(0));
    const off = Buffer.from(clientShare);
    off[off.length - 1] = y ^ 1;
    refuses(name, off);
    refuses(name, Buffer.concat([Buffer.of(4), Buffer.alloc(2 * bytes)]));
  });
}

test('computes nothing for a curve point that is refused', () => {
  const generate = (): never => assert.fail('an own key was made');
  for (const [agreement, share] of [
    [x25519, Buffer.alloc(31, 9)],
    [x25519, Buffer.alloc(33, 9)],
    [nistp256, Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)])],
    [nistp521, Buffer.concat([Buffer.of(4), Buffer.alloc(132, 1)])],
  ] as const) {
    assert.throws(() => agreementHalves({ ...agreement, generate }).answer(share), WireError);
  }
});

test('hashes what both sides said, in the order of the RFC', () => {
  const values = {
    clientIdentification: 'SSH-2.0-Client',
    serverIdentification: 'SSH-2.0-Server',
    clientKexInit: Buffer.from('client init'),
    serverKexInit: Buffer.from('server init'),
    hostKey: Buffer.from('host key'),
    clientShare: Buffer.from('client share'),
    serverShare: Buffer.from('server share'),
    sharedSecret: Buffer.from('000000020080', 'hex'),
  };
  const { sharedSecret, ...strings } = values;
  const hashed = Buffer.concat([
    ...Object.values(strings).flatMap((value) => [Buffer.of(0, 0, 0, value.length), Buffer.from(value)]),
    sharedSecret,
  ]);
  for (const hashName of ['sha256', 'sha384', 'sha512'] as const) {
    assert.deepEqual(exchangeHash({ hashName, ...values }), createHash(hashName).update(hashed).digest());
  }
});

test('writes and reads the messages of an exchange', () => {
  const clientShare = Buffer.from('c1c2c3', 'hex');
  const init = formatKeyExchangeInit(clientShare);
  assert.equal(init.toString('hex'), '1e00000003c1c2c3');
  assert.deepEqual(parseKeyExchangeInit(init), clientShare);
  const reply = {
    hostKey: Buffer.from('aa', 'hex'),
    serverShare: Buffer.from('bbbb', 'hex'),
    signature: Buffer.from('cc', 'hex'),
  };
  const written = formatKeyExchangeReply(reply);
  assert.equal(written.toString('hex'), '1f00000001aa00000002bbbb00000001cc');
  assert.deepEqual(parseKeyExchangeReply(written), reply);
});

test('writes e and f of a MODP group as the mpints that the RFC wants', () => {
  for (const name of modpGroups.keys()) {
    const { clientShare } = startKeyExchange(name);
    const reader = new Reader(formatKeyExchangeInit(clientShare));
    reader.byte('message number');
    assert.ok(reader.mpint('e') > 1n);
    reader.end('message');
  }
});

test('refuses messages that are cut short, too long or of another number', () => {
  const init = formatKeyExchangeInit(Buffer.alloc(32, 1));
  const field = Buffer.alloc(9, 1);
  const reply = formatKeyExchangeReply({ hostKey: field, serverShare: field, signature: field });
  const cases: [Buffer, (payload: Buffer) => unknown][] = [
    [init, parseKeyExchangeInit],
    [reply, parseKeyExchangeReply],
  ];
  for (const [payload, parse] of cases) {
    for (let end = 0; end < payload.length; end += 1) {
      assert.throws(() => parse(payload.subarray(0, end)), WireError);
    }
    assert.throws(() => parse(Buffer.concat([payload, Buffer.of(0)])), WireError);
    assert.throws(() => parse(Buffer.concat([Buffer.of(20), payload.subarray(1)])), WireError);
  }
});
