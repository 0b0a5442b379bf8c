// OpenSSH certificates (PROTOCOL.certkeys): an authority says for some time that a key may log in under some
// names (a user certificate) or that it is a host's of some names (a host certificate). Called with what a
// client or server sent. `parseCertificate` only reads; nothing in a certificate is to be believed before
// `checkCertificate` has found it good. certificate-authority.ts makes them.
//
// Stricter than OpenSSH where leniency has hurt: a certificate without names is good for nobody, and options
// must be in order and once each, as PROTOCOL.certkeys demands of them.

import { Reader, Writer } from '../wire.ts';
import { type PublicKeyType, keyTypeOfCertificate } from './algorithms.ts';
import { KeyError, readOrRefuse } from './key-error.ts';
import { type Network, parseNetworks, printable } from './pattern-list.ts';
import {
  VerificationKey,
  type VerifiedSignature,
  parseVerificationKey,
  publicKeyRefusal,
  readKeyMaterial,
} from './verification-key.ts';

export type CertificateRole = 'user' | 'host';

export interface Certificate {
  /** The whole blob, as it is sent. */
  readonly blob: Buffer;
  /** Such as `ssh-ed25519-cert-v01@openssh.com`. */
  readonly type: string;
  readonly role: CertificateRole;
  /** The key that is certified. */
  readonly key: VerificationKey;
  /** Chosen by the authority; 0 when it does not count. */
  readonly serial: bigint;
  /** For logs. The authority's word, so to be cleaned before it is shown. */
  readonly keyId: string;
  /** User or host names. */
  readonly principals: readonly string[];
  /** First second since 1970 in which it is good. */
  readonly validAfter: bigint;
  /** First second since 1970 in which it is no longer good; `validForever` is the largest. */
  readonly validBefore: bigint;
  /** By name, each with its value as it is in the blob. */
  readonly criticalOptions: ReadonlyMap<string, Buffer>;
  /** By name, known or not, each with its value as it is in the blob; empty for those that permit something. */
  readonly extensions: ReadonlyMap<string, Buffer>;
  readonly authority: VerificationKey;
  /** What the authority signed, and its signature blob. */
  readonly signedBytes: Buffer;
  readonly signature: Buffer;
}

export interface CertificateDemands {
  readonly role: CertificateRole;
  /** The certificate must name at least one of these. */
  readonly principals: readonly string[];
  /** Whether the key with this blob is an authority that is trusted for this role. */
  readonly isTrusted: (authority: Buffer) => boolean;
  /** Where the connection comes from. Without it a certificate that is bound to addresses is refused. */
  readonly sourceAddress?: string | undefined;
  readonly now?: Date;
}

/** What a good certificate demands of the connection that it lets in. */
export interface CertificateRules {
  /** The only command that may run, if there is one. */
  readonly forceCommand: string | undefined;
  /** The networks that it may be used from; those of the connection have been checked. */
  readonly sourceAddresses: readonly Network[] | undefined;
  /** For `verify` with the certified key, when that is a security key's. */
  readonly touchRequired: boolean;
  readonly userVerificationRequired: boolean;
}

export const validForever = 0xffff_ffff_ffff_ffffn;
/** OpenSSH refuses a certificate with more. */
export const maximumPrincipals = 256;
export const roleNumbers: Record<CertificateRole, number> = { user: 1, host: 2 };

/** Whether a blob says that it is a certificate; not whether it is a whole or a good one. */
export function isCertificate(blob: Uint8Array): boolean {
  try {
    return keyTypeOfCertificate(new Reader(blob).string('key type').toString('latin1')) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Reads a certificate's blob. Throws KeyError: `certificate_malformed`, or a public key's code for what is
 * wrong with the certified key or the authority's. An authority that is itself a certificate is refused.
 * `minimumRsaBits` is what is demanded of the certified key, 2048 unless told otherwise.
 */
export function parseCertificate(blob: Uint8Array, { minimumRsaBits = 2048 } = {}): Certificate {
  return readOrRefuse(
    () => readCertificate(Buffer.from(blob), minimumRsaBits),
    ({ message }) => malformed(message),
  );
}

function readCertificate(blob: Buffer, minimumRsaBits: number): Certificate {
  const reader = new Reader(blob);
  const type = reader.string('certificate type').toString('latin1');
  const keyType = keyTypeOfCertificate(type);
  if (keyType === undefined) throw new KeyError('unknown_type', 'This is no certificate of a known type.');
  reader.string('nonce');
  const key = readCertifiedKey(keyType, reader, blob, minimumRsaBits);
  const serial = reader.uint64('serial');
  const roleNumber = reader.uint32('role');
  const role = roleNumber === 1 ? 'user' : roleNumber === 2 ? 'host' : undefined;
  if (role === undefined) throw malformed(`its role is ${roleNumber}`);
  const keyId = readName(reader, 'key ID');
  const principals = readPrincipals(reader.string('principals'));
  const validAfter = reader.uint64('valid after');
  const validBefore = reader.uint64('valid before');
  const criticalOptions = readOptions(reader.string('critical options'), 'critical option');
  const extensions = readOptions(reader.string('extensions'), 'extension');
  reader.string('reserved');
  const authority = parseVerificationKey(reader.string('authority'));
  const signedBytes = blob.subarray(0, blob.length - reader.remaining);
  const signature = reader.string('signature');
  reader.end('certificate');
  return {
    ...{ blob, type, role, key, serial, keyId, principals, validAfter, validBefore },
    ...{ criticalOptions, extensions, authority, signedBytes, signature },
  };
}

function readCertifiedKey(
  type: PublicKeyType,
  reader: Reader,
  blob: Buffer,
  minimumRsaBits: number,
): VerificationKey {
  const start = blob.length - reader.remaining;
  const material = readOrRefuse(() => readKeyMaterial(type, reader, minimumRsaBits), publicKeyRefusal);
  const fields = blob.subarray(start, blob.length - reader.remaining);
  return new VerificationKey(type, new Writer().string(type).bytes(fields).toBuffer(), material);
}

function readName(reader: Reader, what: string): string {
  const text = reader.text(what);
  // A C program would read only what comes before it.
  if (text.includes('\0')) throw malformed(`a zero byte in its ${what}`);
  return text;
}

function readPrincipals(packed: Buffer): string[] {
  const reader = new Reader(packed);
  const principals: string[] = [];
  while (reader.remaining > 0) {
    const principal = readName(reader, 'principal');
    if (principal === '') throw malformed('an empty principal');
    principals.push(principal);
  }
  if (principals.length > maximumPrincipals) throw malformed(`more than ${maximumPrincipals} principals`);
  return principals;
}

function readOptions(packed: Buffer, what: string): ReadonlyMap<string, Buffer> {
  const reader = new Reader(packed);
  const options = new Map<string, Buffer>();
  let previous: Buffer | undefined;
  while (reader.remaining > 0) {
    const bytes = reader.string(`${what} name`);
    if (previous !== undefined && Buffer.compare(previous, bytes) >= 0) {
      throw malformed(`${what}s that are out of order or there twice`);
    }
    previous = bytes;
    options.set(bytes.toString('latin1'), reader.string(`${what} value`));
  }
  return options;
}

/**
 * Finds a certificate good for what is demanded, or throws KeyError with the first of these that is wrong:
 * `certificate_role`, `certificate_authority`, `certificate_signature`, `certificate_not_yet_valid`,
 * `certificate_expired`, `certificate_principal`, `certificate_critical_option`,
 * `certificate_source_address`. Whether it was revoked is RevocationList's to say.
 */
export function checkCertificate(certificate: Certificate, demands: CertificateDemands): CertificateRules {
  const { role, principals, isTrusted, sourceAddress, now = new Date() } = demands;
  if (certificate.role !== role) {
    throw new KeyError(
      'certificate_role',
      `This is a ${certificate.role} certificate where a ${role} certificate is wanted.`,
    );
  }
  if (!isTrusted(certificate.authority.blob)) {
    throw new KeyError(
      'certificate_authority',
      `The authority that signed this certificate (${certificate.authority.fingerprint}) is not trusted here.`,
    );
  }
  if (verifyAuthority(certificate) === undefined) {
    throw new KeyError(
      'certificate_signature',
      'The signature of this certificate is not that of its authority.',
    );
  }
  checkTime(certificate, now);
  if (!principals.some((principal) => certificate.principals.includes(principal))) {
    throw new KeyError(
      'certificate_principal',
      'This certificate is for other names than the one asked for.',
    );
  }
  const rules = readRules(certificate);
  const { sourceAddresses } = rules;
  if (sourceAddresses !== undefined) {
    const isAllowed =
      sourceAddress !== undefined && sourceAddresses.some((network) => network.contains(sourceAddress));
    if (!isAllowed) {
      throw new KeyError(
        'certificate_source_address',
        'This certificate may not be used from the address of this connection.',
      );
    }
  }
  return rules;
}

function verifyAuthority({ authority, signedBytes, signature }: Certificate): VerifiedSignature | undefined {
  // The signature says itself which of its key's algorithms it is.
  for (const algorithm of authority.signatureAlgorithms) {
    // As in OpenSSH, whether somebody touched the authority's security key is the authority's business.
    const verified = authority.verify(algorithm, signedBytes, signature, { touchRequired: false });
    if (verified !== undefined) return verified;
  }
  return undefined;
}

function checkTime({ validAfter, validBefore }: Certificate, now: Date): void {
  const time = now.getTime() / 1000;
  if (Number.isNaN(time)) throw new RangeError('not a date');
  const second = BigInt(Math.floor(time));
  if (second < validAfter) {
    throw new KeyError(
      'certificate_not_yet_valid',
      `This certificate is not valid before ${moment(validAfter)}.`,
    );
  }
  if (second >= validBefore) {
    throw new KeyError('certificate_expired', `This certificate expired at ${moment(validBefore)}.`);
  }
}

function moment(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? `second ${seconds} after 1970` : date.toISOString();
}

/** Each known critical option of user certificates; there are none for hosts. */
function readRules({ role, criticalOptions, extensions }: Certificate): CertificateRules {
  const rules = {
    forceCommand: undefined as string | undefined,
    sourceAddresses: undefined as readonly Network[] | undefined,
    touchRequired: !extensions.has('no-touch-required'),
    userVerificationRequired: false,
  };
  for (const [name, value] of criticalOptions) {
    if (role === 'user' && name === 'force-command') {
      rules.forceCommand = textWithin(value, name);
    } else if (role === 'user' && name === 'source-address') {
      rules.sourceAddresses = readSourceAddresses(textWithin(value, name));
    } else if (role === 'user' && name === 'verify-required' && value.length === 0) {
      rules.userVerificationRequired = true;
    } else {
      throw new KeyError(
        'certificate_critical_option',
        `This certificate demands what is not known here (${printable(name)}).`,
      );
    }
  }
  return rules;
}

function readSourceAddresses(list: string): readonly Network[] {
  try {
    return parseNetworks(list);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new KeyError(
      'certificate_critical_option',
      `The value of source-address cannot be read. ${error.message}`,
    );
  }
}

/** The value of an option that has a text: a string within the string. */
function textWithin(value: Buffer, name: string): string {
  return readOrRefuse(
    () => {
      const reader = new Reader(value);
      const text = reader.text(name);
      reader.end(name);
      if (text.includes('\0')) throw unreadable(name);
      return text;
    },
    () => unreadable(name),
  );
}

function unreadable(name: string): KeyError {
  return new KeyError('certificate_critical_option', `The value of ${name} cannot be read.`);
}

function malformed(reason: string): KeyError {
  return new KeyError('certificate_malformed', `This certificate is damaged (${reason}).`);
}
