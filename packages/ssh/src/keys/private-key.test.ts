// Private keys that we write are read by ssh-keygen, and the other way round.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeSecurityKey } from '../testing/security-key.ts';
import { makeKey, sshKeygenOn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import { KeyError } from './key-error.ts';
import {
  ed25519Blob,
  formatPrivateKey,
  generateHostKey,
  parsePrivateKey,
  parsePrivateKeyFile,
} from './private-key.ts';
import { parsePublicKey } from './public-key.ts';
import { SigningKey } from './signing-key.ts';

test('makes a host key that ssh-keygen reads, with the same public key and fingerprint', () => {
  const key = generateHostKey();
  assert.equal(sshKeygenOn(key.privateKeyOpenSsh, '-y').trim(), key.publicLine);
  assert.equal(sshKeygenOn(key.privateKeyOpenSsh, '-l').split(' ')[1], key.fingerprint);
  assert.equal(sshKeygenOn(key.publicLine, '-l').split(' ')[1], key.fingerprint);
  assert.deepEqual(parsePublicKey(key.publicLine).blob, key.publicKey);
  assert.notEqual(generateHostKey().fingerprint, key.fingerprint);
});

test('writes a comment that ssh-keygen shows, whatever padding it needs', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  for (let length = 0; length <= 8; length += 1) {
    const comment = 'c'.repeat(length);
    const file = formatPrivateKey(privateKey, comment);
    assert.equal(sshKeygenOn(file, '-y').trim().split(' ')[2] ?? '', comment);
    assert.ok(parsePrivateKey(file).equals(privateKey));
  }
});

test('reads a key that ssh-keygen made', () => {
  const { publicLine, privateKey } = makeKey('-t', 'ed25519', '-C', 'ada@example.com');
  const key = parsePrivateKey(privateKey);
  assert.deepEqual(ed25519Blob(key), parsePublicKey(publicLine).blob);
  assert.ok(verify(null, Buffer.from('text'), createPublicKey(key), sign(null, Buffer.from('text'), key)));
  assert.ok(parsePrivateKey(privateKey.replaceAll('\n', '\r\n')).equals(key));
});

test('refuses private keys of other kinds with the cure', () => {
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ed25519', '-a', '1', '-N', 'secret words').privateKey), {
    code: 'private_key_encrypted',
  });
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ecdsa').privateKey), { code: 'private_key_type' });
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ed25519').publicLine), {
    code: 'private_key_malformed',
  });
});

const passphrase = 'correct horse battery ü';
// As few rounds as make sense: how many is a number in the file, whatever it is.
const quickly = ['-a', '1', '-N', passphrase];
const keyTypes: readonly (readonly [string, ...string[]])[] = [
  ['ssh-ed25519', '-t', 'ed25519'],
  ['ecdsa-sha2-nistp256', '-t', 'ecdsa', '-b', '256'],
  ['ecdsa-sha2-nistp384', '-t', 'ecdsa', '-b', '384'],
  ['ecdsa-sha2-nistp521', '-t', 'ecdsa', '-b', '521'],
  ['ssh-rsa', '-t', 'rsa', '-b', '2048'],
  ['ssh-rsa', '-t', 'rsa', '-b', '4096'],
];

for (const [type, ...parameters] of keyTypes) {
  test(`reads and writes ${parameters.slice(1).join(' ')}, plain and encrypted, as ssh-keygen does`, () => {
    const made = makeKey(...parameters, '-C', 'a comment');
    const { key, comment } = parsePrivateKeyFile(made.privateKey);
    assert.ok(key instanceof SigningKey);
    assert.equal(key.type, type);
    assert.equal(comment, 'a comment');
    assert.deepEqual(key.publicKey.blob, parsePublicKey(made.publicLine).blob);
    assert.ok(
      key.publicKey.verify(
        key.publicKey.signatureAlgorithms[0] ?? '',
        Buffer.from('x'),
        key.sign(Buffer.from('x')),
      ),
    );

    const plain = formatPrivateKey(key.keyObject, 'a comment');
    assert.equal(sshKeygenOn(plain, '-y'), made.publicLine);
    for (const cipher of ['aes256-ctr', 'aes256-gcm@openssh.com'] as const) {
      const file = formatPrivateKey(key.keyObject, 'a comment', { passphrase, cipher, rounds: 2 });
      assert.equal(sshKeygenOn(file, '-y', '-P', passphrase), made.publicLine);
      const read = parsePrivateKeyFile(file, { passphrase });
      assert.ok(read.key instanceof SigningKey && read.key.keyObject.equals(key.keyObject));
      assert.equal(read.comment, 'a comment');
    }
  });
}

for (const cipher of ['aes256-ctr', 'aes256-gcm@openssh.com', 'aes256-cbc']) {
  test(`opens what ssh-keygen encrypted with ${cipher}, with its passphrase alone`, () => {
    const { privateKey, publicLine } = makeKey('-t', 'ed25519', '-Z', cipher, ...quickly);
    const { key } = parsePrivateKeyFile(privateKey, { passphrase });
    assert.ok(key instanceof SigningKey);
    assert.deepEqual(key.publicKey.blob, parsePublicKey(publicLine).blob);
    assert.throws(() => parsePrivateKeyFile(privateKey), { code: 'private_key_encrypted' });
    for (const wrong of [`${passphrase} `, 'x', passphrase.toUpperCase()]) {
      assert.throws(() => parsePrivateKeyFile(privateKey, { passphrase: wrong }), {
        code: 'private_key_passphrase',
      });
    }
  });
}

test('refuses a cipher that it does not know, and more rounds than are bearable', () => {
  const chacha = makeKey('-t', 'ed25519', '-Z', 'chacha20-poly1305@openssh.com', ...quickly).privateKey;
  assert.throws(() => parsePrivateKeyFile(chacha, { passphrase }), { code: 'private_key_cipher' });
  const file = formatPrivateKey(generateKeyPairSync('ed25519').privateKey, '', { passphrase, rounds: 1 });
  const bytes = content(file);
  bytes.writeUInt32BE(0x7fffffff, bytes.indexOf('bcrypt') + 6 + 4 + 4 + 16);
  assert.throws(() => parsePrivateKeyFile(armored(bytes), { passphrase }), {
    code: 'private_key_cipher',
    message: /2147483647 rounds/,
  });
  bytes.writeUInt32BE(0, bytes.indexOf('bcrypt') + 6 + 4 + 4 + 16);
  assert.throws(() => parsePrivateKeyFile(armored(bytes), { passphrase }), { code: 'private_key_malformed' });
});

test('encrypts only with a passphrase, and with rounds that it would read', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  for (const encryption of [
    { passphrase: '' },
    { passphrase, rounds: 0 },
    { passphrase, rounds: 257 },
    { passphrase, rounds: 1.5 },
  ]) {
    assert.throws(() => formatPrivateKey(privateKey, '', encryption), RangeError);
  }
});

for (const type of ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const) {
  test(`reads the handle of a security key's key: ${type}`, () => {
    const device = makeSecurityKey(type, 'ssh:work');
    const file = device.privateKeyFile(Buffer.from('handle'), 0x21);
    const line = `${type} ${device.blob.toString('base64')} on the key ring`;
    assert.equal(sshKeygenOn(file, '-y').trim(), line);
    const { key, comment } = parsePrivateKeyFile(file);
    assert.ok(!(key instanceof SigningKey));
    assert.deepEqual(key.publicKey.blob, device.blob);
    assert.deepEqual(
      [key.type, key.application, key.flags, key.keyHandle.toString(), comment],
      [type, 'ssh:work', 0x21, 'handle', 'on the key ring'],
    );
    assert.throws(() => parsePrivateKey(file), { code: 'private_key_type' });
  });
}

test('refuses a private half that does not belong to the public one', () => {
  for (const [, ...parameters] of keyTypes.slice(1, 5)) {
    const whole = content(makeKey(...parameters, '-C', '').privateKey);
    const secretStart = whole.lastIndexOf(parameters[1] === 'rsa' ? 'ssh-rsa' : 'ecdsa-sha2-');
    // Each byte of the private part, from the type on to the padding.
    for (let at = secretStart; at < whole.length; at += 5) {
      const changed = Buffer.from(whole);
      changed[at] = changed.readUInt8(at) ^ 2;
      assert.throws(
        () => parsePrivateKeyFile(armored(changed)),
        KeyError,
        `${parameters.join(' ')} at ${at}`,
      );
    }
    for (let length = 0; length < whole.length; length += 7) {
      assert.throws(() => parsePrivateKeyFile(armored(whole.subarray(0, length))), {
        code: 'private_key_malformed',
      });
    }
  }
});

test('refuses a file of several keys', () => {
  const bytes = content(formatPrivateKey(generateKeyPairSync('ed25519').privateKey));
  bytes.writeUInt32BE(2, bytes.indexOf('ssh-ed25519') - 12);
  assert.throws(() => parsePrivateKeyFile(armored(bytes)), { code: 'private_key_malformed' });
});

test('refuses RSA primes that belong to another modulus', () => {
  const [one, other] = [1, 2].map(() =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  );
  const file = (modulus: string | undefined): string => {
    const number = (text = ''): Buffer => Buffer.from(text, 'base64url');
    const blob = new Writer()
      .string('ssh-rsa')
      .unsignedMpint(number(other?.e))
      .unsignedMpint(number(modulus));
    const secret = new Writer().uint32(1).uint32(1).string('ssh-rsa').unsignedMpint(number(modulus));
    for (const part of ['e', 'd', 'qi', 'p', 'q'] as const) secret.unsignedMpint(number(other?.[part]));
    secret.string('');
    const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, -secret.toBuffer().length & 7);
    return armored(
      new Writer()
        .bytes(Buffer.from('openssh-key-v1\0'))
        .string('none')
        .string('none')
        .string('')
        .uint32(1)
        .string(blob.toBuffer())
        .string(Buffer.concat([secret.toBuffer(), padding]))
        .toBuffer(),
    );
  };
  assert.ok(parsePrivateKeyFile(file(other?.n)).key instanceof SigningKey);
  assert.throws(() => parsePrivateKeyFile(file(one?.n)), { code: 'private_key_malformed' });
});

function content(file: string): Buffer {
  return Buffer.from(file.trim().split('\n').slice(1, -1).join(''), 'base64');
}

function armored(bytes: Buffer): string {
  const name = 'OPENSSH PRIVATE KEY';
  return `-----BEGIN ${name}-----\n${bytes.toString('base64')}\n-----END ${name}-----\n`;
}

test('refuses a key file whose public half is another key', () => {
  // With it, the signatures of one message under two public keys would give the private key away.
  const lines = formatPrivateKey(generateKeyPairSync('ed25519').privateKey).trim().split('\n');
  const file = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  const publicBytes = file.subarray(file.indexOf('ssh-ed25519') + 15).subarray(0, 32);
  for (let at = file.indexOf(publicBytes); at !== -1; at = file.indexOf(publicBytes, at + 1)) {
    const changed = Buffer.from(file);
    changed[at] = changed.readUInt8(at) ^ 1;
    const text = `${lines[0]}\n${changed.toString('base64')}\n${lines.at(-1)}\n`;
    assert.throws(() => parsePrivateKey(text), { code: 'private_key_malformed' });
  }
});

test('throws only KeyError for a private key file that was changed anywhere', () => {
  const plain = [
    ...keyTypes.slice(0, 5).map(([, ...parameters]) => makeKey(...parameters).privateKey),
    makeSecurityKey('sk-ecdsa-sha2-nistp256@openssh.com').privateKeyFile(Buffer.from('handle'), 1),
  ];
  assertRefusesOrReads(plain.map(content), 1500, () => {});
});

test('throws only KeyError for an encrypted file that was changed anywhere', () => {
  const files = ['aes256-ctr', 'aes256-gcm@openssh.com'] as const;
  const encrypted = files.map((cipher) =>
    content(
      formatPrivateKey(generateKeyPairSync('ed25519').privateKey, '', { passphrase, cipher, rounds: 1 }),
    ),
  );
  // One round: thousands of them would only take long.
  assertRefusesOrReads(encrypted, 60, (bytes) => {
    const rounds = bytes.indexOf('bcrypt') + 6 + 4 + 4 + 16;
    if (bytes.includes('bcrypt') && rounds + 4 <= bytes.length) bytes.writeUInt32BE(1, rounds);
  });
});

function assertRefusesOrReads(
  files: readonly Buffer[],
  numRuns: number,
  repair: (bytes: Buffer) => void,
): void {
  const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.array(edit, { maxLength: 3 }),
      fc.nat(8),
      (file, edits, cut) => {
        const changed = Buffer.from(file.subarray(0, file.length - cut));
        for (const [at, byte] of edits) changed[Math.floor(at * (changed.length - 1))] = byte;
        repair(changed);
        try {
          parsePrivateKeyFile(armored(changed), { passphrase });
        } catch (error) {
          assert.ok(error instanceof KeyError, String(error));
        }
      },
    ),
    { numRuns },
  );
}
