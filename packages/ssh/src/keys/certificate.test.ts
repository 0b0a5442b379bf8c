// Certificates that ssh-keygen makes, of every type, good and bad; and what ssh-keygen would never make.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { makeSecurityKey } from '../testing/security-key.ts';
import { makeKey, sshKeygenIn, sshKeygenOn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import { signCertificate, signUserCertificate } from './certificate-authority.ts';
import {
  type Certificate,
  type CertificateDemands,
  checkCertificate,
  parseCertificate,
  validForever,
} from './certificate.ts';
import { KeyError } from './key-error.ts';
import { parsePrivateKeyFile } from './private-key.ts';
import { parsePublicKey } from './public-key.ts';
import { SigningKey, generateSigningKey } from './signing-key.ts';

// ssh-keygen reads the times of -V in the local zone.
process.env['TZ'] = 'UTC';

const madeKeys = [
  makeKey('-t', 'ed25519'),
  makeKey('-t', 'ecdsa', '-b', '256'),
  makeKey('-t', 'ecdsa', '-b', '384'),
  makeKey('-t', 'ecdsa', '-b', '521'),
  makeKey('-t', 'rsa', '-b', '2048'),
];
const securityKeys = [
  makeSecurityKey('sk-ssh-ed25519@openssh.com'),
  makeSecurityKey('sk-ecdsa-sha2-nistp256@openssh.com'),
];
const [{ privateKey: caFile, publicLine: caLine } = makeKey()] = madeKeys;
const ca = blobOf(caLine);
const now = new Date('2030-06-01T12:00:00Z');
const window = ['-V', '20300601000000:20300602000000'];

function blobOf(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64');
}

/** The blob of a certificate that ssh-keygen signs for a public key line. */
function certify(authorityFile: string, publicLine: string, ...parameters: string[]): Buffer {
  const { files } = sshKeygenIn({ ca: authorityFile, 'key.pub': publicLine }, [
    ...['-q', '-s', 'ca', '-I', 'the key id', ...parameters, 'key.pub'],
  ]);
  return blobOf(files.get('key-cert.pub')?.toString() ?? '');
}

function demands(change: Partial<CertificateDemands> = {}): CertificateDemands {
  return { role: 'user', principals: ['ada'], isTrusted: (blob) => blob.equals(ca), now, ...change };
}

function refusal(certificate: Certificate, change: Partial<CertificateDemands> = {}): string | undefined {
  try {
    checkCertificate(certificate, demands(change));
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
    assert.match(error.message, /^[A-Z][^\n]+$/);
    return error.code;
  }
  return undefined;
}

test("reads every field of ssh-keygen's certificates, for every type of key by every type of authority", () => {
  const subjects = [
    ...madeKeys.map(({ publicLine }) => publicLine),
    ...securityKeys.map(({ type, blob }) => `${type} ${blob.toString('base64')}`),
  ];
  for (const authority of madeKeys) {
    for (const subject of subjects) {
      const blob = certify(
        authority.privateKey,
        subject,
        '-z',
        '18446744073709551615',
        '-n',
        'ada,eve',
        ...window,
      );
      const certificate = parseCertificate(blob);
      assert.equal(certificate.role, 'user');
      assert.deepEqual(certificate.key.blob, blobOf(subject));
      assert.equal(certificate.key.fingerprint, parsePublicKey(subject).fingerprint);
      assert.deepEqual(certificate.authority.blob, blobOf(authority.publicLine));
      assert.equal(certificate.serial, 0xffff_ffff_ffff_ffffn);
      assert.equal(certificate.keyId, 'the key id');
      assert.deepEqual(certificate.principals, ['ada', 'eve']);
      assert.equal(certificate.validAfter, BigInt(Date.UTC(2030, 5, 1) / 1000));
      assert.equal(certificate.validBefore, BigInt(Date.UTC(2030, 5, 2) / 1000));
      assert.deepEqual(
        [...certificate.extensions.keys()],
        [
          'permit-X11-forwarding',
          'permit-agent-forwarding',
          'permit-port-forwarding',
          'permit-pty',
          'permit-user-rc',
        ],
      );
      assert.deepEqual(certificate.criticalOptions, new Map());
      const isTrusted = (key: Buffer): boolean => key.equals(blobOf(authority.publicLine));
      assert.equal(refusal(certificate, { isTrusted }), undefined);
      assert.equal(refusal(certificate, { isTrusted, principals: ['bob', 'eve'] }), undefined);
    }
  }
});

test('takes host certificates for hosts and user certificates for users', () => {
  const host = parseCertificate(certify(caFile, caLine, '-h', '-n', 'ssh.example.com', ...window));
  assert.equal(host.role, 'host');
  const forHost = { role: 'host', principals: ['ssh.example.com'] } as const;
  assert.equal(refusal(host, forHost), undefined);
  assert.equal(refusal(host, { ...forHost, role: 'user' }), 'certificate_role');
  assert.equal(refusal(host, { ...forHost, principals: ['example.com'] }), 'certificate_principal');
  const user = parseCertificate(certify(caFile, caLine, '-n', 'ssh.example.com', ...window));
  assert.equal(refusal(user, forHost), 'certificate_role');
});

test('refuses what is not yet or no longer valid, to the second', () => {
  const certificate = parseCertificate(certify(caFile, caLine, '-n', 'ada', ...window));
  const at = (time: string): string | undefined => refusal(certificate, { now: new Date(time) });
  assert.equal(at('2030-05-31T23:59:59.999Z'), 'certificate_not_yet_valid');
  assert.equal(at('2030-06-01T00:00:00Z'), undefined);
  assert.equal(at('2030-06-01T23:59:59.999Z'), undefined);
  assert.equal(at('2030-06-02T00:00:00Z'), 'certificate_expired');
  assert.throws(() => checkCertificate(certificate, demands({ now: new Date(Number.NaN) })), RangeError);
  const always = parseCertificate(certify(caFile, caLine, '-n', 'ada', '-V', 'always:forever'));
  assert.equal(always.validBefore, validForever);
  assert.equal(refusal(always, { now: new Date('2200-01-01') }), undefined);
  assert.equal(refusal(always, { now: new Date(0) }), undefined);
});

test('refuses another name, no name at all, and another authority', () => {
  const certificate = parseCertificate(certify(caFile, caLine, '-n', 'ada', ...window));
  for (const principal of ['eve', 'ADA', 'ad', 'ada ', '*', '']) {
    assert.equal(refusal(certificate, { principals: [principal] }), 'certificate_principal', principal);
  }
  assert.equal(refusal(certificate, { principals: [] }), 'certificate_principal');
  assert.equal(refusal(certificate, { isTrusted: () => false }), 'certificate_authority');
  const forAll = parseCertificate(certify(caFile, caLine, ...window));
  assert.deepEqual(forAll.principals, []);
  assert.equal(refusal(forAll), 'certificate_principal');
  assert.equal(refusal(forAll, { principals: [''] }), 'certificate_principal');
});

test('keeps the critical options that it knows, and refuses those that it does not', () => {
  const optioned = (...options: string[]): Certificate =>
    parseCertificate(
      certify(caFile, caLine, '-n', 'ada', ...window, ...options.flatMap((option) => ['-O', option])),
    );
  const forced = checkCertificate(
    optioned('force-command=date -u', 'verify-required', 'no-touch-required'),
    demands(),
  );
  assert.deepEqual(forced, {
    forceCommand: 'date -u',
    sourceAddresses: undefined,
    touchRequired: false,
    userVerificationRequired: true,
  });
  const plain = checkCertificate(optioned('clear'), demands());
  assert.deepEqual(
    [plain.forceCommand, plain.touchRequired, plain.userVerificationRequired],
    [undefined, true, false],
  );

  const bound = optioned('source-address=192.0.2.0/24,2001:db8::/32');
  assert.equal(refusal(bound), 'certificate_source_address');
  for (const sourceAddress of ['198.51.100.1', '2001:db9::1', 'localhost', '']) {
    assert.equal(refusal(bound, { sourceAddress }), 'certificate_source_address', sourceAddress);
  }
  for (const sourceAddress of ['192.0.2.77', '::ffff:192.0.2.77', '2001:db8:1::1']) {
    assert.equal(refusal(bound, { sourceAddress }), undefined, sourceAddress);
  }

  assert.equal(refusal(optioned('critical:x@example.com=1')), 'certificate_critical_option');
  assert.equal(refusal(optioned('critical:verify-required=x')), 'certificate_critical_option');
  const extended = optioned('extension:login@example.com=ada', 'extension:flag@example.com');
  assert.equal(refusal(extended), undefined);
  assert.deepEqual(extended.extensions.get('login@example.com'), new Writer().string('ada').toBuffer());
  assert.deepEqual(extended.extensions.get('flag@example.com'), Buffer.alloc(0));
  const forHost = signCertificate({
    ...{ ca: signer, role: 'host', publicKey: ca, keyId: '', principals: ['ada'] },
    ...{ validAfter: new Date(0), validBefore: 'forever', criticalOptions: { 'force-command': 'id' } },
  });
  assert.equal(refusal(parseCertificate(forHost.blob), { role: 'host' }), 'certificate_critical_option');
});

const { key: signer } = parsePrivateKeyFile(caFile) as { key: SigningKey };

/** A certificate field by field, so that each can be wrong, signed by the authority all the same. */
function craft(change: Partial<Record<keyof typeof sound, Buffer>>): Buffer {
  const body = new Writer();
  for (const field of Object.values({ ...sound, ...change })) body.bytes(field);
  return new Writer().bytes(body.toBuffer()).string(signer.sign(body.toBuffer())).toBuffer();
}

const wire = (): Writer => new Writer();
const option = (name: string, value: string): Writer =>
  wire().string(name).string(wire().string(value).toBuffer());
const sound = {
  type: wire().string('ssh-ed25519-cert-v01@openssh.com').toBuffer(),
  nonce: wire().string('nonce').toBuffer(),
  key: ca.subarray(4 + 'ssh-ed25519'.length),
  serial: wire().uint64(0n).toBuffer(),
  role: wire().uint32(1).toBuffer(),
  keyId: wire().string('id').toBuffer(),
  principals: wire().string(wire().string('ada').toBuffer()).toBuffer(),
  validAfter: wire().uint64(0n).toBuffer(),
  validBefore: wire().uint64(validForever).toBuffer(),
  criticalOptions: wire().string('').toBuffer(),
  extensions: wire().string('').toBuffer(),
  reserved: wire().string('').toBuffer(),
  authority: wire().string(ca).toBuffer(),
};

function parseRefusal(blob: Buffer): string | undefined {
  try {
    parseCertificate(blob);
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
    return error.code;
  }
  return undefined;
}

test('refuses a certificate of a form that no authority should sign, though one did', () => {
  assert.equal(refusal(parseCertificate(craft({}))), undefined);
  const list = (...writers: Writer[]): Buffer =>
    wire()
      .string(Buffer.concat(writers.map((writer) => writer.toBuffer())))
      .toBuffer();
  const many = Array.from({ length: 257 }, (_, index) => wire().string(`user${index}`));
  const malformed: Parameters<typeof craft>[0][] = [
    { role: wire().uint32(0).toBuffer() },
    { role: wire().uint32(3).toBuffer() },
    { keyId: wire().string('a\0b').toBuffer() },
    {
      keyId: wire()
        .string(Buffer.from([0xff]))
        .toBuffer(),
    },
    { principals: list(wire().string('')) },
    { principals: list(wire().string('root\0x')) },
    { principals: list(wire().uint32(100)) },
    { principals: list(...many) },
    { criticalOptions: list(option('b', '1'), option('a', '1')) },
    { criticalOptions: list(option('a', '1'), option('a', '2')) },
    { extensions: list(option('permit-pty', ''), option('permit-pty', '')) },
    { extensions: list(wire().string('permit-pty')) },
    { reserved: Buffer.alloc(0) },
  ];
  for (const change of malformed) {
    assert.notEqual(parseRefusal(craft(change)), undefined, inspect(change));
  }
  const values: [string, Buffer][] = [
    ['force-command', Buffer.alloc(0)],
    ['force-command', Buffer.from('id')],
    ['force-command', wire().string('id').byte(0).toBuffer()],
    ['force-command', wire().string('id\0').toBuffer()],
    ['source-address', wire().string('').toBuffer()],
    ['source-address', wire().string('*').toBuffer()],
    ['source-address', wire().string('10.0.0.1/8').toBuffer()],
    ['source-address', wire().string('10.0.0.0/8,').toBuffer()],
    ['verify-required', wire().string('').toBuffer()],
    ['Force-command', wire().string('id').toBuffer()],
    ['', Buffer.alloc(0)],
  ];
  for (const [name, value] of values) {
    const certificate = parseCertificate(craft({ criticalOptions: list(wire().string(name).string(value)) }));
    const demand = { sourceAddress: '10.0.0.1' };
    assert.equal(refusal(certificate, demand), 'certificate_critical_option', `${name} ${value.toString()}`);
  }
});

test('refuses an authority that is itself a certificate, however it is written', () => {
  const nested = signUserCertificate({
    ...{ ca: signer, publicKey: ca, keyId: '', principals: ['ada'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  }).blob;
  assert.equal(parseRefusal(craft({ authority: wire().string(nested).toBuffer() })), 'certificate');
  assert.equal(parseRefusal(craft({ authority: wire().string('').toBuffer() })), 'truncated');
  assert.equal(parseRefusal(ca), 'unknown_type');
});

test('takes what a security key signed as an authority', () => {
  for (const device of securityKeys) {
    const body = new Writer();
    for (const field of Object.values({ ...sound, authority: wire().string(device.blob).toBuffer() })) {
      body.bytes(field);
    }
    const blob = new Writer().bytes(body.toBuffer()).string(device.sign(body.toBuffer())).toBuffer();
    assert.match(sshKeygenOn(`ssh-ed25519-cert-v01@openssh.com ${blob.toString('base64')}`, '-L'), /-SK /);
    const isTrusted = (key: Buffer): boolean => key.equals(device.blob);
    assert.equal(refusal(parseCertificate(blob), { isTrusted }), undefined);
  }
});

test('refuses the signature of another key, of SHA-1, and of the same key over something else', async () => {
  const other = await generateSigningKey('ssh-ed25519');
  const certificate = parseCertificate(craft({}));
  const signedWith = (signature: Buffer): Certificate => ({ ...certificate, signature });
  assert.equal(refusal(signedWith(other.sign(certificate.signedBytes))), 'certificate_signature');
  assert.equal(refusal(signedWith(signer.sign(certificate.blob))), 'certificate_signature');
  assert.equal(refusal(signedWith(Buffer.alloc(0))), 'certificate_signature');
  const rsa = parsePrivateKeyFile(madeKeys.at(-1)?.privateKey ?? '').key as SigningKey;
  const blob = certify(
    madeKeys.at(-1)?.privateKey ?? '',
    caLine,
    '-n',
    'ada',
    ...window,
    '-t',
    'rsa-sha2-256',
  );
  const byRsa = parseCertificate(blob);
  const isTrusted = (key: Buffer): boolean => key.equals(rsa.publicKey.blob);
  assert.equal(refusal(byRsa, { isTrusted }), undefined);
  const bySha1 = certify(madeKeys.at(-1)?.privateKey ?? '', caLine, '-n', 'ada', ...window, '-t', 'ssh-rsa');
  assert.equal(refusal(parseCertificate(bySha1), { isTrusted }), 'certificate_signature');
});

test('a certificate cut anywhere is refused, and one with a bit changed is not good', () => {
  for (const { privateKey, publicLine } of madeKeys) {
    const blob = certify(privateKey, publicLine, '-n', 'ada', ...window, '-O', 'source-address=10.0.0.0/8');
    const isTrusted = (key: Buffer): boolean => key.equals(blobOf(publicLine));
    const change = { isTrusted, sourceAddress: '10.1.1.1' };
    assert.equal(refusal(parseCertificate(blob), change), undefined);
    for (let length = 0; length < blob.length; length += 1) {
      assert.notEqual(parseRefusal(blob.subarray(0, length)), undefined);
    }
    assert.equal(parseRefusal(Buffer.concat([blob, Buffer.alloc(1)])), 'certificate_malformed');
    // The large ones are the same fields with longer numbers.
    const step = blob.length < 600 ? 3 : 13;
    for (let bit = 0; bit < blob.length * 8; bit += step) {
      const changed = Buffer.from(blob);
      changed[bit >> 3] = changed.readUInt8(bit >> 3) ^ (1 << (bit & 7));
      const code = parseRefusal(changed) ?? refusal(parseCertificate(changed), change);
      assert.notEqual(code, undefined, `bit ${bit}`);
    }
  }
});

test('reads back what it signs, whatever that says', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => !value.includes('\0'));
  const names = fc.array(text, { minLength: 1, maxLength: 5 });
  const values = fc.record({
    role: fc.constantFrom('user' as const, 'host' as const),
    keyId: text,
    serial: fc.bigInt({ min: 0n, max: validForever }),
    principals: names,
    from: fc.nat(0x7fffffff),
    seconds: fc.integer({ min: 1, max: 0x7fffffff }),
    command: text,
    extensions: names,
  });
  fc.assert(
    fc.property(values, ({ from, seconds, command, extensions, ...rest }) => {
      const { blob } = signCertificate({
        ...rest,
        ca: signer,
        publicKey: ca,
        validAfter: new Date(from * 1000),
        validBefore: new Date((from + seconds) * 1000),
        criticalOptions: { 'force-command': command },
        extensions,
      });
      const certificate = parseCertificate(blob);
      assert.deepEqual(
        {
          role: certificate.role,
          keyId: certificate.keyId,
          serial: certificate.serial,
          principals: certificate.principals,
        },
        rest,
      );
      assert.equal(certificate.validAfter, BigInt(from));
      assert.equal(certificate.validBefore, BigInt(from + seconds));
      assert.equal(certificate.extensions.size, new Set(extensions).size);
      if (rest.role === 'user') {
        const rules = checkCertificate(
          certificate,
          demands({ principals: rest.principals, now: new Date(from * 1000) }),
        );
        assert.equal(rules.forceCommand, command);
      }
    }),
    { numRuns: 200 },
  );
});

test('throws only KeyError for a certificate that was changed anywhere', () => {
  const originals = fc.constantFrom(
    ...madeKeys.map(({ privateKey, publicLine }) => certify(privateKey, publicLine, '-n', 'ada', ...window)),
  );
  const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
  fc.assert(
    fc.property(originals, fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat(3), (blob, edits, cut) => {
      const changed = Buffer.from(blob.subarray(0, blob.length - cut));
      for (const [at, byte] of edits) changed[Math.floor(at * (changed.length - 1))] = byte;
      if (parseRefusal(changed) !== undefined) return;
      const code = refusal(parseCertificate(changed), { isTrusted: () => true });
      assert.equal(code === undefined, changed.equals(blob));
    }),
    { numRuns: 2000 },
  );
});
