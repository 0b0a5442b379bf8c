// Revocation lists that ssh-keygen writes, asked the same questions as ssh-keygen; and lists that it would not
// write.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeSecurityKey } from '../testing/security-key.ts';
import { makeKey, sshKeygenIn } from '../testing/ssh-keygen.ts';
import { Writer } from '../wire.ts';
import { signUserCertificate } from './certificate-authority.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError } from './key-error.ts';
import { parsePrivateKeyFile } from './private-key.ts';
import { parsePublicKey } from './public-key.ts';
import { RevocationList } from './revocation-list.ts';
import type { SigningKey } from './signing-key.ts';

const { publicLine: caLine, privateKey: caFile } = makeKey('-t', 'ed25519', '-C', '');
const ca = parsePublicKey(caLine);
const { key: signer } = parsePrivateKeyFile(caFile) as { key: SigningKey };
const { key: otherSigner } = parsePrivateKeyFile(makeKey('-t', 'ecdsa').privateKey) as { key: SigningKey };
const keys = [
  makeKey('-t', 'ed25519', '-C', ''),
  makeKey('-t', 'ecdsa', '-C', ''),
  makeKey('-t', 'rsa', '-b', '2048', '-C', ''),
].map(({ publicLine }) => parsePublicKey(publicLine));
const [ed25519 = ca, ecdsa = ca, rsa = ca] = keys;
const securityKey = makeSecurityKey('sk-ssh-ed25519@openssh.com');

function certificate(serial: bigint, keyId = `id ${serial}`, by = signer): Buffer {
  return signUserCertificate({
    ...{ ca: by, publicKey: ed25519.blob, serial, keyId, principals: ['ada'] },
    ...{ validAfter: new Date(0), validBefore: 'forever' },
  }).blob;
}

/** The list that ssh-keygen writes of a specification (KEY REVOCATION LISTS in ssh-keygen(1)). */
function listOf(specification: string, ...parameters: string[]): Buffer {
  const { files } = sshKeygenIn({ specification, 'ca.pub': caLine }, [
    ...['-q', '-k', '-f', 'list', ...parameters, 'specification'],
  ]);
  return files.get('list') ?? Buffer.alloc(0);
}

/** Whether ssh-keygen finds each key or certificate revoked. */
function revokedForOpenSsh(list: Buffer, blobs: readonly Buffer[]): boolean[] {
  const files: Record<string, string | Buffer> = { list };
  for (const [index, blob] of blobs.entries()) {
    const type = blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
    files[`${index}.pub`] = `${type} ${blob.toString('base64')}\n`;
  }
  const names = Object.keys(files).filter((name) => name !== 'list');
  const printed = printedBy(() => sshKeygenIn(files, ['-Q', '-f', 'list', ...names]).printed);
  return blobs.map((_, index) => {
    const [, answer] = new RegExp(`^${index}\\.pub.*: (ok|REVOKED)$`, 'm').exec(printed) ?? [];
    assert.ok(answer, printed);
    return answer === 'REVOKED';
  });
}

/** ssh-keygen fails when one of several keys is revoked, and has answered for all. */
function printedBy(call: () => string): string {
  try {
    return call();
  } catch (error) {
    return String((error as { stdout?: string }).stdout);
  }
}

function isRevokedForOpenSsh(list: Buffer, blob: Buffer): boolean {
  return revokedForOpenSsh(list, [blob])[0] === true;
}

test('knows keys that are revoked by themselves and by both fingerprints, and their certificates', () => {
  const list = listOf(`key: ${ed25519.line}\nsha1: ${ecdsa.line}\nhash: ${rsa.fingerprint}\n`);
  const read = new RevocationList(list);
  for (const { blob } of keys) assert.ok(read.isRevoked(blob) && isRevokedForOpenSsh(list, blob));
  assert.ok(!read.isRevoked(ca.blob));
  assert.ok(!read.isRevoked(securityKey.blob));
  assert.ok(read.isRevoked(certificate(1n)));
  assert.ok(isRevokedForOpenSsh(list, certificate(1n)));

  const withSecurityKey = `sha256: sk-ssh-ed25519@openssh.com ${securityKey.blob.toString('base64')}\n`;
  assert.ok(new RevocationList(listOf(withSecurityKey)).isRevoked(securityKey.blob));
  assert.ok(!new RevocationList(listOf(withSecurityKey)).isRevoked(ed25519.blob));
});

test('knows certificates by serial, in lists, ranges and bitmaps, as ssh-keygen does', () => {
  const specifications = [
    'serial: 5\nserial: 7000000\nserial: 18446744073709551615\n',
    'serial: 10-4000\n',
    'serial: 18446744073709551600-18446744073709551615\n',
    Array.from({ length: 40 }, (_, index) => `serial: ${1000 + index * 3}\n`).join(''),
    `serial: 1\nserial: 3\nserial: 4\nserial: 6\nserial: 64\nserial: 65\nserial: 127\nserial: 128\n`,
  ];
  const serials = [
    0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 63, 64, 65, 66, 127, 128, 129, 999, 1000, 1001, 1003, 1117, 1118,
  ]
    .map(BigInt)
    .concat([4000n, 4001n, 7000000n, 2n ** 64n - 17n, 2n ** 64n - 16n, 2n ** 64n - 1n]);
  const seen = new Set<number>();
  for (const specification of specifications) {
    const list = listOf(specification, '-s', 'ca.pub');
    const read = new RevocationList(list);
    for (const type of sectionTypes(list)) seen.add(type);
    const blobs = serials.map((serial) => certificate(serial));
    const ours = blobs.map((blob) => read.isRevoked(blob));
    assert.deepEqual(ours, revokedForOpenSsh(list, blobs), specification);
    assert.ok(ours.includes(true) && ours.includes(false));
    assert.ok(!serials.some((serial) => read.isRevoked(certificate(serial, '', otherSigner))));
    assert.ok(!read.isRevoked(ed25519.blob));
  }
  assert.deepEqual([...seen].sort(), [0x20, 0x21, 0x22]);
});

/** The types of the certificate sections in a list that has one section. */
function sectionTypes(list: Buffer): number[] {
  const at = list.indexOf(ca.blob) + ca.blob.length + 4;
  const types: number[] = [];
  for (let offset = at; offset < list.length; offset += 5 + list.readUInt32BE(offset + 1)) {
    types.push(list.readUInt8(offset));
  }
  return types;
}

test('refuses a list with serial 0, which is that of authorities that do not count, as ssh-keygen does', () => {
  for (const section of [
    certificates(0x20, new Writer().uint64(4n).uint64(0n)),
    certificates(0x21, new Writer().uint64(0n).uint64(2n)),
    certificates(0x22, new Writer().uint64(0n).mpint(0x11n)),
  ]) {
    assert.equal(refusal(list(section)), 'revocation_list_malformed');
    assert.throws(() => isRevokedForOpenSsh(list(section), certificate(0n)));
  }
  const next = list(certificates(0x22, new Writer().uint64(0n).mpint(0x12n)));
  for (const [serial, isRevoked] of [
    [0n, false],
    [1n, true],
    [2n, false],
    [4n, true],
  ] as const) {
    assert.equal(new RevocationList(next).isRevoked(certificate(serial)), isRevoked);
    assert.equal(isRevokedForOpenSsh(next, certificate(serial)), isRevoked);
  }
});

test('knows certificates by key ID', () => {
  const list = listOf('id: the laptop\nid: ü\n', '-s', 'ca.pub');
  const read = new RevocationList(list);
  for (const [keyId, isRevoked] of [
    ['the laptop', true],
    ['ü', true],
    ['the', false],
    ['', false],
  ] as const) {
    assert.equal(read.isRevoked(certificate(0n, keyId)), isRevoked);
    assert.equal(isRevokedForOpenSsh(list, certificate(0n, keyId)), isRevoked);
    assert.ok(!read.isRevoked(certificate(0n, keyId, otherSigner)));
  }
});

test("revokes for every authority when the list names none, and with an authority's key all that it signed", () => {
  const list = listOf('serial: 9\n', '-s', 'none');
  assert.ok(new RevocationList(list).isRevoked(certificate(9n)));
  assert.ok(new RevocationList(list).isRevoked(certificate(9n, '', otherSigner)));
  assert.ok(!new RevocationList(list).isRevoked(certificate(8n)));
  const ofCa = listOf(`key: ${caLine}`);
  assert.ok(new RevocationList(ofCa).isRevoked(certificate(1n)));
  assert.ok(isRevokedForOpenSsh(ofCa, certificate(1n)));
  assert.ok(!new RevocationList(ofCa).isRevoked(certificate(1n, '', otherSigner)));
});

test('reads the version and time of a list, and an empty one', () => {
  const before = Math.floor(Date.now() / 1000) * 1000;
  const read = new RevocationList(listOf('', '-z', '77'));
  assert.equal(read.version, 77n);
  assert.ok(read.generatedAt.getTime() >= before && read.generatedAt.getTime() <= Date.now());
  assert.equal(read.comment, '');
  assert.deepEqual(read.signers, []);
  assert.ok(!read.isRevoked(ed25519.blob));
});

function list(...parts: Writer[]): Buffer {
  const writer = new Writer().bytes(Buffer.from('SSHKRL\n\0')).uint32(1);
  writer.uint64(1n).uint64(0n).uint64(0n).string('').string('made here');
  for (const part of parts) writer.bytes(part.toBuffer());
  return writer.toBuffer();
}

function section(type: number, content: Writer): Writer {
  return new Writer().byte(type).string(content.toBuffer());
}

function certificates(type: number, content: Writer): Writer {
  return section(1, new Writer().string(ca.blob).string('').bytes(section(type, content).toBuffer()));
}

function refusal(bytes: Uint8Array): string | undefined {
  try {
    new RevocationList(bytes).isRevoked(certificate(1n));
  } catch (error) {
    assert.ok(error instanceof KeyError, String(error));
    return error.code;
  }
  return undefined;
}

test('refuses a list that it does not understand to its end', () => {
  const extension = (isCritical: boolean): Writer =>
    new Writer().string('x@example.com').boolean(isCritical).string('');
  assert.equal(
    refusal(list(section(255, extension(false)), certificates(0x39, extension(false)))),
    undefined,
  );
  const bad = [
    Buffer.alloc(0),
    Buffer.from('ssh-ed25519 AAAA'),
    list(section(6, new Writer())),
    list(section(255, extension(true))),
    list(certificates(0x39, extension(true))),
    list(certificates(0x24, new Writer())),
    list(certificates(0x21, new Writer().uint64(2n).uint64(1n))),
    list(certificates(0x21, new Writer().uint64(1n).uint64(2n).byte(0))),
    list(certificates(0x22, new Writer().uint64(1n).string(Buffer.from([0x80])))),
    list(certificates(0x22, new Writer().uint64(1n).string(Buffer.from([0, 1])))),
    list(certificates(0x22, new Writer().uint64(2n ** 64n - 8n).mpint(0x100n))),
    list(section(3, new Writer().string(Buffer.alloc(19)))),
    list(section(5, new Writer().string(Buffer.alloc(20)))),
    list(section(2, new Writer().uint32(5))),
    Buffer.concat([list(), Buffer.alloc(1)]),
  ];
  for (const bytes of bad) assert.equal(refusal(bytes), 'revocation_list_malformed', bytes.toString('hex'));
  assert.equal(
    refusal(list(certificates(0x22, new Writer().uint64(2n ** 64n - 8n).mpint(0x80n)))),
    undefined,
  );
  const wrongVersion = list();
  wrongVersion.writeUInt32BE(2, 8);
  assert.equal(refusal(wrongVersion), 'revocation_list_malformed');
});

test('checks the signatures on a list and says whose they are', () => {
  // ssh-keygen no longer signs lists, so these are made here, as PROTOCOL.krl says.
  const sign = (unsigned: Buffer, key: SigningKey): Buffer => {
    const withKey = Buffer.concat([unsigned, section(4, new Writer().bytes(key.publicKey.blob)).toBuffer()]);
    return Buffer.concat([withKey, new Writer().string(key.sign(withKey)).toBuffer()]);
  };
  const unsigned = list(section(2, new Writer().string(ed25519.blob)));
  const once = sign(unsigned, signer);
  const twice = sign(once, otherSigner);
  assert.deepEqual(new RevocationList(once).signers.map(fingerprint), [ca.fingerprint]);
  assert.deepEqual(new RevocationList(twice).signers, [ca.blob, otherSigner.publicKey.blob]);
  assert.ok(new RevocationList(twice).isRevoked(ed25519.blob));
  const changed = Buffer.from(once);
  changed[unsigned.length - 1] = changed.readUInt8(unsigned.length - 1) ^ 1;
  assert.equal(refusal(changed), 'revocation_list_signature');
  const added = Buffer.concat([once, section(2, new Writer().string(ecdsa.blob)).toBuffer()]);
  assert.equal(refusal(added), 'revocation_list_malformed');
});

const wholeLists = [
  listOf('serial: 1-9\nserial: 100\nserial: 102\nserial: 105\nid: x\n', '-s', 'ca.pub'),
  listOf(`key: ${ed25519.line}\nsha1: ${ecdsa.line}\nhash: ${rsa.fingerprint}\n`),
];

test('refuses a list that was cut', () => {
  for (const whole of wholeLists) {
    const read = new RevocationList(whole);
    assert.ok(read.isRevoked(certificate(1n)));
    for (let length = 0; length < whole.length; length += 1) {
      // Cut between two sections it is a whole list again, of less: only a signature could tell.
      if (refusal(whole.subarray(0, length)) === undefined) {
        assert.ok(!isRevokedForOpenSsh(whole.subarray(0, length), rsa.blob));
      }
    }
  }
});

test('throws only KeyError for a list that was changed anywhere', () => {
  const edit = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...wholeLists),
      fc.array(edit, { maxLength: 4 }),
      fc.nat(3),
      (whole, edits, cut) => {
        const changed = Buffer.from(whole.subarray(0, whole.length - cut));
        for (const [at, byte] of edits) changed[Math.floor(at * (changed.length - 1))] = byte;
        refusal(changed);
      },
    ),
    { numRuns: 2000 },
  );
});
