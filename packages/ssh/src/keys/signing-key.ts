// A private key that signs, and the making of new ones: RFC 8709 (Ed25519), RFC 5656 (ECDSA) and RFC 8332
// (RSA with SHA-2). Called for host keys, for certificate authorities and for what a client logs in with.
// Signatures of security keys come from the device; ours are checked by verification-key.ts.
//
// The key stays the KeyObject that it was given as: signing from a PEM text would parse it each time, which
// costs more than an Ed25519 signature.

import {
  type KeyObject,
  createPublicKey,
  generateKeyPair as generateKeyPairCallback,
  sign as makeSignature,
} from 'node:crypto';
import { promisify } from 'node:util';
import { Writer } from '../wire.ts';
import {
  type PublicKeyType,
  type SecurityKeyType,
  type SignatureAlgorithm,
  signatureAlgorithmsOf,
} from './algorithms.ts';
import { type VerificationKey, parseVerificationKey } from './verification-key.ts';

export type SigningKeyType = Exclude<PublicKeyType, SecurityKeyType>;

const generateKeyPair = promisify(generateKeyPairCallback);

/** OpenSSL's names of the curves. */
const curvesOfOpenSsl = new Map([
  ['prime256v1', 'nistp256'],
  ['secp384r1', 'nistp384'],
  ['secp521r1', 'nistp521'],
]);

const digests = new Map<SignatureAlgorithm, string>([
  ['ecdsa-sha2-nistp256', 'sha256'],
  ['ecdsa-sha2-nistp384', 'sha384'],
  ['ecdsa-sha2-nistp521', 'sha512'],
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
]);

export class SigningKey {
  readonly publicKey: VerificationKey;
  /** The private key itself. */
  readonly keyObject: KeyObject;

  /**
   * Throws TypeError for anything but a private Ed25519, ECDSA (P-256, P-384, P-521) or RSA key, KeyError
   * for an RSA key of a length that `parseVerificationKey` refuses.
   */
  constructor(privateKey: KeyObject) {
    if (privateKey.type !== 'private') throw new TypeError('a private key is needed to sign');
    this.keyObject = privateKey;
    this.publicKey = parseVerificationKey(publicKeyBlob(privateKey));
  }

  get type(): SigningKeyType {
    return this.publicKey.type as SigningKeyType;
  }

  /**
   * A signature blob over `data`. `algorithm` matters for RSA only, whose best is `rsa-sha2-512`. Throws
   * RangeError for an algorithm that is not this key's.
   */
  sign(data: Uint8Array, algorithm: string = signatureAlgorithmsOf(this.type)[0]): Buffer {
    const known = this.publicKey.signatureAlgorithms.find((name) => name === algorithm);
    if (known === undefined) throw new RangeError(`not a signature algorithm of ${this.type}: ${algorithm}`);
    const digest = digests.get(known) ?? null;
    const key = { key: this.keyObject, dsaEncoding: 'ieee-p1363' as const };
    const raw =
      digest === null ? makeSignature(null, data, this.keyObject) : makeSignature(digest, data, key);
    const signature = known.startsWith('ecdsa-') ? ecdsaNumbers(raw) : raw;
    return new Writer().string(known).string(signature).toBuffer();
  }
}

/** RFC 5656, section 3.1.2. */
function ecdsaNumbers(raw: Buffer): Buffer {
  const half = raw.length / 2;
  return new Writer().unsignedMpint(raw.subarray(0, half)).unsignedMpint(raw.subarray(half)).toBuffer();
}

/**
 * Makes a new key. RSA has `rsaBits` bits, 3072 unless told otherwise, and takes a second or more. Throws
 * RangeError for RSA of less than 2048 or more than 16384 bits.
 */
export async function generateSigningKey(type: SigningKeyType, { rsaBits = 3072 } = {}): Promise<SigningKey> {
  if (!Number.isInteger(rsaBits) || rsaBits < 2048 || rsaBits > 16384) {
    throw new RangeError(`not a length for an RSA key: ${rsaBits} bits`);
  }
  if (type === 'ssh-rsa') {
    const { privateKey } = await generateKeyPair('rsa', { modulusLength: rsaBits });
    return new SigningKey(privateKey);
  }
  if (type === 'ssh-ed25519') {
    const { privateKey } = await generateKeyPair('ed25519');
    return new SigningKey(privateKey);
  }
  const namedCurve = type.replace('ecdsa-sha2-nistp', 'P-');
  const { privateKey } = await generateKeyPair('ec', { namedCurve });
  return new SigningKey(privateKey);
}

/**
 * The blob of the public half of a key, private or public. Throws TypeError for a key that SSH has no
 * blob for here.
 */
export function publicKeyBlob(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  if (publicKey.asymmetricKeyType === 'ed25519') {
    return new Writer()
      .string('ssh-ed25519')
      .string(publicKey.export({ format: 'raw-public' }))
      .toBuffer();
  }
  if (publicKey.asymmetricKeyType === 'rsa') {
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
    return new Writer()
      .string('ssh-rsa')
      .unsignedMpint(Buffer.from(e, 'base64url'))
      .unsignedMpint(Buffer.from(n, 'base64url'))
      .toBuffer();
  }
  const curve = curvesOfOpenSsl.get(publicKey.asymmetricKeyDetails?.namedCurve ?? '');
  if (curve === undefined) throw new TypeError(`no SSH key: ${publicKey.asymmetricKeyType ?? key.type}`);
  return new Writer()
    .string(`ecdsa-sha2-${curve}`)
    .string(curve)
    .string(publicKey.export({ format: 'raw-public' }))
    .toBuffer();
}
