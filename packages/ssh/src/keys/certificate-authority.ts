// Signing OpenSSH certificates (PROTOCOL.certkeys). Called for each connection that goes on to a server which
// trusts the authority (TrustedUserCAKeys), so that no password or key of a person travels on, and for host
// keys that clients are to believe by their authority (@cert-authority in known_hosts).

import { type KeyObject, randomBytes } from 'node:crypto';
import { Writer } from '../wire.ts';
import { certificateTypeOf } from './algorithms.ts';
import { type CertificateRole, maximumPrincipals, roleNumbers, validForever } from './certificate.ts';
import { parseNetworks } from './pattern-list.ts';
import { SigningKey } from './signing-key.ts';
import { parseVerificationKey } from './verification-key.ts';

export interface UserCertificateOptions {
  /** The authority's private key. A SigningKey saves the little that making one costs. */
  readonly ca: KeyObject | SigningKey;
  /** The blob of the key that is certified, of any type. */
  readonly publicKey: Buffer;
  /** What sshd writes in its log at each use. */
  readonly keyId: string;
  /** By which a revocation list can name it; 0, which cannot be revoked so, unless told otherwise. */
  readonly serial?: bigint;
  /** The user names (or AuthorizedPrincipals), or host names, it is good for; at least one. */
  readonly principals: readonly string[];
  /** First moment it is good, in whole seconds. */
  readonly validAfter: Date;
  /** First moment it is no longer good, in whole seconds. */
  readonly validBefore: Date | 'forever';
  /** Such as `source-address` or `force-command`: a server that does not know one refuses the login. */
  readonly criticalOptions?: Readonly<Record<string, string>>;
  /** What is permitted, such as `permit-pty` and `permit-port-forwarding`; nothing by default. */
  readonly extensions?: readonly string[];
}

export interface CertificateOptions extends UserCertificateOptions {
  readonly role: CertificateRole;
}

export interface SignedCertificate {
  /** What is sent as the public key in authentication, or as the host key. */
  readonly blob: Buffer;
  /** The content of a -cert.pub file, without a line end. */
  readonly line: string;
}

/** `signCertificate` for a user's key. */
export function signUserCertificate(options: UserCertificateOptions): SignedCertificate {
  return signCertificate({ ...options, role: 'user' });
}

/**
 * Signs a certificate. Throws RangeError or TypeError for options that make no sense, KeyError for a key that
 * is none.
 */
export function signCertificate(options: CertificateOptions): SignedCertificate {
  const { role, keyId, serial = 0n, principals, criticalOptions = {}, extensions = [] } = options;
  const ca = options.ca instanceof SigningKey ? options.ca : new SigningKey(options.ca);
  // For sshd a certificate without names would be good for every user, root included.
  if (principals.length === 0 || principals.length > maximumPrincipals || principals.includes('')) {
    throw new RangeError(`a certificate names 1 to ${maximumPrincipals} principals`);
  }
  const texts = [keyId, ...principals, ...Object.entries(criticalOptions).flat(), ...extensions];
  if (texts.some((text) => text.includes('\0'))) throw new RangeError('no text in it holds a zero byte');
  const addresses = criticalOptions['source-address'];
  if (addresses !== undefined) parseNetworks(addresses);
  const validAfter = seconds(options.validAfter);
  const validBefore = options.validBefore === 'forever' ? validForever : seconds(options.validBefore);
  if (validBefore <= validAfter) throw new RangeError('validBefore must be later than validAfter');

  const { type, blob: publicBlob } = parseVerificationKey(options.publicKey);
  const certificateType = certificateTypeOf(type);
  const body = new Writer()
    .string(certificateType)
    .string(randomBytes(32))
    .bytes(publicBlob.subarray(4 + type.length))
    .uint64(serial)
    .uint32(roleNumbers[role])
    .string(keyId)
    .string(packed(principals))
    .uint64(validAfter)
    .uint64(validBefore)
    .string(packedOptions(new Map(Object.entries(criticalOptions))))
    .string(packedOptions(new Map(extensions.map((name) => [name, '']))))
    .string('') // reserved
    .string(ca.publicKey.blob)
    .toBuffer();
  const blob = new Writer().bytes(body).string(ca.sign(body)).toBuffer();
  return { blob, line: `${certificateType} ${blob.toString('base64')}` };
}

function seconds(date: Date): bigint {
  const value = Math.floor(date.getTime() / 1000);
  if (!(value >= 0)) throw new RangeError('a certificate needs valid dates after 1970');
  return BigInt(value);
}

function packed(strings: readonly string[]): Buffer {
  const writer = new Writer();
  for (const string of strings) writer.string(string);
  return writer.toBuffer();
}

/** Sorted by name, each name once; a value is a string within the string, no value an empty string. */
function packedOptions(options: ReadonlyMap<string, string>): Buffer {
  const writer = new Writer();
  const sorted = [...options].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const [name, value] of sorted) {
    writer.string(name).string(value === '' ? '' : packed([value]));
  }
  return writer.toBuffer();
}
