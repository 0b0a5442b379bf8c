// Public keys as ssh-keygen makes them and as people mangle them.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeKey, sshKeygenOn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import { KeyError, type KeyErrorCode } from './key-error.ts';
import { parsePublicKey } from './public-key.ts';

const ed25519 = makeKey('-t', 'ed25519', '-C', 'ada@example.com');
const rsa2048 = makeKey('-t', 'rsa', '-b', '2048', '-C', '');

function line(type: string, blob: Writer): string {
  return `${type} ${blob.toBuffer().toString('base64')}`;
}

const p256Point = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  format: 'raw-public',
});

function ecdsaLine(curve: string, point: Uint8Array): string {
  return line('ecdsa-sha2-nistp256', new Writer().string('ecdsa-sha2-nistp256').string(curve).string(point));
}

function rsaLine(exponent: bigint, modulus: bigint): string {
  return line('ssh-rsa', new Writer().string('ssh-rsa').mpint(exponent).mpint(modulus));
}

// A security key's public key is easily written and cannot be made without the device.
const securityKeys = {
  'sk-ssh-ed25519@openssh.com': line(
    'sk-ssh-ed25519@openssh.com',
    new Writer().string('sk-ssh-ed25519@openssh.com').string(Buffer.alloc(32, 7)).string('ssh:'),
  ),
  'sk-ecdsa-sha2-nistp256@openssh.com': line(
    'sk-ecdsa-sha2-nistp256@openssh.com',
    new Writer()
      .string('sk-ecdsa-sha2-nistp256@openssh.com')
      .string('nistp256')
      .string(p256Point)
      .string('ssh:'),
  ),
};

const goodLines: readonly (readonly [string, string, number])[] = [
  ['ssh-ed25519', ed25519.publicLine, 256],
  ['ecdsa-sha2-nistp256', makeKey('-t', 'ecdsa', '-b', '256').publicLine, 256],
  ['ecdsa-sha2-nistp384', makeKey('-t', 'ecdsa', '-b', '384').publicLine, 384],
  ['ecdsa-sha2-nistp521', makeKey('-t', 'ecdsa', '-b', '521').publicLine, 521],
  ['ssh-rsa', rsa2048.publicLine, 2048],
  ['ssh-rsa', makeKey('-t', 'rsa', '-b', '3072').publicLine, 3072],
  ['sk-ssh-ed25519@openssh.com', securityKeys['sk-ssh-ed25519@openssh.com'], 256],
  ['sk-ecdsa-sha2-nistp256@openssh.com', securityKeys['sk-ecdsa-sha2-nistp256@openssh.com'], 256],
];

for (const [type, text, bits] of goodLines) {
  test(`reads a ${type} key of ${bits} bits as ssh-keygen does`, () => {
    const key = parsePublicKey(text);
    assert.equal(key.type, type);
    assert.equal(key.bits, bits);
    const [, printedFingerprint] = sshKeygenOn(text, '-l').split(' ');
    assert.equal(key.fingerprint, printedFingerprint);
    assert.equal(key.line, text.trim());
    assert.deepEqual(parsePublicKey(key.line), key);
  });
}

test('keeps the comment, with its spaces, and cleans it of what a terminal would obey', () => {
  const start = ed25519.publicLine.split(' ').slice(0, 2).join(' ');
  assert.equal(parsePublicKey(ed25519.publicLine).comment, 'ada@example.com');
  assert.equal(parsePublicKey(start).comment, '');
  assert.equal(parsePublicKey(`${start}  work laptop \r\n`).comment, 'work laptop');
  const { comment, line: canonical } = parsePublicKey(`${start} a\u001b[2Jb\u202ec\u2028d\u0085e\tf`);
  assert.equal(comment, 'a [2Jb c d e f');
  assert.equal(canonical, `${start} ${comment}`);
});

test('takes the key out of the white space and byte order mark around it', () => {
  const wanted = parsePublicKey(ed25519.publicLine);
  assert.deepEqual(parsePublicKey(`\ufeff\r\n  ${ed25519.publicLine.replace(' ', '\t ')}\r\n\r\n`), wanted);
});

function refusal(text: string): KeyErrorCode | undefined {
  try {
    parsePublicKey(text);
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
    assert.match(error.message, /^[A-Z][^\n]+$/);
    return error.code;
  }
  return undefined;
}

const [edType = '', edBase64 = ''] = ed25519.publicLine.split(' ');
const changedPoint = Buffer.from(p256Point);
changedPoint[40] = changedPoint.readUInt8(40) ^ 1;
const odd2048 = (1n << 2047n) + 1n;

const refused: readonly (readonly [string, KeyErrorCode, string])[] = [
  ['nothing', 'empty', ' \n'],
  ['an OpenSSH private key', 'private_key', ed25519.privateKey],
  ['a PEM private key', 'private_key', makeKey('-t', 'rsa', '-b', '2048', '-m', 'PEM').privateKey],
  ['a private key without its BEGIN line', 'private_key', ed25519.privateKey.split('\n').slice(1).join('\n')],
  ['a private key far too long', 'private_key', ed25519.privateKey + 'x'.repeat(1_000_000)],
  ['a PuTTY private key', 'private_key', 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n'],
  ['both halves at once', 'private_key', `${ed25519.publicLine}\n${ed25519.privateKey}`],
  ['a megabyte', 'too_long', `${edType} ${'A'.repeat(1_000_000)}`],
  ['an SSH2 public key', 'ssh2_format', sshKeygenOn(ed25519.publicLine, '-e')],
  ['a PKCS8 public key', 'pem_format', sshKeygenOn(rsa2048.publicLine, '-e', '-m', 'PKCS8')],
  ['a PEM public key', 'pem_format', sshKeygenOn(rsa2048.publicLine, '-e', '-m', 'PEM')],
  ['two keys', 'several_lines', `${ed25519.publicLine}${rsa2048.publicLine}`],
  ['a key broken into lines', 'several_lines', `${edType} ${edBase64.slice(0, 40)}\n${edBase64.slice(40)}`],
  ['options', 'options_not_allowed', `from="10.0.0.0/8",no-pty ${ed25519.publicLine}`],
  ['an option with spaces', 'options_not_allowed', `command="echo hi" ${ed25519.publicLine}`],
  ['a certificate', 'certificate', `ssh-ed25519-cert-v01@openssh.com ${edBase64}`],
  ['an X.509 certificate', 'certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'],
  ['a DSA key', 'dsa', line('ssh-dss', new Writer().string('ssh-dss').mpint(7n))],
  ['an unknown type', 'unknown_type', `ssh-ed448 ${edBase64}`],
  ['a name of Object.prototype', 'unknown_type', `constructor ${edBase64}`],
  ['a file name', 'unknown_type', '~/.ssh/id_ed25519.pub'],
  ['base64 without its type', 'unknown_type', edBase64],
  ['characters out of base64', 'bad_base64', `${edType} ${edBase64.replace('I', '*')}`],
  ['padding in the middle', 'bad_base64', `${edType} AAAA=${edBase64}`],
  ['bits beyond the end', 'bad_base64', line('x', new Writer().byte(0)).replace(/^x AA/, 'ssh-ed25519 AB')],
  ['only a type', 'truncated', edType],
  ['a lost last character', 'truncated', `${edType} ${edBase64.slice(0, -1)}`],
  ['lost last characters', 'truncated', `${edType} ${edBase64.slice(0, -8)}`],
  ['a key broken by a space', 'truncated', `${edType} ${edBase64.slice(0, 40)} ${edBase64.slice(40)}`],
  ['another type inside', 'type_mismatch', `ssh-rsa ${edBase64}`],
  ['another curve inside', 'type_mismatch', ecdsaLine('nistp384', p256Point)],
  [
    'more after the end',
    'trailing_data',
    line('ssh-ed25519', new Writer().string('ssh-ed25519').string(Buffer.alloc(32)).byte(0)),
  ],
  [
    'an Ed25519 key of 31 bytes',
    'bad_key',
    line('ssh-ed25519', new Writer().string('ssh-ed25519').string(Buffer.alloc(31))),
  ],
  ['a point off the curve', 'bad_key', ecdsaLine('nistp256', changedPoint)],
  ['a compressed point', 'bad_key', ecdsaLine('nistp256', Buffer.from([2, ...p256Point.subarray(1, 33)]))],
  ['a hybrid point', 'bad_key', ecdsaLine('nistp256', Buffer.from([6, ...p256Point.subarray(1)]))],
  ['the point at infinity', 'bad_key', ecdsaLine('nistp256', Buffer.from([0]))],
  ['an even RSA modulus', 'bad_key', rsaLine(65537n, odd2048 + 1n)],
  ['a negative RSA modulus', 'bad_key', rsaLine(65537n, -odd2048)],
  ['an RSA exponent of 1', 'bad_key', rsaLine(1n, odd2048)],
  ['an even RSA exponent', 'bad_key', rsaLine(65536n, odd2048)],
  ['a huge RSA exponent', 'bad_key', rsaLine((1n << 64n) + 1n, odd2048)],
  [
    'an RSA modulus with a needless zero',
    'bad_key',
    line(
      'ssh-rsa',
      new Writer()
        .string('ssh-rsa')
        .string(Buffer.from([0, 3]))
        .string(Buffer.from([7])),
    ),
  ],
  ['RSA of 1024 bits', 'rsa_too_short', makeKey('-t', 'rsa', '-b', '1024').publicLine],
  ['RSA of 16392 bits', 'rsa_too_long', rsaLine(65537n, (1n << 16391n) + 1n)],
];

for (const [what, code, text] of refused) {
  test(`refuses ${what}`, () => {
    assert.equal(refusal(text), code);
  });
}

test('tells a person who pasted a private key to keep it secret, and repeats nothing of it', () => {
  assert.throws(
    () => parsePublicKey(ed25519.privateKey),
    (error: Error) =>
      /This is a private key\. Keep it secret/.test(error.message) && !/b3Blbn/.test(error.message),
  );
});

test('takes as many RSA bits as the caller demands', () => {
  assert.equal(parsePublicKey(rsa2048.publicLine).bits, 2048);
  assert.throws(() => parsePublicKey(rsa2048.publicLine, { minimumRsaBits: 3072 }), {
    code: 'rsa_too_short',
    message: /2048 bits; at least 3072/,
  });
});

test('throws only KeyError for a key that was changed anywhere, and is stable where it still reads one', () => {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.nat(3),
    inserted: fc.oneof(fc.constantFrom('', 'A', '=', ' ', '\n', '"', '\0'), fc.string({ maxLength: 4 })),
  });
  const original = fc.constantFrom(...goodLines.map(([, text]) => text), ed25519.privateKey);
  fc.assert(
    fc.property(original, fc.array(edit, { minLength: 1, maxLength: 4 }), (text, edits) => {
      let changed = text;
      for (const { at, removed, inserted } of edits) {
        const index = Math.floor(at * changed.length);
        changed = changed.slice(0, index) + inserted + changed.slice(index + removed);
      }
      assertReadsOrRefuses(changed);
    }),
    { numRuns: 2000 },
  );
});

test('throws only KeyError for a blob that was changed anywhere', () => {
  const original = fc.constantFrom(...goodLines.map(([, text]) => text));
  const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
  fc.assert(
    fc.property(original, fc.array(edit, { minLength: 1, maxLength: 3 }), fc.nat(3), (text, edits, cut) => {
      const [type = '', base64 = ''] = text.split(' ');
      const blob = Buffer.from(base64, 'base64');
      for (const [at, byte] of edits) blob[Math.floor(at * (blob.length - 1))] = byte;
      assertReadsOrRefuses(`${type} ${blob.subarray(0, blob.length - cut).toString('base64')}`);
    }),
    { numRuns: 2000 },
  );
});

function assertReadsOrRefuses(text: string): void {
  try {
    const key = parsePublicKey(text);
    assert.deepEqual(parsePublicKey(key.line), key);
    assert.doesNotMatch(key.line, /[\p{Cc}]/u);
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
  }
}
