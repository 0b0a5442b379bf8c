// User certificates as ssh-keygen shows them; and one that sshd's own tools find signed by the authority.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { sshKeygenOn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import { type UserCertificateOptions, signUserCertificate } from './certificate.ts';
import { fingerprint } from './fingerprint.ts';
import { ed25519Blob } from './private-key.ts';

const ca = generateKeyPairSync('ed25519').privateKey;
const publicKey = ed25519Blob(generateKeyPairSync('ed25519').publicKey);
const options: UserCertificateOptions = {
  ca,
  publicKey,
  keyId: 'demo-7f3k connection 12',
  principals: ['developer', 'root'],
  validAfter: new Date('2030-01-01T00:00:00.900Z'),
  validBefore: new Date('2030-01-01T00:05:00Z'),
  criticalOptions: { 'source-address': '10.0.0.0/8,fd00::/8', 'force-command': 'id' },
  extensions: ['permit-pty', 'permit-port-forwarding', 'permit-agent-forwarding'],
};

function shown(line: string): string {
  // ssh-keygen shows times in the local zone, and execFileSync hands on this process's.
  process.env['TZ'] = 'UTC';
  return sshKeygenOn(line, '-L');
}

test('signs a certificate that ssh-keygen verifies and shows as it was asked for', () => {
  // -L checks the authority's signature before it prints anything.
  const text = shown(signUserCertificate(options).line);
  assert.match(text, /Type: ssh-ed25519-cert-v01@openssh\.com user certificate/);
  assert.ok(text.includes(`Public key: ED25519-CERT ${fingerprint(publicKey)}`));
  assert.ok(text.includes(`Signing CA: ED25519 ${fingerprint(ed25519Blob(ca))} (using ssh-ed25519)`));
  assert.match(text, /Key ID: "demo-7f3k connection 12"/);
  assert.match(text, /Valid: from 2030-01-01T00:00:00 to 2030-01-01T00:05:00/);
  assert.match(text, /Principals: \n\s+developer\n\s+root\n/);
  assert.match(text, /Critical Options: \n\s+force-command id\n\s+source-address 10\.0\.0\.0\/8,fd00::\/8\n/);
  assert.match(text, /Extensions: \n\s+permit-agent-forwarding\n\s+permit-port-forwarding\n\s+permit-pty\n/);
});

test('permits nothing that was not asked for', () => {
  const { criticalOptions: _, extensions: __, ...bare } = options;
  const text = shown(signUserCertificate(bare).line);
  assert.match(text, /Critical Options: \(none\)\n\s+Extensions: \(none\)\n/);
});

test('a changed certificate no longer verifies', () => {
  const { blob } = signUserCertificate(options);
  const at = blob.indexOf('developer');
  blob.write('developeR', at);
  assert.throws(() => shown(`ssh-ed25519-cert-v01@openssh.com ${blob.toString('base64')}`));
});

test('signs no certificate that is good for everyone, for ever or never, or for another type of key', () => {
  const refused: [Partial<UserCertificateOptions>, typeof RangeError | typeof TypeError][] = [
    [{ principals: [] }, RangeError],
    [{ principals: ['developer', ''] }, RangeError],
    [{ principals: Array.from({ length: 257 }, (_, index) => `user${index}`) }, RangeError],
    [{ validBefore: options.validAfter }, RangeError],
    [{ validBefore: new Date(Number.NaN) }, RangeError],
    [{ validAfter: new Date(-1000) }, RangeError],
    [{ publicKey: new Writer().string('ssh-rsa').string(Buffer.alloc(32)).toBuffer() }, TypeError],
    [{ ca: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }, TypeError],
  ];
  for (const [change, error] of refused) {
    assert.throws(() => signUserCertificate({ ...options, ...change }), error, JSON.stringify(change));
  }
});
