// Key revocation lists (KRLs, OpenSSH's PROTOCOL.krl), as `ssh-keygen -k` writes them: keys and certificates
// that must no longer be believed, by key, fingerprint, serial number or key ID. Called with the file once,
// and then with each key that somebody has proven to hold.
//
// A list that cannot be understood to its end is refused: what it was to forbid would be let in. As in OpenSSH
// a list cannot name serial 0, which authorities give that do not count, and revoking an authority's key revokes
// what it signed.

import { hash } from 'node:crypto';
import { Reader } from '../wire.ts';
import { type Certificate, isCertificate, parseCertificate } from './certificate.ts';
import { KeyError, readOrRefuse } from './key-error.ts';
import { parseVerificationKey } from './verification-key.ts';

const magic = Buffer.from('SSHKRL\n\0');
const formatVersion = 1;
const maximumSerial = 0xffff_ffff_ffff_ffffn;
const sections = {
  certificates: 1,
  explicitKeys: 2,
  sha1Fingerprints: 3,
  signature: 4,
  sha256Fingerprints: 5,
  extension: 255,
};
const certificateSections = {
  serialList: 0x20,
  serialRange: 0x21,
  serialBitmap: 0x22,
  keyIds: 0x23,
  extension: 0x39,
};

/** What is revoked of one authority's certificates. */
interface RevokedCertificates {
  /** The authority's blob; undefined for every authority. */
  readonly authority: Buffer | undefined;
  readonly serials: Set<bigint>;
  readonly ranges: { readonly first: bigint; readonly last: bigint }[];
  /** Bit n of the number is serial `first + n`. */
  readonly bitmaps: { readonly first: bigint; readonly bytes: Buffer }[];
  readonly keyIds: Set<string>;
}

export class RevocationList {
  /** Counts up with each edition, when whoever writes the list says so. */
  readonly version: bigint;
  readonly generatedAt: Date;
  /** As it is in the file: to be cleaned before it is shown. */
  readonly comment: string;
  /** The blobs of the keys that signed the list, each signature checked; whom to trust is the caller's. */
  readonly signers: readonly Buffer[];
  readonly #keys = new Set<string>();
  readonly #sha1 = new Set<string>();
  readonly #sha256 = new Set<string>();
  readonly #certificates: RevokedCertificates[] = [];

  /**
   * Reads the content of a KRL file. Throws KeyError: `revocation_list_malformed`, or
   * `revocation_list_signature` when a signature in it is not good.
   */
  constructor(file: Uint8Array) {
    const bytes = Buffer.from(file);
    const { version, generatedAt, comment, signers } = readOrRefuse(
      () => this.#read(bytes),
      ({ message }) => malformed(message),
    );
    this.version = version;
    this.generatedAt = generatedAt;
    this.comment = comment;
    this.signers = signers;
  }

  /**
   * Whether a key, or a certificate, its key, or its authority, is revoked. `blob` is as it was sent. Throws
   * KeyError for a certificate that is malformed.
   */
  isRevoked(blob: Uint8Array): boolean {
    const bytes = Buffer.from(blob);
    const certificate = isCertificate(bytes) ? parseCertificate(bytes) : undefined;
    if (certificate === undefined) return this.#isKeyRevoked(bytes);
    return (
      this.#isKeyRevoked(certificate.key.blob) ||
      this.#isKeyRevoked(certificate.authority.blob) ||
      this.#certificates.some((revoked) => isCertificateRevoked(revoked, certificate))
    );
  }

  #isKeyRevoked(blob: Buffer): boolean {
    return (
      this.#keys.has(blob.toString('latin1')) ||
      (this.#sha1.size > 0 && this.#sha1.has(hash('sha1', blob, 'latin1'))) ||
      (this.#sha256.size > 0 && this.#sha256.has(hash('sha256', blob, 'latin1')))
    );
  }

  #read(bytes: Buffer): { version: bigint; generatedAt: Date; comment: string; signers: Buffer[] } {
    const reader = new Reader(bytes);
    if (!reader.bytes(magic.length, 'magic').equals(magic)) throw malformed('it does not start as one');
    const format = reader.uint32('format version');
    if (format !== formatVersion) throw malformed(`its format version is ${format}`);
    const version = reader.uint64('version');
    const generatedAt = new Date(Number(reader.uint64('date')) * 1000);
    reader.uint64('flags');
    reader.string('reserved');
    const comment = reader.string('comment').toString('utf8');
    const signers: Buffer[] = [];
    while (reader.remaining > 0) {
      const type = reader.byte('section type');
      const section = reader.string('section');
      if (type === sections.signature) {
        // Over everything from the start of the file to the signing key.
        const signed = bytes.subarray(0, bytes.length - reader.remaining);
        signers.push(checkSignature(section, signed, reader.string('signature')));
      } else if (signers.length > 0) {
        throw malformed('a section after the signature');
      } else {
        this.#readSection(type, section);
      }
    }
    return { version, generatedAt, comment, signers };
  }

  #readSection(type: number, section: Buffer): void {
    switch (type) {
      case sections.certificates:
        this.#certificates.push(readCertificates(new Reader(section)));
        return;
      case sections.explicitKeys:
        readStrings(section, this.#keys);
        return;
      case sections.sha1Fingerprints:
        readStrings(section, this.#sha1, 20);
        return;
      case sections.sha256Fingerprints:
        readStrings(section, this.#sha256, 32);
        return;
      case sections.extension:
        skipExtension(section);
        return;
      default:
        throw malformed(`a section of unknown type ${type}`);
    }
  }
}

function isCertificateRevoked(revoked: RevokedCertificates, certificate: Certificate): boolean {
  const { authority, serials, ranges, bitmaps, keyIds } = revoked;
  if (authority !== undefined && !authority.equals(certificate.authority.blob)) return false;
  if (keyIds.has(certificate.keyId)) return true;
  const { serial } = certificate;
  return (
    serials.has(serial) ||
    ranges.some(({ first, last }) => serial >= first && serial <= last) ||
    bitmaps.some(({ first, bytes }) => isBitSet(bytes, serial - first))
  );
}

/** Of a big-endian number. */
function isBitSet(bytes: Buffer, bit: bigint): boolean {
  if (bit < 0n || bit >= BigInt(bytes.length) * 8n) return false;
  const index = Number(bit);
  const byte = bytes[bytes.length - 1 - Math.floor(index / 8)] ?? 0;
  return ((byte >> (index % 8)) & 1) === 1;
}

function readCertificates(reader: Reader): RevokedCertificates {
  const authority = Buffer.from(reader.string('authority'));
  reader.string('reserved');
  if (authority.length > 0) parseVerificationKey(authority, { minimumRsaBits: 1024 });
  const revoked: RevokedCertificates = {
    authority: authority.length > 0 ? authority : undefined,
    ...{ serials: new Set(), ranges: [], bitmaps: [], keyIds: new Set() },
  };
  while (reader.remaining > 0) {
    const type = reader.byte('certificate section type');
    readCertificateSection(type, reader.string('certificate section'), revoked);
  }
  return revoked;
}

function readCertificateSection(type: number, section: Buffer, revoked: RevokedCertificates): void {
  const reader = new Reader(section);
  switch (type) {
    case certificateSections.serialList:
      while (reader.remaining > 0) revoked.serials.add(refuseZero(reader.uint64('serial')));
      break;
    case certificateSections.serialRange: {
      const first = refuseZero(reader.uint64('first serial'));
      const last = reader.uint64('last serial');
      if (last < first) throw malformed('a range of serials that ends before it begins');
      revoked.ranges.push({ first, last });
      break;
    }
    case certificateSections.serialBitmap: {
      const first = reader.uint64('first serial');
      const bytes = Buffer.from(reader.unsignedMpint('bitmap'));
      const bits = bytes.length * 8 - Math.clz32(bytes[0] ?? 0) + 24;
      if (first + BigInt(bits - 1) > maximumSerial) throw malformed('a bitmap beyond the last serial');
      if (first === 0n && isBitSet(bytes, 0n)) refuseZero(first);
      revoked.bitmaps.push({ first, bytes });
      break;
    }
    case certificateSections.keyIds:
      while (reader.remaining > 0) revoked.keyIds.add(reader.text('key ID'));
      break;
    case certificateSections.extension:
      skipExtension(section);
      return;
    default:
      throw malformed(`a certificate section of unknown type ${type}`);
  }
  reader.end('certificate section');
}

function refuseZero(serial: bigint): bigint {
  if (serial === 0n) throw malformed('serial 0, which is that of all certificates without a number');
  return serial;
}

function readStrings(section: Buffer, into: Set<string>, bytes?: number): void {
  const reader = new Reader(section);
  while (reader.remaining > 0) {
    const value = reader.string('revoked key');
    if (bytes !== undefined && value.length !== bytes) throw malformed('a fingerprint of a wrong length');
    into.add(value.toString('latin1'));
  }
}

/** Throws for one that says it must be understood. */
function skipExtension(section: Buffer): void {
  const reader = new Reader(section);
  reader.string('extension name');
  const isCritical = reader.boolean('critical');
  reader.string('extension content');
  reader.end('extension');
  if (isCritical) throw malformed('an extension that must be understood and is not');
}

function checkSignature(signer: Buffer, signed: Buffer, signature: Buffer): Buffer {
  const key = parseVerificationKey(signer);
  const isGood = key.signatureAlgorithms.some(
    (algorithm) => key.verify(algorithm, signed, signature, { touchRequired: false }) !== undefined,
  );
  if (!isGood) {
    throw new KeyError('revocation_list_signature', 'A signature of this revocation list is not good.');
  }
  return Buffer.from(signer);
}

function malformed(reason: string): KeyError {
  return new KeyError(
    'revocation_list_malformed',
    `This is no revocation list that can be used (${reason}).`,
  );
}
