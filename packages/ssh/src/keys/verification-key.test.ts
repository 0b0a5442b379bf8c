// Signatures that OpenSSH makes are good here and the other way round; and what is nearly a signature is not.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeSecurityKey } from '../testing/security-key.ts';
import { makeKey } from '../testing/ssh-keygen.ts';
import { isGoodForOpenSsh, signByOpenSsh, signedBytes } from '../testing/ssh-signature.ts';
import { Reader, Writer } from '../wire.ts';
import { certificateTypeOf, publicKeyAlgorithm, publicKeyTypes } from './algorithms.ts';
import { KeyError } from './key-error.ts';
import { parsePrivateKeyFile } from './private-key.ts';
import { SigningKey, generateSigningKey, publicKeyBlob } from './signing-key.ts';
import { type VerificationKey, parseVerificationKey } from './verification-key.ts';

const message = 'what is signed';
const data = signedBytes(message);

function keyOfOpenSsh(...parameters: string[]): { file: string; key: SigningKey } {
  const file = makeKey(...parameters).privateKey;
  const { key } = parsePrivateKeyFile(file);
  assert.ok(key instanceof SigningKey);
  return { file, key };
}

const keys = {
  'ssh-ed25519': keyOfOpenSsh('-t', 'ed25519'),
  'ecdsa-sha2-nistp256': keyOfOpenSsh('-t', 'ecdsa', '-b', '256'),
  'ecdsa-sha2-nistp384': keyOfOpenSsh('-t', 'ecdsa', '-b', '384'),
  'ecdsa-sha2-nistp521': keyOfOpenSsh('-t', 'ecdsa', '-b', '521'),
  'ssh-rsa': keyOfOpenSsh('-t', 'rsa', '-b', '2048'),
};
const { 'ssh-ed25519': ed25519, 'ecdsa-sha2-nistp256': p256, 'ssh-rsa': rsa } = keys;
const securityKeys = [
  makeSecurityKey('sk-ssh-ed25519@openssh.com'),
  makeSecurityKey('sk-ecdsa-sha2-nistp256@openssh.com'),
];

for (const [type, { file, key }] of Object.entries(keys)) {
  test(`takes the signature that OpenSSH makes with ${type}, and OpenSSH takes ours`, () => {
    assert.equal(key.type, type);
    const signature = signByOpenSsh(file, message);
    const algorithm = new Reader(signature).text('algorithm');
    assert.deepEqual(key.publicKey.verify(algorithm, data, signature), { algorithm });
    for (const name of key.publicKey.signatureAlgorithms) {
      const ours = key.sign(data, name);
      assert.ok(isGoodForOpenSsh(key.publicKey.blob, ours, message), name);
      assert.equal(key.publicKey.verify(name, data, ours)?.algorithm, name);
      assert.equal(key.publicKey.verify(name, signedBytes('else'), ours), undefined);
    }
    assert.ok(!isGoodForOpenSsh(key.publicKey.blob, key.sign(signedBytes('else')), message));
  });
}

test('signs with the best algorithm of a key unless told otherwise, never with SHA-1', () => {
  assert.equal(new Reader(rsa.key.sign(data)).text('algorithm'), 'rsa-sha2-512');
  for (const name of ['ssh-rsa', 'ssh-ed25519', 'rsa-sha2-512-cert-v01@openssh.com', '']) {
    assert.throws(() => rsa.key.sign(data, name), RangeError, name);
  }
  assert.throws(() => new SigningKey(createPublicKey(rsa.key.keyObject)), TypeError);
  assert.throws(() => new SigningKey(generateKeyPairSync('x25519').privateKey), TypeError);
  assert.throws(
    () => new SigningKey(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
    TypeError,
  );
});

test('makes keys of each type, and RSA of the bits asked for', async () => {
  for (const type of [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
  ] as const) {
    const key = await generateSigningKey(type);
    assert.equal(key.type, type);
    assert.ok(key.publicKey.verify(type, data, key.sign(data)));
    assert.deepEqual(publicKeyBlob(createPublicKey(key.keyObject)), key.publicKey.blob);
  }
  assert.equal((await generateSigningKey('ssh-rsa', { rsaBits: 2056 })).publicKey.bits, 2056);
  for (const rsaBits of [1024, 2048.5, 16385, Number.NaN]) {
    await assert.rejects(generateSigningKey('ssh-rsa', { rsaBits }), RangeError, String(rsaBits));
  }
});

for (const device of securityKeys) {
  test(`checks what a security key signs: ${device.type}`, () => {
    const key = parseVerificationKey(device.blob);
    const signature = device.sign(data, 1, 41);
    assert.ok(isGoodForOpenSsh(device.blob, signature, message));
    assert.deepEqual(key.verify(device.type, data, signature), {
      algorithm: device.type,
      securityKey: { userPresent: true, userVerified: false, counter: 41 },
    });
    assert.deepEqual(key.verify(device.type, data, device.sign(data, 5, 0xffffffff))?.securityKey, {
      userPresent: true,
      userVerified: true,
      counter: 0xffffffff,
    });
    const forAnother = parseVerificationKey(
      Buffer.concat([device.blob.subarray(0, -4), Buffer.from('ssx:')]),
    );
    assert.equal(forAnother.verify(device.type, data, signature), undefined);
  });

  test(`demands a touch unless told otherwise, and a PIN when told so: ${device.type}`, () => {
    const key = parseVerificationKey(device.blob);
    const check = (flags: number, policy = {}): boolean =>
      key.verify(device.type, data, device.sign(data, flags), policy) !== undefined;
    assert.ok(!check(0));
    assert.ok(!check(4));
    assert.ok(check(0, { touchRequired: false }));
    assert.ok(!check(1, { userVerificationRequired: true }));
    assert.ok(check(5, { userVerificationRequired: true }));
    assert.ok(!check(4, { userVerificationRequired: true }));
  });

  test(`a changed flag or counter makes the signature bad: ${device.type}`, () => {
    const key = parseVerificationKey(device.blob);
    const signature = device.sign(data, 0, 1);
    for (let at = signature.length - 5; at < signature.length; at += 1) {
      const changed = Buffer.from(signature);
      changed[at] = changed.readUInt8(at) ^ 1;
      assert.equal(key.verify(device.type, data, changed, { touchRequired: false }), undefined);
    }
  });
}

const allKeys: readonly { key: VerificationKey; algorithm: string; signature: Buffer }[] = [
  ...Object.values(keys).flatMap(({ key }) =>
    key.publicKey.signatureAlgorithms.map((algorithm) => ({
      key: key.publicKey,
      algorithm,
      signature: key.sign(data, algorithm),
    })),
  ),
  ...securityKeys.map((device) => ({
    key: parseVerificationKey(device.blob),
    algorithm: device.type,
    signature: device.sign(data),
  })),
];

test('takes each signature under its own algorithm and key alone', () => {
  const names = [...allKeys.map(({ algorithm }) => algorithm), 'ssh-rsa', 'ssh-dss', 'none', ''];
  for (const one of allKeys) {
    for (const other of allKeys) {
      for (const name of names) {
        const isGood = one.key.verify(name, data, other.signature) !== undefined;
        const isItsOwn = one.key === other.key && name === other.algorithm;
        assert.equal(isGood, isItsOwn, `${one.algorithm} ${name}`);
      }
    }
  }
});

test('refuses SHA-1 signatures of RSA whatever they are called', () => {
  const { key } = rsa;
  const raw = sign('sha1', data, key.keyObject);
  for (const outer of ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512']) {
    for (const inner of ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512']) {
      const signature = new Writer().string(inner).string(raw).toBuffer();
      assert.equal(key.publicKey.verify(outer, data, signature), undefined, `${outer} ${inner}`);
    }
  }
});

test('a signature cut anywhere, or longer, or with one bit changed is not good', () => {
  for (const { key, algorithm, signature } of allKeys) {
    for (let length = 0; length < signature.length; length += 1) {
      assert.equal(key.verify(algorithm, data, signature.subarray(0, length)), undefined, algorithm);
    }
    assert.equal(key.verify(algorithm, data, Buffer.concat([signature, Buffer.alloc(1)])), undefined);
    for (let bit = 0; bit < signature.length * 8; bit += 3) {
      const changed = Buffer.from(signature);
      changed[bit >> 3] = changed.readUInt8(bit >> 3) ^ (1 << (bit & 7));
      assert.equal(key.verify(algorithm, data, changed), undefined, `${algorithm} bit ${bit}`);
    }
  }
});

/** The number that is the string within a signature blob, by its bytes from the left. */
function inner(signature: Buffer): Buffer {
  const reader = new Reader(signature);
  reader.string('algorithm');
  return Buffer.from(reader.string('signature'));
}

test('an Ed25519 signature cannot be made into a second one', () => {
  // S and S + L are the same number modulo the order L of the group (RFC 8032, section 5.1.7 refuses it).
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  const raw = inner(ed25519.key.sign(data));
  const scalar = BigInt(`0x${Buffer.from(raw.subarray(32).toReversed()).toString('hex')}`);
  for (const added of [order, 2n * order, 8n * order]) {
    const number = scalar + added;
    if (number >= 1n << 256n) continue;
    const bytes = Buffer.from(number.toString(16).padStart(64, '0'), 'hex').toReversed();
    const signature = new Writer()
      .string('ssh-ed25519')
      .string(Buffer.concat([raw.subarray(0, 32), bytes]))
      .toBuffer();
    assert.equal(ed25519.key.publicKey.verify('ssh-ed25519', data, signature), undefined);
  }
});

test('nobody signs for an Ed25519 key of small order', () => {
  for (const first of [0, 1]) {
    const point = Buffer.alloc(32);
    point[0] = first;
    const key = parseVerificationKey(new Writer().string('ssh-ed25519').string(point).toBuffer());
    for (const r of [Buffer.alloc(32), point]) {
      const raw = Buffer.concat([r, Buffer.alloc(32)]);
      const signature = new Writer().string('ssh-ed25519').string(raw).toBuffer();
      assert.equal(key.verify('ssh-ed25519', data, signature), undefined);
    }
  }
});

function ecdsaSignature(numbers: readonly Buffer[], more = Buffer.alloc(0)): Buffer {
  const writer = new Writer();
  for (const number of numbers) writer.string(number);
  return new Writer().string('ecdsa-sha2-nistp256').string(writer.bytes(more).toBuffer()).toBuffer();
}

test('reads the numbers of an ECDSA signature in one way', () => {
  const verify = (signature: Buffer): boolean =>
    p256.key.publicKey.verify('ecdsa-sha2-nistp256', data, signature) !== undefined;
  const zero = Buffer.alloc(1);
  // Many signatures, so that numbers with and without a sign byte, and short ones, are among them.
  for (let round = 0; round < 40; round += 1) {
    const reader = new Reader(inner(p256.key.sign(data)));
    const r = Buffer.from(reader.string('r'));
    const s = Buffer.from(reader.string('s'));
    assert.ok(verify(ecdsaSignature([r, s])));
    assert.ok(!verify(ecdsaSignature([Buffer.concat([zero, r]), s])), 'a needless zero');
    assert.ok(!verify(ecdsaSignature([r, Buffer.concat([zero, s])])), 'a needless zero');
    if (r[0] === 0) assert.ok(!verify(ecdsaSignature([r.subarray(1), s])), 'negative r');
    if (s[0] === 0) assert.ok(!verify(ecdsaSignature([r, s.subarray(1)])), 'negative s');
    assert.ok(!verify(ecdsaSignature([r, s], zero)), 'more after s');
    assert.ok(!verify(ecdsaSignature([s, r])), 'swapped');
    assert.ok(!verify(ecdsaSignature([r])), 'no s');
  }
});

test('takes no ECDSA signature with a number that is zero or beyond the order', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const mpint = (value: bigint): Buffer =>
    Buffer.from(new Reader(new Writer().mpint(value).toBuffer()).string('n'));
  const raw = new Reader(inner(p256.key.sign(data)));
  const [r, s] = [raw.mpint('r'), raw.mpint('s')];
  const pairs: [bigint, bigint][] = [
    [0n, 0n],
    [0n, s],
    [r, 0n],
    [1n, 0n],
    [order, s],
    [r, order],
    [r + order, s],
    [r, s + order],
    [-r, s],
    [r, -s],
    [1n << 256n, s],
    [r, 1n << 4096n],
  ];
  for (const pair of pairs) {
    const signature = ecdsaSignature(pair.map(mpint));
    assert.equal(p256.key.publicKey.verify('ecdsa-sha2-nistp256', data, signature), undefined, String(pair));
  }
});

test('takes an RSA signature only in the length of the modulus', () => {
  const raw = inner(rsa.key.sign(data));
  const verify = (bytes: Buffer): boolean => {
    const signature = new Writer().string('rsa-sha2-512').string(bytes).toBuffer();
    return rsa.key.publicKey.verify('rsa-sha2-512', data, signature) !== undefined;
  };
  assert.ok(verify(raw));
  assert.ok(!verify(Buffer.concat([Buffer.alloc(1), raw])));
  assert.ok(!verify(raw.subarray(1)));
  assert.ok(!verify(Buffer.alloc(raw.length)));
  assert.ok(!verify(Buffer.alloc(0)));
  const reader = new Reader(rsa.key.publicKey.blob);
  reader.string('type');
  reader.mpint('exponent');
  const modulus = reader.unsignedMpint('modulus');
  assert.ok(!verify(modulus));
  const sum = BigInt(`0x${raw.toString('hex')}`) + BigInt(`0x${modulus.toString('hex')}`);
  // S + N is S modulo N.
  assert.ok(!verify(Buffer.from(sum.toString(16).padStart(raw.length * 2, '0'), 'hex')));
});

test('keeps nothing of the buffer that it read a key from', () => {
  for (const { key, algorithm, signature } of allKeys) {
    const buffer = Buffer.from(key.blob);
    const read = parseVerificationKey(buffer);
    buffer.fill(0);
    assert.deepEqual(read.blob, key.blob);
    assert.ok(read.verify(algorithm, data, signature));
  }
});

test('reads a key blob to its end and refuses certificates and unknown types', () => {
  const code = (blob: Buffer): string | undefined => {
    try {
      parseVerificationKey(blob);
    } catch (error) {
      assert.ok(error instanceof KeyError, String(error));
      return error.code;
    }
    return undefined;
  };
  for (const { key } of allKeys) {
    assert.equal(code(key.blob), undefined);
    for (let length = 0; length < key.blob.length; length += 1) {
      assert.equal(code(key.blob.subarray(0, length)), 'truncated');
    }
    assert.equal(code(Buffer.concat([key.blob, Buffer.alloc(1)])), 'trailing_data');
    const fields = key.blob.subarray(4 + key.type.length);
    const asCertificate = new Writer().string(certificateTypeOf(key.type)).bytes(fields).toBuffer();
    assert.equal(code(asCertificate), 'certificate');
  }
  assert.equal(code(new Writer().string('ssh-dss').toBuffer()), 'unknown_type');
  assert.equal(code(new Writer().string('__proto__').toBuffer()), 'unknown_type');
});

test('throws only KeyError for a key blob, and nothing for a signature, that was changed anywhere', () => {
  const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
  const edits = fc.array(edit, { maxLength: 3 });
  const change = (bytes: Buffer, list: readonly [number, number][]): Buffer => {
    const changed = Buffer.from(bytes);
    for (const [at, byte] of list) changed[Math.floor(at * (changed.length - 1))] = byte;
    return changed;
  };
  fc.assert(
    fc.property(fc.constantFrom(...allKeys), edits, edits, (one, keyEdits, signatureEdits) => {
      const signature = change(one.signature, signatureEdits);
      try {
        const blob = change(one.key.blob, keyEdits);
        const key = parseVerificationKey(blob);
        assert.deepEqual(key.blob, blob);
        const isGood = key.verify(one.algorithm, data, signature) !== undefined;
        assert.equal(isGood, blob.equals(one.key.blob) && signature.equals(one.signature));
      } catch (error) {
        assert.ok(error instanceof KeyError, String(error));
      }
    }),
    { numRuns: 1500 },
  );
});

test('knows what each algorithm name in a message is about', () => {
  assert.deepEqual(publicKeyAlgorithm('rsa-sha2-256'), {
    keyType: 'ssh-rsa',
    signatureAlgorithm: 'rsa-sha2-256',
    isCertificate: false,
  });
  assert.deepEqual(publicKeyAlgorithm('rsa-sha2-512-cert-v01@openssh.com'), {
    keyType: 'ssh-rsa',
    signatureAlgorithm: 'rsa-sha2-512',
    isCertificate: true,
  });
  assert.deepEqual(publicKeyAlgorithm('sk-ssh-ed25519-cert-v01@openssh.com'), {
    keyType: 'sk-ssh-ed25519@openssh.com',
    signatureAlgorithm: 'sk-ssh-ed25519@openssh.com',
    isCertificate: true,
  });
  for (const name of ['ssh-rsa', 'ssh-rsa-cert-v01@openssh.com', 'ssh-dss', 'constructor', '']) {
    assert.equal(publicKeyAlgorithm(name), undefined, name);
  }
  for (const type of publicKeyTypes) {
    const name = certificateTypeOf(type);
    assert.equal(type === 'ssh-rsa' ? 'ssh-rsa' : publicKeyAlgorithm(name)?.keyType, type);
  }
});
