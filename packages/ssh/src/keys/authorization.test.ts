// Who is let in by which line, and with which options.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Authorization, authorize } from './authorization.ts';
import { parseAuthorizedKeys } from './authorized-keys.ts';
import { type UserCertificateOptions, signUserCertificate } from './certificate-authority.ts';
import { KeyError } from './key-error.ts';
import { type SigningKey, generateSigningKey } from './signing-key.ts';

const [authority, key, other] = (await Promise.all(
  Array.from({ length: 3 }, () => generateSigningKey('ssh-ed25519')),
)) as [SigningKey, SigningKey, SigningKey];
const now = new Date('2030-06-01T12:00:00Z');

function line(signer: SigningKey, options = ''): string {
  return `${options} ssh-ed25519 ${signer.publicKey.blob.toString('base64')}`;
}

function certificate(change: Partial<UserCertificateOptions> = {}): Buffer {
  return signUserCertificate({
    ...{ ca: authority, publicKey: key.publicKey.blob, keyId: '', principals: ['ada'] },
    ...{ validAfter: new Date('2030-06-01'), validBefore: new Date('2030-06-02') },
    ...change,
  }).blob;
}

function ask(file: readonly string[], blob: Buffer, change = {}): Authorization | undefined {
  const { keys, problems } = parseAuthorizedKeys(file.join('\n'));
  assert.deepEqual(problems, []);
  return authorize(keys, { blob, user: 'ada', address: '192.0.2.1', now, ...change });
}

test('lets a key in by the first line that has it and admits it', () => {
  const file = [
    line(other),
    line(key, 'from="10.0.0.0/8"'),
    line(key, 'expiry-time="20300101Z"'),
    line(key, 'restrict,from="192.0.2.0/24",expiry-time="20310101Z"'),
    line(key),
  ];
  const found = ask(file, key.publicKey.blob);
  assert.deepEqual([found?.lineNumber, found?.options.pty], [4, false]);
  assert.equal(ask(file, key.publicKey.blob, { address: '10.1.1.1' })?.lineNumber, 2);
  assert.equal(ask(file, key.publicKey.blob, { address: '198.51.100.1' })?.lineNumber, 5);
  assert.equal(ask(file, key.publicKey.blob, { now: new Date('2029-01-01') })?.lineNumber, 3);
  assert.equal(ask(file, key.publicKey.blob, { now: new Date('2030-01-01T00:00:00Z') })?.lineNumber, 4);
  assert.equal(ask(file.slice(0, 3), key.publicKey.blob), undefined);
  assert.equal(ask([line(key, 'from="*.example.com"')], key.publicKey.blob), undefined);
  assert.ok(ask([line(key, 'from="*.example.com"')], key.publicKey.blob, { hostName: 'a.example.com' }));
});

test('takes no authority for a person, and no certificate without an authority', () => {
  assert.equal(ask([line(authority, 'cert-authority')], authority.publicKey.blob), undefined);
  assert.equal(ask([line(authority)], certificate()), undefined);
  assert.equal(ask([line(key)], certificate()), undefined);
  assert.equal(ask([line(other, 'cert-authority')], certificate()), undefined);
  assert.ok(ask([line(authority, 'cert-authority')], certificate()));
});

test('lets a certificate in for the user that it names, or for the names of its line', () => {
  const plain = [line(authority, 'cert-authority')];
  assert.equal(ask(plain, certificate(), { user: 'eve' }), undefined);
  const named = [line(authority, 'cert-authority,principals="ops,ada"')];
  assert.ok(ask(named, certificate(), { user: 'root' }));
  assert.equal(ask(named, certificate({ principals: ['root'] }), { user: 'root' }), undefined);
  assert.equal(ask(plain, certificate(), { now: new Date('2030-06-02T00:00:00Z') }), undefined);
  assert.equal(ask(plain, certificate({ criticalOptions: { 'x@example.com': '1' } })), undefined);
  const bound = certificate({ criticalOptions: { 'source-address': '192.0.2.0/24' } });
  assert.ok(ask(plain, bound));
  assert.equal(ask(plain, bound, { address: '198.51.100.1' }), undefined);
  assert.throws(() => ask(plain, certificate().subarray(0, -1)), KeyError);
});

test('permits only what both the line and the certificate permit', () => {
  const permitted = (options: string, change: Partial<UserCertificateOptions> = {}): unknown => {
    const found = ask([line(authority, options)], certificate(change))?.options;
    return found && [found.pty, found.portForwarding, found.touchRequired, found.command];
  };
  const both = { extensions: ['permit-pty', 'permit-port-forwarding', 'no-touch-required'] };
  assert.deepEqual(permitted('cert-authority'), [false, false, true, undefined]);
  assert.deepEqual(permitted('cert-authority', both), [true, true, true, undefined]);
  assert.deepEqual(permitted('cert-authority,no-pty,no-touch-required', both), [
    false,
    true,
    false,
    undefined,
  ]);
  const forced = { criticalOptions: { 'force-command': 'id' } };
  assert.deepEqual(permitted('cert-authority', forced), [false, false, true, 'id']);
  assert.deepEqual(permitted('cert-authority,command="id"', forced), [false, false, true, 'id']);
  assert.deepEqual(permitted('cert-authority,command="id"'), [false, false, true, 'id']);
  assert.equal(permitted('cert-authority,command="date"', forced), undefined);
  const verified = ask(
    [line(authority, 'cert-authority')],
    certificate({ criticalOptions: { 'verify-required': '' } }),
  );
  assert.equal(verified?.options.userVerificationRequired, true);
});
