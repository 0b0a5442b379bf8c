// OpenSSH user certificates (PROTOCOL.certkeys): an authority says for a short time that a key may log in
// under some names. Called for each connection that goes on to a container's sshd, which trusts the
// authority (TrustedUserCAKeys), so that no password or key of a person travels inwards.

import { type KeyObject, randomBytes, sign } from 'node:crypto';
import { Reader, Writer } from '../wire.ts';
import { ed25519Blob } from './private-key.ts';

export interface UserCertificateOptions {
  /** The authority's Ed25519 private key. */
  readonly ca: KeyObject;
  /** The blob of the Ed25519 key that is certified. */
  readonly publicKey: Buffer;
  /** What sshd writes in its log at each use. */
  readonly keyId: string;
  /** The user names (or AuthorizedPrincipals) it is good for; at least one. */
  readonly principals: readonly string[];
  /** First moment it is good, in whole seconds. */
  readonly validAfter: Date;
  /** First moment it is no longer good, in whole seconds. */
  readonly validBefore: Date;
  /** Such as `source-address` or `force-command`: a server that does not know one refuses the login. */
  readonly criticalOptions?: Readonly<Record<string, string>>;
  /** What is permitted, such as `permit-pty` and `permit-port-forwarding`; nothing by default. */
  readonly extensions?: readonly string[];
}

export interface UserCertificate {
  /** What is sent as the public key in authentication. */
  readonly blob: Buffer;
  /** The content of a -cert.pub file, without a line end. */
  readonly line: string;
}

const certificateType = 'ssh-ed25519-cert-v01@openssh.com';
const userCertificate = 1;
// OpenSSH refuses a certificate with more.
const maximumPrincipals = 256;

/** Signs a certificate. Throws RangeError or TypeError for options that make no sense. */
export function signUserCertificate(options: UserCertificateOptions): UserCertificate {
  const { ca, publicKey, keyId, principals, criticalOptions = {}, extensions = [] } = options;
  // For sshd a certificate without names would be good for every user, root included.
  if (principals.length === 0 || principals.length > maximumPrincipals || principals.includes('')) {
    throw new RangeError(`a certificate names 1 to ${maximumPrincipals} principals`);
  }
  const validAfter = seconds(options.validAfter);
  const validBefore = seconds(options.validBefore);
  if (validBefore <= validAfter) throw new RangeError('validBefore must be later than validAfter');

  const body = new Writer()
    .string(certificateType)
    .string(randomBytes(32))
    .string(ed25519Bytes(publicKey))
    .uint64(0n) // serial: certificates live for minutes and are told apart by keyId
    .uint32(userCertificate)
    .string(keyId)
    .string(packed(principals))
    .uint64(validAfter)
    .uint64(validBefore)
    .string(packedOptions(new Map(Object.entries(criticalOptions))))
    .string(packedOptions(new Map(extensions.map((name) => [name, '']))))
    .string('') // reserved
    .string(ed25519Blob(ca))
    .toBuffer();
  const signature = new Writer()
    .string('ssh-ed25519')
    .string(sign(null, body, ca))
    .toBuffer();
  const blob = new Writer().bytes(body).string(signature).toBuffer();
  return { blob, line: `${certificateType} ${blob.toString('base64')}` };
}

function ed25519Bytes(blob: Buffer): Buffer {
  const reader = new Reader(blob);
  const isEd25519 = reader.string('key type').equals(Buffer.from('ssh-ed25519'));
  const bytes = reader.string('Ed25519 key');
  reader.end('public key');
  if (!isEd25519 || bytes.length !== 32) throw new TypeError('an Ed25519 public key is needed');
  return bytes;
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
