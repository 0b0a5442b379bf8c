// Private keys that we write are read by ssh-keygen, and the other way round.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeKey, sshKeygenOn } from '../testing/ssh-keygen.ts';
import { KeyError } from './key-error.ts';
import { knownHostsLine } from './known-hosts.ts';
import { ed25519Blob, formatPrivateKey, generateHostKey, parsePrivateKey } from './private-key.ts';
import { parsePublicKey } from './public-key.ts';

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
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ed25519', '-N', 'secret words').privateKey), {
    code: 'private_key_encrypted',
  });
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ecdsa').privateKey), { code: 'private_key_type' });
  assert.throws(() => parsePrivateKey(makeKey('-t', 'ed25519').publicLine), {
    code: 'private_key_malformed',
  });
});

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
  const lines = formatPrivateKey(generateKeyPairSync('ed25519').privateKey).trim().split('\n');
  const file = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.nat(255), fc.nat(8), (at, byte, cut) => {
      const changed = Buffer.from(file.subarray(0, file.length - cut));
      if (at < changed.length) changed[at] = byte;
      try {
        parsePrivateKey(`${lines[0]}\n${changed.toString('base64')}\n${lines.at(-1)}`);
      } catch (error) {
        assert.ok(error instanceof KeyError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('writes the known_hosts line that ssh-keygen finds', () => {
  const { publicLine } = generateHostKey();
  const onOwnPort = knownHostsLine('SSH.example.com', 30001, `${publicLine} comment`);
  assert.equal(onOwnPort, `[ssh.example.com]:30001 ${publicLine}`);
  assert.equal(knownHostsLine('ssh.example.com', 22, publicLine), `ssh.example.com ${publicLine}`);
  assert.equal(knownHostsLine('::1', 2222, publicLine), `[::1]:2222 ${publicLine}`);
  assert.match(sshKeygenOn(`${onOwnPort}\n`, '-F', '[ssh.example.com]:30001'), /found: line 1/);
});

test('writes no known_hosts line that means more than one host', () => {
  const { publicLine } = generateHostKey();
  for (const host of ['', '*', 'a,b', 'a b', '!a', '@cert-authority', '|1|x', '#a', 'a\nb', '[a]']) {
    assert.throws(() => knownHostsLine(host, 22, publicLine), TypeError, host);
  }
  assert.throws(() => knownHostsLine('a', 0, publicLine), RangeError);
  assert.throws(() => knownHostsLine('a', 22, 'nonsense'), KeyError);
});
