// Private keys in OpenSSH's own file format (PROTOCOL.key, "openssh-key-v1"; what is in it per type follows
// RFC 8709, RFC 5656, RFC 8332 and PROTOCOL.u2f). sshd reads its host key from such a file, and ssh its
// identity; called when an environment gets its host key, when a certificate authority is made, and when
// either is loaded again. Without a passphrase the text made here is as secret as the key.

import {
  type CipherGCM,
  type DecipherGCM,
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { pbkdf } from 'bcrypt-pbkdf';
import { Reader, Writer } from '../wire.ts';
import { type SecurityKeyType, isPublicKeyType } from './algorithms.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError, readOrRefuse } from './key-error.ts';
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

export interface PrivateKeyEncryption {
  /** Not empty. */
  readonly passphrase: string;
  /** `aes256-ctr` unless told otherwise, as ssh-keygen has it. */
  readonly cipher?: 'aes256-ctr' | 'aes256-gcm@openssh.com';
  /** Rounds of bcrypt_pbkdf: 24 unless told otherwise, as ssh-keygen has it. */
  readonly rounds?: number;
}

interface FileCipher {
  readonly openSslName: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
  readonly blockBytes: number;
  readonly tagBytes: number;
}

const magic = Buffer.from('openssh-key-v1\0');
const beginLine = '-----BEGIN OPENSSH PRIVATE KEY-----';
const endLine = '-----END OPENSSH PRIVATE KEY-----';
// Room for RSA of 16384 bits.
const maximumCharacters = 16 * 1024;
// What the padding is counted in when nothing is encrypted.
const plainBlockBytes = 8;
const saltBytes = 16;
const defaultRounds = 24;
// A round is some 25 ms here. Without a bound one number in a stranger's file would stop the process.
const maximumRounds = 256;

const ciphers = new Map<string, FileCipher>([
  ['aes256-ctr', { openSslName: 'aes-256-ctr', keyBytes: 32, ivBytes: 16, blockBytes: 16, tagBytes: 0 }],
  // What ssh-keygen wrote before 7.6; read, never written.
  ['aes256-cbc', { openSslName: 'aes-256-cbc', keyBytes: 32, ivBytes: 16, blockBytes: 16, tagBytes: 0 }],
  [
    'aes256-gcm@openssh.com',
    { openSslName: 'aes-256-gcm', keyBytes: 32, ivBytes: 12, blockBytes: 16, tagBytes: 16 },
  ],
]);

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
  const { header, blockBytes, encrypt } = encryption === undefined ? plain() : encrypted(encryption);
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

interface FileEncryption {
  /** Cipher, key derivation, and its options. */
  readonly header: Buffer;
  readonly blockBytes: number;
  readonly encrypt: (secret: Buffer) => { content: Buffer; tag: Buffer };
}

function plain(): FileEncryption {
  return {
    header: new Writer().string('none').string('none').string('').toBuffer(),
    blockBytes: plainBlockBytes,
    encrypt: (content) => ({ content, tag: Buffer.alloc(0) }),
  };
}

function encrypted({
  passphrase,
  cipher: name = 'aes256-ctr',
  rounds = defaultRounds,
}: PrivateKeyEncryption): FileEncryption {
  const cipher = ciphers.get(name);
  if (cipher === undefined) throw new RangeError(`not a cipher for private key files: ${name}`);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > maximumRounds) {
    throw new RangeError(`not a number of rounds from 1 to ${maximumRounds}: ${rounds}`);
  }
  if (passphrase === '') throw new RangeError('an empty passphrase protects nothing');
  const salt = randomBytes(saltBytes);
  const options = new Writer().string(salt).uint32(rounds).toBuffer();
  return {
    header: new Writer().string(name).string('bcrypt').string(options).toBuffer(),
    blockBytes: cipher.blockBytes,
    encrypt: (secret) => {
      const { key, iv } = deriveKey(cipher, passphrase, salt, rounds);
      const stream = createCipheriv(cipher.openSslName, key, iv).setAutoPadding(false);
      const content = Buffer.concat([stream.update(secret), stream.final()]);
      const tag = cipher.tagBytes > 0 ? (stream as CipherGCM).getAuthTag() : Buffer.alloc(0);
      return { content, tag };
    },
  };
}

function deriveKey(
  cipher: FileCipher,
  passphrase: string,
  salt: Buffer,
  rounds: number,
): { key: Buffer; iv: Buffer } {
  const secret = Buffer.from(passphrase);
  const derived = Buffer.alloc(cipher.keyBytes + cipher.ivBytes);
  const refused = pbkdf(secret, secret.length, salt, salt.length, derived, derived.length, rounds);
  if (refused !== 0) throw malformed();
  return { key: derived.subarray(0, cipher.keyBytes), iv: derived.subarray(cipher.keyBytes) };
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
    throw malformed();
  }
  const base64 = lines.join('');
  const file = Buffer.from(base64, 'base64');
  if (file.toString('base64') !== base64) throw malformed();
  return readOrRefuse(() => readFile(file, passphrase), malformed);
}

function readFile(file: Buffer, passphrase: string): PrivateKeyFile {
  const reader = new Reader(file);
  if (!reader.bytes(magic.length, 'magic').equals(magic)) throw malformed();
  const cipher = reader.text('cipher');
  const keyDerivation = reader.text('key derivation');
  const options = reader.string('key derivation options');
  if (reader.uint32('number of keys') !== 1) throw malformed();
  const publicKey = reader.string('public key');
  const content = reader.string('private keys');
  if (cipher === 'none' && keyDerivation === 'none') {
    reader.end('private key file');
    return readSecret(content, publicKey, plainBlockBytes, malformed);
  }
  const known = ciphers.get(cipher);
  if (known === undefined || keyDerivation !== 'bcrypt') {
    throw new KeyError(
      'private_key_cipher',
      'This private key is encrypted in a way that is not read here. Change it with: ' +
        'ssh-keygen -p -Z aes256-ctr -f FILE',
    );
  }
  const tag = reader.bytes(known.tagBytes, 'tag');
  reader.end('private key file');
  if (passphrase === '') {
    throw new KeyError(
      'private_key_encrypted',
      'This private key is protected by a passphrase. Give the passphrase, or remove it with: ' +
        'ssh-keygen -p -N "" -f FILE',
    );
  }
  const secret = decrypt(known, content, tag, options, passphrase);
  return readSecret(secret, publicKey, known.blockBytes, wrongPassphrase);
}

function decrypt(
  cipher: FileCipher,
  content: Buffer,
  tag: Buffer,
  options: Buffer,
  passphrase: string,
): Buffer {
  const reader = new Reader(options);
  const salt = reader.string('salt');
  const rounds = reader.uint32('rounds');
  reader.end('key derivation options');
  if (content.length % cipher.blockBytes !== 0) throw malformed();
  if (rounds > maximumRounds) {
    throw new KeyError(
      'private_key_cipher',
      `The passphrase of this private key takes ${rounds} rounds to check; at most ${maximumRounds} are ` +
        'done here. Change it with: ssh-keygen -p -a 24 -f FILE',
    );
  }
  const { key, iv } = deriveKey(cipher, passphrase, salt, rounds);
  const stream = createDecipheriv(cipher.openSslName, key, iv).setAutoPadding(false);
  if (tag.length > 0) (stream as DecipherGCM).setAuthTag(tag);
  const secret = stream.update(content);
  try {
    stream.final();
  } catch {
    throw wrongPassphrase();
  }
  return secret;
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
  if (padding.length >= blockBytes || padding.some((byte, index) => byte !== index + 1)) throw malformed();
  if (!key.publicKey.blob.equals(publicKeyOfFile)) throw malformed();
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
  if (privateBytes.length !== 64) throw malformed();
  const privateKey = createPrivateKey({
    key: privateBytes.subarray(0, 32),
    format: 'raw-private',
    asymmetricKeyType: 'ed25519',
  });
  const expected = publicKeyBlob(privateKey).subarray(-32);
  if (!publicBytes.equals(expected) || !privateBytes.subarray(32).equals(expected)) throw malformed();
  return privateKey;
}

function readEcdsa(type: string, reader: Reader): KeyObject {
  const curveName = reader.string('curve').toString('latin1');
  const curve = curves.get(curveName);
  if (curve === undefined || type !== `ecdsa-sha2-${curveName}`) throw malformed();
  const point = reader.string('curve point');
  const scalar = reader.unsignedMpint('private scalar');
  const agreement = createECDH(curve.openSslName);
  try {
    agreement.setPrivateKey(scalar);
  } catch {
    throw malformed();
  }
  if (!agreement.getPublicKey().equals(point)) throw malformed();
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
  if (!agrees) throw malformed();
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
    throw malformed();
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

function malformed(): KeyError {
  return new KeyError(
    'private_key_malformed',
    'This is not a whole OpenSSH private key file. Use the file as ssh-keygen wrote it.',
  );
}

function wrongPassphrase(): KeyError {
  return new KeyError('private_key_passphrase', 'The passphrase does not open this private key.');
}
