// Ed25519 private keys in OpenSSH's own file format (PROTOCOL.key, "openssh-key-v1"), unencrypted.
// sshd reads its host key from such a file, and ssh its identity; called when an environment gets its
// host key, when the certificate authority is made, and when either is loaded again. Encryption at rest
// is the caller's: the text made here is as secret as the key.

import {
  type KeyObject,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { Reader, WireError, Writer } from '../wire.ts';
import { fingerprint } from './fingerprint.ts';
import { KeyError } from './key-error.ts';

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

const type = 'ssh-ed25519';
const magic = Buffer.from('openssh-key-v1\0');
const beginLine = '-----BEGIN OPENSSH PRIVATE KEY-----';
const endLine = '-----END OPENSSH PRIVATE KEY-----';
const maximumCharacters = 16 * 1024;
// What the padding is counted in when nothing is encrypted.
const blockBytes = 8;

/** Makes a fresh Ed25519 key pair for a server to prove itself with. */
export function generateHostKey(): HostKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const blob = ed25519Blob(privateKey);
  return {
    publicKey: blob,
    privateKeyOpenSsh: formatPrivateKey(privateKey),
    publicLine: `${type} ${blob.toString('base64')}`,
    fingerprint: fingerprint(blob),
  };
}

/** The public key blob (RFC 8709, section 4) of an Ed25519 key, private or public. */
export function ed25519Blob(key: KeyObject): Buffer {
  return new Writer().string(type).string(rawPublic(key)).toBuffer();
}

/** The content of a private key file for an Ed25519 private key. */
export function formatPrivateKey(privateKey: KeyObject, comment = ''): string {
  const blob = ed25519Blob(privateKey);
  const publicBytes = rawPublic(privateKey);
  const seed = privateKey.export({ format: 'raw-private' });
  // Twice the same number: how a reader of an encrypted file knows that the passphrase was right.
  const check = randomBytes(4);
  const secret = new Writer()
    .bytes(check)
    .bytes(check)
    .string(type)
    .string(publicBytes)
    .string(Buffer.concat([seed, publicBytes]))
    .string(comment)
    .toBuffer();
  const paddingBytes = (blockBytes - (secret.length % blockBytes)) % blockBytes;
  const padding = Buffer.from(Array.from({ length: paddingBytes }, (_, index) => index + 1));
  const file = new Writer()
    .bytes(magic)
    .string('none')
    .string('none')
    .string('')
    .uint32(1)
    .string(blob)
    .string(Buffer.concat([secret, padding]))
    .toBuffer();
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return [beginLine, ...lines, endLine, ''].join('\n');
}

/**
 * Reads an unencrypted Ed25519 key file, as `formatPrivateKey` and `ssh-keygen -t ed25519 -N ''` write it.
 * Throws KeyError with a code that starts with `private_key_`.
 */
export function parsePrivateKey(text: string): KeyObject {
  const lines = text.trim().split(/\r?\n/);
  if (text.length > maximumCharacters || lines.shift() !== beginLine || lines.pop() !== endLine) {
    throw malformed();
  }
  const base64 = lines.join('');
  const file = Buffer.from(base64, 'base64');
  if (file.toString('base64') !== base64) throw malformed();
  try {
    return readFile(file);
  } catch (error) {
    if (error instanceof WireError) throw malformed();
    throw error;
  }
}

function readFile(file: Buffer): KeyObject {
  const reader = new Reader(file);
  if (!reader.bytes(magic.length, 'magic').equals(magic)) throw malformed();
  const cipher = reader.text('cipher');
  const kdf = reader.text('key derivation');
  if (cipher !== 'none' || kdf !== 'none') {
    throw new KeyError(
      'private_key_encrypted',
      'This private key is protected by a passphrase. Remove it with: ssh-keygen -p -N "" -f FILE',
    );
  }
  reader.string('key derivation options');
  if (reader.uint32('number of keys') !== 1) throw malformed();
  const blob = reader.string('public key');
  const secret = new Reader(reader.string('private keys'));
  reader.end('private key file');

  if (secret.uint32('check') !== secret.uint32('check')) throw malformed();
  if (!secret.string('key type').equals(Buffer.from(type))) {
    throw new KeyError(
      'private_key_type',
      'This private key is not an Ed25519 key. Make one with: ssh-keygen -t ed25519',
    );
  }
  const publicBytes = secret.string('Ed25519 public key');
  const privateBytes = secret.string('Ed25519 private key');
  secret.string('comment');
  const padding = secret.bytes(secret.remaining, 'padding');
  if (padding.length >= blockBytes || padding.some((byte, index) => byte !== index + 1)) throw malformed();
  if (privateBytes.length !== 64) throw malformed();

  const privateKey = createPrivateKey({
    key: privateBytes.subarray(0, 32),
    format: 'raw-private',
    asymmetricKeyType: 'ed25519',
  });
  // The public half is written three times. One that differs from the seed's own would make signatures
  // from which the private key can be computed.
  const expected = rawPublic(privateKey);
  const agrees =
    publicBytes.equals(expected) &&
    privateBytes.subarray(32).equals(expected) &&
    blob.equals(ed25519Blob(privateKey));
  if (!agrees) throw malformed();
  return privateKey;
}

function rawPublic(key: KeyObject): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('an Ed25519 key is needed');
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'raw-public' });
}

function malformed(): KeyError {
  return new KeyError(
    'private_key_malformed',
    'This is not a whole OpenSSH private key file. Use the file as ssh-keygen wrote it.',
  );
}
