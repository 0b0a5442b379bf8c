// A public key that checks signatures. Called with what a client or server sent: the key blob (RFC 4253
// section 6.6 with RFC 8332 for RSA, RFC 5656 section 3.1 for ECDSA, RFC 8709 sections 4 and 6 for Ed25519,
// OpenSSH's PROTOCOL.u2f for sk-*) and a signature blob of the same documents.
//
// One key has one blob and one signature one encoding: what OpenSSL or another implementation would read
// leniently (numbers with needless zeros, compressed points, short RSA signatures) is refused here, so that
// comparing, hashing and revoking blobs means something. The key is handed to OpenSSL once; a signature
// then costs only its own arithmetic.

import { type KeyObject, createPublicKey, hash, verify as verifySignature } from 'node:crypto';
import { Reader, WireError } from '../wire.ts';
import {
  type PublicKeyType,
  type SignatureAlgorithm,
  isPublicKeyType,
  keyTypeOfCertificate,
  signatureAlgorithmsOf,
} from './algorithms.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError, readOrRefuse } from './key-error.ts';

/** What is demanded of a signature by a security key; bare keys do not care. */
export interface VerificationPolicy {
  /** Whether somebody must have touched the security key. `true` unless an owner said otherwise. */
  readonly touchRequired?: boolean;
  /** Whether the security key must have verified its user by PIN or finger. `false` by default. */
  readonly userVerificationRequired?: boolean;
}

/** What a good signature says besides being good. */
export interface VerifiedSignature {
  readonly algorithm: SignatureAlgorithm;
  /** Only for sk-* keys. */
  readonly securityKey?: {
    readonly userPresent: boolean;
    readonly userVerified: boolean;
    /** How often the device has signed; a number that goes back tells of a cloned device. */
    readonly counter: number;
  };
}

const maximumRsaBits = 16384;
const userPresentFlag = 0x01;
const userVerifiedFlag = 0x04;

const curves = {
  nistp256: { namedCurve: 'P-256', bits: 256, hash: 'sha256' },
  nistp384: { namedCurve: 'P-384', bits: 384, hash: 'sha384' },
  nistp521: { namedCurve: 'P-521', bits: 521, hash: 'sha512' },
} as const;
type CurveName = keyof typeof curves;

/** The parts of a key that only verification needs. */
interface KeyMaterial {
  readonly bits: number;
  readonly keyObject: KeyObject;
  /** The relying party of a security key's key, such as `ssh:`. */
  readonly application?: Buffer;
}

/** Each reads what follows the type in a blob. */
const readers: Record<PublicKeyType, (reader: Reader) => KeyMaterial> = {
  'ssh-ed25519': readEd25519,
  'ecdsa-sha2-nistp256': (reader) => readEcdsa(reader, 'nistp256'),
  'ecdsa-sha2-nistp384': (reader) => readEcdsa(reader, 'nistp384'),
  'ecdsa-sha2-nistp521': (reader) => readEcdsa(reader, 'nistp521'),
  'ssh-rsa': readRsa,
  'sk-ssh-ed25519@openssh.com': (reader) => ({
    ...readEd25519(reader),
    application: reader.string('application'),
  }),
  'sk-ecdsa-sha2-nistp256@openssh.com': (reader) => ({
    ...readEcdsa(reader, 'nistp256'),
    application: reader.string('application'),
  }),
};

type Verifier = (key: KeyMaterial, data: Uint8Array, signature: Buffer) => boolean;

/** Each takes the string that follows the algorithm's name in a signature blob, and may throw WireError. */
const verifiers: Record<Exclude<SignatureAlgorithm, `sk-${string}`>, Verifier> = {
  'ssh-ed25519': verifyEd25519,
  'ecdsa-sha2-nistp256': (key, data, signature) => verifyEcdsa(key, 'nistp256', data, signature),
  'ecdsa-sha2-nistp384': (key, data, signature) => verifyEcdsa(key, 'nistp384', data, signature),
  'ecdsa-sha2-nistp521': (key, data, signature) => verifyEcdsa(key, 'nistp521', data, signature),
  'rsa-sha2-256': (key, data, signature) => verifyRsa(key, 'sha256', data, signature),
  'rsa-sha2-512': (key, data, signature) => verifyRsa(key, 'sha512', data, signature),
};

export class VerificationKey {
  readonly type: PublicKeyType;
  /** The whole blob, as it is sent, compared and hashed. */
  readonly blob: Buffer;
  /** As `ssh-keygen -l` counts them: the modulus of RSA, the field of a curve. */
  readonly bits: number;
  readonly #material: KeyMaterial;
  #fingerprint: string | undefined;

  constructor(type: PublicKeyType, blob: Buffer, material: KeyMaterial) {
    this.type = type;
    this.blob = blob;
    this.bits = material.bits;
    this.#material = material;
  }

  /** `SHA256:...` */
  get fingerprint(): string {
    return (this.#fingerprint ??= fingerprint(this.blob));
  }

  /** The signature algorithms that this key can use, the best first. */
  get signatureAlgorithms(): readonly SignatureAlgorithm[] {
    return signatureAlgorithmsOf(this.type);
  }

  /**
   * Checks a signature blob over `data`. `algorithm` is what was negotiated or announced for it, and the
   * blob must be of exactly that. Returns undefined for every signature that is not good, whether it is
   * malformed, of another algorithm, another key's, or without the touch that `policy` demands; it does not
   * throw for anything in a signature.
   */
  verify(
    algorithm: string,
    data: Uint8Array,
    signature: Uint8Array,
    policy: VerificationPolicy = {},
  ): VerifiedSignature | undefined {
    const known = this.signatureAlgorithms.find((name) => name === algorithm);
    if (known === undefined) return undefined;
    try {
      const reader = new Reader(signature);
      if (!reader.string('signature algorithm').equals(Buffer.from(known))) return undefined;
      return this.#check(known, data, reader, policy);
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  #check(
    algorithm: SignatureAlgorithm,
    data: Uint8Array,
    reader: Reader,
    policy: VerificationPolicy,
  ): VerifiedSignature | undefined {
    const signature = reader.string('signature');
    if (algorithm === 'sk-ssh-ed25519@openssh.com') {
      return this.#checkSecurityKey(algorithm, verifyEd25519, data, signature, reader, policy);
    }
    if (algorithm === 'sk-ecdsa-sha2-nistp256@openssh.com') {
      const verifier = verifiers['ecdsa-sha2-nistp256'];
      return this.#checkSecurityKey(algorithm, verifier, data, signature, reader, policy);
    }
    reader.end('signature');
    return verifiers[algorithm](this.#material, data, signature) ? { algorithm } : undefined;
  }

  /** PROTOCOL.u2f, "SSH U2F signatures": what is signed names the application, the flags and the counter. */
  #checkSecurityKey(
    algorithm: SignatureAlgorithm,
    verifier: Verifier,
    data: Uint8Array,
    signature: Buffer,
    reader: Reader,
    { touchRequired = true, userVerificationRequired = false }: VerificationPolicy,
  ): VerifiedSignature | undefined {
    const flagsAndCounter = reader.bytes(5, 'flags and counter');
    reader.end('signature');
    const signed = Buffer.concat([
      hash('sha256', this.#material.application ?? Buffer.alloc(0), 'buffer'),
      flagsAndCounter,
      hash('sha256', data, 'buffer'),
    ]);
    const flags = flagsAndCounter.readUInt8(0);
    const userPresent = (flags & userPresentFlag) !== 0;
    const userVerified = (flags & userVerifiedFlag) !== 0;
    if ((touchRequired && !userPresent) || (userVerificationRequired && !userVerified)) return undefined;
    if (!verifier(this.#material, signed, signature)) return undefined;
    return {
      algorithm,
      securityKey: { userPresent, userVerified, counter: flagsAndCounter.readUInt32BE(1) },
    };
  }
}

/**
 * Reads a bare key's blob. `minimumRsaBits` is a policy, 2048 unless told otherwise. Throws KeyError, for a
 * certificate with the code `certificate`.
 */
export function parseVerificationKey(blob: Uint8Array, { minimumRsaBits = 2048 } = {}): VerificationKey {
  return readOrRefuse(() => {
    // A copy: the caller may fill its buffer with the next packet.
    const bytes = Buffer.from(blob);
    const reader = new Reader(bytes);
    const type = reader.string('key type').toString('latin1');
    if (keyTypeOfCertificate(type) !== undefined) {
      throw new KeyError('certificate', 'This is a certificate where a bare public key is wanted.');
    }
    if (!isPublicKeyType(type)) throw new KeyError('unknown_type', 'The key is of an unknown type.');
    const material = readKeyMaterial(type, reader, minimumRsaBits);
    reader.end('public key');
    return new VerificationKey(type, bytes, material);
  }, publicKeyRefusal);
}

/**
 * Reads what follows the type in a blob, and no further: in a certificate more comes after it. Throws
 * KeyError or WireError.
 */
export function readKeyMaterial(type: PublicKeyType, reader: Reader, minimumRsaBits = 2048): KeyMaterial {
  const material = readers[type](reader);
  if (type === 'ssh-rsa' && material.bits < minimumRsaBits) {
    throw new KeyError(
      'rsa_too_short',
      `This RSA key has ${material.bits} bits; at least ${minimumRsaBits} are needed. ` +
        'Make a new key with: ssh-keygen -t ed25519',
    );
  }
  return material;
}

/** The refusal of a blob that could not be read to its end. */
export function publicKeyRefusal(error: WireError): KeyError {
  if (error.problem === 'truncated') return new KeyError('truncated', 'The key ends too early.');
  if (error.problem === 'trailing') {
    return new KeyError('trailing_data', 'There is more after the end of the key.');
  }
  return damaged('a number in it is badly written');
}

function damaged(reason: string): KeyError {
  return new KeyError('bad_key', `The key is damaged (${reason}).`);
}

function readEd25519(reader: Reader): KeyMaterial {
  const key = reader.string('Ed25519 key');
  if (key.length !== 32) throw damaged(`an Ed25519 key has 32 bytes, this one ${key.length}`);
  return {
    bits: 256,
    keyObject: createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ed25519' }),
  };
}

function readEcdsa(reader: Reader, curveName: CurveName): KeyMaterial {
  const { namedCurve, bits } = curves[curveName];
  if (!reader.string('curve').equals(Buffer.from(curveName))) {
    throw new KeyError('type_mismatch', 'The key type and the curve inside the key differ.');
  }
  const key = reader.string('curve point');
  // RFC 5656 allows point compression, no implementation uses it, and OpenSSH refuses it.
  if (key.length !== 1 + 2 * Math.ceil(bits / 8) || key[0] !== 4) {
    throw damaged('its curve point has a wrong form');
  }
  try {
    const keyObject = createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ec', namedCurve });
    return { bits, keyObject };
  } catch {
    throw damaged('its curve point is not on the curve');
  }
}

function readRsa(reader: Reader): KeyMaterial {
  const exponent = reader.unsignedMpint('RSA exponent');
  const modulus = reader.unsignedMpint('RSA modulus');
  if (!isOdd(modulus)) throw damaged('its RSA modulus is even');
  // OpenSSL, and with it sshd, takes no exponent beyond 64 bits.
  if (!isOdd(exponent) || exponent.length > 8 || (exponent.length === 1 && exponent[0] === 1)) {
    throw damaged('its RSA exponent is out of range');
  }
  const bits = modulus.length * 8 - Math.clz32(modulus.readUInt8(0)) + 24;
  if (bits > maximumRsaBits) {
    throw new KeyError(
      'rsa_too_long',
      `This RSA key has ${bits} bits; at most ${maximumRsaBits} are taken. ` +
        'Make a new key with: ssh-keygen -t ed25519',
    );
  }
  const key = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  return { bits, keyObject: createPublicKey({ key, format: 'jwk' }) };
}

function isOdd(number: Buffer): boolean {
  return ((number.at(-1) ?? 0) & 1) === 1;
}

function verifyEd25519({ keyObject }: KeyMaterial, data: Uint8Array, signature: Buffer): boolean {
  // OpenSSL refuses an S beyond the group's order, so one signature cannot be made into another.
  return signature.length === 64 && verifySignature(null, data, keyObject, signature);
}

/** RFC 5656, section 3.1.2: the signature is the two mpints r and s. */
function verifyEcdsa(key: KeyMaterial, curveName: CurveName, data: Uint8Array, signature: Buffer): boolean {
  const { bits, hash: digest } = curves[curveName];
  const reader = new Reader(signature);
  const numbers = [reader.unsignedMpint('r'), reader.unsignedMpint('s')];
  reader.end('ECDSA signature');
  const length = Math.ceil(bits / 8);
  if (numbers.some((number) => number.length > length)) return false;
  const padded = numbers.map((number) => Buffer.concat([Buffer.alloc(length - number.length), number]));
  return verifySignature(
    digest,
    data,
    { key: key.keyObject, dsaEncoding: 'ieee-p1363' },
    Buffer.concat(padded),
  );
}

function verifyRsa({ keyObject }: KeyMaterial, digest: string, data: Uint8Array, signature: Buffer): boolean {
  // RFC 8332, section 3, wants it as long as the modulus, and so does OpenSSL.
  return verifySignature(digest, data, keyObject, signature);
}
