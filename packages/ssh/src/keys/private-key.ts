// Private keys in OpenSSH's own file format (PROTOCOL.key, "openssh-key-v1"; what is in it per type follows
// RFC 8709, RFC 5656, RFC 8332 and PROTOCOL.u2f). sshd reads its host key from such a file, and ssh its
// identity; called when an environment gets its host key, when a certificate authority is made, and when
// either is loaded again. Without a passphrase the text made here is as secret as the key.

import {
  type KeyObject,
  createECDH,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { Reader, Writer } from '../wire.ts';
import { type SecurityKeyType, isPublicKeyType } from './algorithms.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError, readOrRefuse } from './key-error.ts';
import {
  type PrivateKeyEncryption,
  decryptionOf,
  encryptionOf,
  malformedPrivateKey,
} from './private-key-encryption.ts';
import { SigningKey, publicKeyBlob } from './signing-key.ts';
import { type VerificationKey, parseVerificationKey } from './verification-key.ts';

export interface HostKey {
  /** The public key's blob, as the server will send it: what `probe` takes as `expectedHostKey`. */
  readonly publicKey: Buffer;
  /** The content of a private key file, with its line ends. */
  readonly privateKeyOpenSsh: string;
  /** `ssh-ed25519 base64` */
  readonly publicLine: string;
  /** `SHA256:...` */
  readonly fingerprint: string;
}

/** What a file holds of a security key's key: how to ask the device for a signature, not the secret. */
export interface SecurityKeyHandle {
  readonly type: SecurityKeyType;
  readonly publicKey: VerificationKey;
  /** The relying party, such as `ssh:`. */
  readonly application: string;
  /** Bit 0: a touch is needed; bit 2: the user must be verified; bit 5: the key is on the device itself. */
  readonly flags: number;
  readonly keyHandle: Buffer;
}

export interface PrivateKeyFile {
  /** The key, or where it is. */
  readonly key: SigningKey | SecurityKeyHandle;
  /** As it is in the file: to be cleaned before it is shown. */
  readonly comment: string;
}

const magic = Buffer.from('openssh-key-v1\0');
const beginLine = '-----BEGIN OPENSSH PRIVATE KEY-----';
const endLine = '-----END OPENSSH PRIVATE KEY-----';
// Room for RSA of 16384 bits.
const maximumCharacters = 16 * 1024;
/** OpenSSL's and JSON Web Key's names of a curve. */
const curves = new Map([
  ['nistp256', { openSslName: 'prime256v1', jwkName: 'P-256' }],
  ['nistp384', { openSslName: 'secp384r1', jwkName: 'P-384' }],
  ['nistp521', { openSslName: 'secp521r1', jwkName: 'P-521' }],
]);

/** Makes a fresh Ed25519 key pair for a server to prove itself with. */
export function generateHostKey(): HostKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const blob = publicKeyBlob(privateKey);
  return {
    publicKey: blob,
    privateKeyOpenSsh: formatPrivateKey(privateKey),
    publicLine: `ssh-ed25519 ${blob.toString('base64')}`,
    fingerprint: fingerprint(blob),
  };
}

/** The public key blob (RFC 8709, section 4) of an Ed25519 key, private or public. */
export function ed25519Blob(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('an Ed25519 key is needed');
  return publicKeyBlob(key);
}

/**
 * The content of a private key file for an Ed25519, ECDSA or RSA private key. With `encryption` it takes
 * some 25 ms a round, in which nothing else runs. Throws TypeError for another key, RangeError for rounds
 * that `parsePrivateKeyFile` would refuse and for an empty passphrase.
 */
export function formatPrivateKey(
  privateKey: KeyObject,
  comment = '',
  encryption?: PrivateKeyEncryption,
): string {
  // Twice the same number: how a reader of an encrypted file knows that the passphrase was right.
  const check = randomBytes(4);
  const secret = new Writer()
    .bytes(check)
    .bytes(check)
    .bytes(privateFields(privateKey))
    .string(comment)
    .toBuffer();
  const { header, blockBytes, encrypt } = encryptionOf(encryption);
  const paddingBytes = (blockBytes - (secret.length % blockBytes)) % blockBytes;
  const padding = Buffer.from(Array.from({ length: paddingBytes }, (_, index) => index + 1));
  const { content, tag } = encrypt(Buffer.concat([secret, padding]));
  const file = new Writer()
    .bytes(magic)
    .bytes(header)
    .uint32(1)
    .string(publicKeyBlob(privateKey))
    .string(content)
    // Outside of the string, as OpenSSH has it.
    .bytes(tag)
    .toBuffer();
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return [beginLine, ...lines, endLine, ''].join('\n');
}

/** A private key as the file holds it, from its type on. */
function privateFields(privateKey: KeyObject): Buffer {
  const blob = publicKeyBlob(privateKey);
  const { asymmetricKeyType } = privateKey;
  if (asymmetricKeyType === 'ed25519') {
    const publicBytes = blob.subarray(-32);
    const seed = privateKey.export({ format: 'raw-private' });
    return new Writer()
      .bytes(blob)
      .string(Buffer.concat([seed, publicBytes]))
      .toBuffer();
  }
  const jwk = privateKey.export({ format: 'jwk' });
  const number = (name: 'n' | 'e' | 'd' | 'qi' | 'p' | 'q'): Buffer =>
    Buffer.from(jwk[name] ?? '', 'base64url');
  if (asymmetricKeyType === 'ec') return new Writer().bytes(blob).unsignedMpint(number('d')).toBuffer();
  // Other than in the blob, n comes before e.
  const writer = new Writer().string('ssh-rsa');
  for (const name of ['n', 'e', 'd', 'qi', 'p', 'q'] as const) writer.unsignedMpint(number(name));
  return writer.toBuffer();
}

/**
 * Reads an unencrypted Ed25519 key file, as `formatPrivateKey` and `ssh-keygen -t ed25519 -N ''` write it.
 * Throws KeyError with a code that starts with `private_key_`.
 */
export function parsePrivateKey(text: string): KeyObject {
  const { key } = parsePrivateKeyFile(text);
  if (!(key instanceof SigningKey) || key.type !== 'ssh-ed25519') {
    throw new KeyError(
      'private_key_type',
      'This private key is not an Ed25519 key. Make one with: ssh-keygen -t ed25519',
    );
  }
  return key.keyObject;
}

/**
 * Reads a key file of any type, as ssh-keygen writes it. A passphrase takes some 25 ms a round, in which
 * nothing else runs. Throws KeyError with a code that starts with `private_key_`, or with one of a public
 * key's for a key that is refused whoever holds it.
 */
export function parsePrivateKeyFile(text: string, { passphrase = '' } = {}): PrivateKeyFile {
  const lines = text.trim().split(/\r?\n/);
  if (text.length > maximumCharacters || lines.shift() !== beginLine || lines.pop() !== endLine) {
    throw malformedPrivateKey();
  }
  const base64 = lines.join('');
  const file = Buffer.from(base64, 'base64');
  if (file.toString('base64') !== base64) throw malformedPrivateKey();
  return readOrRefuse(() => readFile(file, passphrase), malformedPrivateKey);
}

function readFile(file: Buffer, passphrase: string): PrivateKeyFile {
  const reader = new Reader(file);
  if (!reader.bytes(magic.length, 'magic').equals(magic)) throw malformedPrivateKey();
  const cipher = reader.text('cipher');
  const keyDerivation = reader.text('key derivation');
  const options = reader.string('key derivation options');
  if (reader.uint32('number of keys') !== 1) throw malformedPrivateKey();
  const publicKey = reader.string('public key');
  const content = reader.string('private keys');
  const { blockBytes, tagBytes, decrypt, checkRefusal } = decryptionOf(
    cipher,
    keyDerivation,
    options,
    passphrase,
  );
  const tag = reader.bytes(tagBytes, 'tag');
  reader.end('private key file');
  return readSecret(decrypt(content, tag), publicKey, blockBytes, checkRefusal);
}

function readSecret(
  secret: Buffer,
  publicKeyOfFile: Buffer,
  blockBytes: number,
  checkRefusal: () => KeyError,
): PrivateKeyFile {
  const reader = new Reader(secret);
  if (reader.uint32('check') !== reader.uint32('check')) throw checkRefusal();
  const type = reader.string('key type').toString('latin1');
  if (!isPublicKeyType(type)) {
    throw new KeyError(
      'private_key_type',
      'This private key is of a type that is not used here. Make a new key with: ssh-keygen -t ed25519',
    );
  }
  const key =
    type === 'sk-ssh-ed25519@openssh.com' || type === 'sk-ecdsa-sha2-nistp256@openssh.com'
      ? readSecurityKey(type, reader)
      : new SigningKey(readPrivateKey(type, reader));
  const comment = reader.string('comment').toString('utf8');
  const padding = reader.bytes(reader.remaining, 'padding');
  if (padding.length >= blockBytes || padding.some((byte, index) => byte !== index + 1))
    throw malformedPrivateKey();
  if (!key.publicKey.blob.equals(publicKeyOfFile)) throw malformedPrivateKey();
  return { key, comment };
}

// The public half is in a file two or three times. One that differs from the private half's own would make
// signatures from which the private key can be computed, so each reader below checks its own.

function readPrivateKey(type: SigningKey['type'], reader: Reader): KeyObject {
  if (type === 'ssh-ed25519') return readEd25519(reader);
  if (type === 'ssh-rsa') return readRsa(reader);
  return readEcdsa(type, reader);
}

function readEd25519(reader: Reader): KeyObject {
  const publicBytes = reader.string('Ed25519 public key');
  const privateBytes = reader.string('Ed25519 private key');
  if (privateBytes.length !== 64) throw malformedPrivateKey();
  const privateKey = createPrivateKey({
    key: privateBytes.subarray(0, 32),
    format: 'raw-private',
    asymmetricKeyType: 'ed25519',
  });
  const expected = publicKeyBlob(privateKey).subarray(-32);
  if (!publicBytes.equals(expected) || !privateBytes.subarray(32).equals(expected))
    throw malformedPrivateKey();
  return privateKey;
}

function readEcdsa(type: string, reader: Reader): KeyObject {
  const curveName = reader.string('curve').toString('latin1');
  const curve = curves.get(curveName);
  if (curve === undefined || type !== `ecdsa-sha2-${curveName}`) throw malformedPrivateKey();
  const point = reader.string('curve point');
  const scalar = reader.unsignedMpint('private scalar');
  const agreement = createECDH(curve.openSslName);
  try {
    agreement.setPrivateKey(scalar);
  } catch {
    throw malformedPrivateKey();
  }
  if (!agreement.getPublicKey().equals(point)) throw malformedPrivateKey();
  const half = (point.length - 1) / 2;
  return importJwk({
    kty: 'EC',
    crv: curve.jwkName,
    x: point.subarray(1, 1 + half).toString('base64url'),
    y: point.subarray(1 + half).toString('base64url'),
    d: Buffer.concat([Buffer.alloc(half - scalar.length), scalar]).toString('base64url'),
  });
}

function readRsa(reader: Reader): KeyObject {
  const modulus = reader.mpint('RSA modulus');
  const exponent = reader.mpint('RSA exponent');
  const privateExponent = reader.mpint('RSA private exponent');
  const inverse = reader.mpint('RSA inverse');
  const p = reader.mpint('RSA prime p');
  const q = reader.mpint('RSA prime q');
  const agrees =
    p > 1n &&
    q > 1n &&
    p * q === modulus &&
    exponent > 1n &&
    privateExponent > 1n &&
    privateExponent < modulus &&
    inverse > 0n &&
    inverse < p &&
    (inverse * q) % p === 1n &&
    (exponent * privateExponent) % (p - 1n) === 1n &&
    (exponent * privateExponent) % (q - 1n) === 1n;
  if (!agrees) throw malformedPrivateKey();
  return importJwk({
    kty: 'RSA',
    n: base64url(modulus),
    e: base64url(exponent),
    d: base64url(privateExponent),
    p: base64url(p),
    q: base64url(q),
    dp: base64url(privateExponent % (p - 1n)),
    dq: base64url(privateExponent % (q - 1n)),
    qi: base64url(inverse),
  });
}

function importJwk(key: webcrypto.JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key, format: 'jwk' });
  } catch {
    throw malformedPrivateKey();
  }
}

/** A number that is not negative, as a JSON Web Key holds it (RFC 7518, section 2). */
function base64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

function readSecurityKey(type: SecurityKeyType, reader: Reader): SecurityKeyHandle {
  const blob = new Writer().string(type);
  if (type === 'sk-ecdsa-sha2-nistp256@openssh.com') blob.string(reader.string('curve'));
  blob.string(reader.string('public key'));
  const application = reader.string('application');
  blob.string(application);
  const flags = reader.byte('flags');
  const keyHandle = Buffer.from(reader.string('key handle'));
  reader.string('reserved');
  const publicKey = parseVerificationKey(blob.toBuffer());
  return { type, publicKey, application: application.toString('utf8'), flags, keyHandle };
}
