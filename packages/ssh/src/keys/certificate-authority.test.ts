// Certificates as ssh-keygen shows them, which checks their authority's signature when it does.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { makeSecurityKey } from '../testing/security-key.ts';
import { sshKeygenOn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import {
  type UserCertificateOptions,
  signCertificate,
  signUserCertificate,
} from './certificate-authority.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError } from './key-error.ts';
import { ed25519Blob } from './private-key.ts';
import { generateSigningKey } from './signing-key.ts';

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

const { criticalOptions: _, extensions: __, ...bare } = options;
const signingKeyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
] as const;

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
  const text = shown(signUserCertificate(bare).line);
  assert.match(text, /Critical Options: \(none\)\n\s+Extensions: \(none\)\n/);
});

test('a changed certificate no longer verifies', () => {
  const { blob } = signUserCertificate(options);
  const at = blob.indexOf('developer');
  blob.write('developeR', at);
  assert.throws(() => shown(`ssh-ed25519-cert-v01@openssh.com ${blob.toString('base64')}`));
});

test('signs no certificate that is good for everyone or never, or for what is no key', () => {
  const refused: [Partial<UserCertificateOptions>, ErrorConstructor | typeof KeyError][] = [
    [{ principals: [] }, RangeError],
    [{ principals: ['developer', ''] }, RangeError],
    [{ principals: Array.from({ length: 257 }, (_, index) => `user${index}`) }, RangeError],
    [{ validBefore: options.validAfter }, RangeError],
    [{ validBefore: new Date(Number.NaN) }, RangeError],
    [{ validAfter: new Date(-1000) }, RangeError],
    [{ validBefore: new Date('2029-01-01') }, RangeError],
    [{ serial: 1n << 64n }, RangeError],
    [{ serial: -1n }, RangeError],
    [{ keyId: 'a\0b' }, RangeError],
    [{ principals: ['root\0'] }, RangeError],
    [{ extensions: ['permit-pty\0'] }, RangeError],
    [{ criticalOptions: { 'source-address': '10.0.0.1/8' } }, KeyError],
    [{ criticalOptions: { 'source-address': 'example.com' } }, KeyError],
    [{ publicKey: new Writer().string('ssh-rsa').string(Buffer.alloc(32)).toBuffer() }, KeyError],
    [{ publicKey: signUserCertificate(options).blob }, KeyError],
    [{ ca: generateKeyPairSync('x25519').privateKey }, TypeError],
    [{ ca: createPublicKey(ca) }, TypeError],
  ];
  for (const [change, error] of refused) {
    assert.throws(() => signUserCertificate({ ...options, ...change }), error, inspect(change));
  }
});

test('signs user and host certificates for every type of key, by every type of key', async () => {
  const authorities = await Promise.all(
    signingKeyTypes.map((type) => generateSigningKey(type, { rsaBits: 2048 })),
  );
  const subjects = [
    ...authorities.map((key) => key.publicKey.blob),
    makeSecurityKey('sk-ssh-ed25519@openssh.com').blob,
    makeSecurityKey('sk-ecdsa-sha2-nistp256@openssh.com').blob,
  ];
  for (const authority of authorities) {
    for (const subject of subjects) {
      for (const role of ['user', 'host'] as const) {
        const { line } = signCertificate({ ...bare, ca: authority, publicKey: subject, role, serial: 77n });
        const text = shown(line);
        assert.match(text, new RegExp(` ${role} certificate`));
        assert.ok(text.includes(fingerprint(subject)));
        assert.ok(text.includes(authority.publicKey.fingerprint));
        assert.match(text, /Serial: 77\n/);
      }
    }
  }
});

test('signs for ever when told so', () => {
  const { line } = signUserCertificate({ ...options, validBefore: 'forever' });
  assert.match(shown(line), /Valid: after 2030-01-01T00:00:00\n/);
});
