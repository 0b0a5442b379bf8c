// Signatures with the names and blobs that messages carry them with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSecurityKey } from '../testing/security-key.ts';
import { certificateTypeOf } from './algorithms.ts';
import { signUserCertificate } from './certificate-authority.ts';
import { KeyError } from './key-error.ts';
import { verify } from './signature.ts';
import { generateSigningKey } from './signing-key.ts';

const data = Buffer.from('a session identifier and a request');
const [ed25519, ecdsa, rsa] = await Promise.all([
  generateSigningKey('ssh-ed25519'),
  generateSigningKey('ecdsa-sha2-nistp384'),
  generateSigningKey('ssh-rsa', { rsaBits: 2048 }),
]);
const device = makeSecurityKey('sk-ecdsa-sha2-nistp256@openssh.com');

function certified(publicKey: Buffer): Buffer {
  return signUserCertificate({
    ...{ ca: ed25519, publicKey, keyId: '', principals: ['ada'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  }).blob;
}

test('takes each signature under the name of its key or certificate, and under no other', () => {
  const signers = [
    { plain: 'ssh-ed25519', blob: ed25519.publicKey.blob, signature: ed25519.sign(data) },
    { plain: 'ecdsa-sha2-nistp384', blob: ecdsa.publicKey.blob, signature: ecdsa.sign(data) },
    { plain: 'rsa-sha2-256', blob: rsa.publicKey.blob, signature: rsa.sign(data, 'rsa-sha2-256') },
    { plain: 'rsa-sha2-512', blob: rsa.publicKey.blob, signature: rsa.sign(data, 'rsa-sha2-512') },
    { plain: device.type, blob: device.blob, signature: device.sign(data) },
  ];
  const certificateName = (plain: string): string =>
    `${plain.replace('@openssh.com', '')}-cert-v01@openssh.com`;
  const names = [
    ...signers.flatMap(({ plain }) => [plain, certificateName(plain)]),
    ...['ssh-rsa', certificateTypeOf('ssh-rsa'), 'ssh-dss', '', 'constructor'],
  ];
  for (const { plain, blob, signature } of signers) {
    const certificate = certified(blob);
    for (const name of names) {
      assert.equal(verify(name, blob, data, signature)?.algorithm, name === plain ? plain : undefined);
      const wanted = name === certificateName(plain) ? plain : undefined;
      assert.equal(verify(name, certificate, data, signature)?.algorithm, wanted, name);
    }
    assert.equal(verify(plain, blob, Buffer.from('else'), signature), undefined);
    assert.equal(verify(certificateName(plain), certificate, Buffer.from('else'), signature), undefined);
  }
});

test('hands on what is demanded of a security key', () => {
  const untouched = device.sign(data, 0);
  assert.equal(verify(device.type, device.blob, data, untouched), undefined);
  assert.ok(verify(device.type, device.blob, data, untouched, { touchRequired: false }));
});

test('throws KeyError for a blob that is no key', () => {
  const signature = ed25519.sign(data);
  const blob = ed25519.publicKey.blob;
  for (const bad of [Buffer.alloc(0), blob.subarray(0, -1), Buffer.concat([blob, Buffer.alloc(1)])]) {
    assert.throws(() => verify('ssh-ed25519', bad, data, signature), KeyError);
  }
  const cut = certified(blob).subarray(0, -1);
  assert.throws(() => verify('ssh-ed25519-cert-v01@openssh.com', cut, data, signature), KeyError);
});
