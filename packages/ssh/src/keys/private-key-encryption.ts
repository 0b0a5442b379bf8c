// How OpenSSH protects a private key file by a passphrase (PROTOCOL.key, sections 1 and 3: the cipher, the key
// derivation and its options). Called by private-key.ts, which knows what is inside.
//
// The derivation is bcrypt_pbkdf, which node:crypto lacks. It is JavaScript, so a round takes some 25 ms in
// which nothing else runs: for commands and starts, not for a server's requests.

import { type CipherGCM, type DecipherGCM, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { Reader, Writer } from '../wire.ts';
import { KeyError } from './key-error.ts';

export interface PrivateKeyEncryption {
  /** Not empty. */
  readonly passphrase: string;
  /** `aes256-ctr` unless told otherwise, as ssh-keygen has it. */
  readonly cipher?: 'aes256-ctr' | 'aes256-gcm@openssh.com';
  /** Rounds of bcrypt_pbkdf: 24 unless told otherwise, as ssh-keygen has it. */
  readonly rounds?: number;
}

export interface FileEncryption {
  /** Cipher, key derivation, and its options. */
  readonly header: Buffer;
  /** What the padding is counted in. */
  readonly blockBytes: number;
  readonly encrypt: (secret: Buffer) => { content: Buffer; tag: Buffer };
}

export interface FileDecryption {
  readonly blockBytes: number;
  /** How many bytes follow the private keys. */
  readonly tagBytes: number;
  readonly decrypt: (content: Buffer, tag: Buffer) => Buffer;
  /** The refusal of a content whose two checks differ. */
  readonly checkRefusal: () => KeyError;
}

interface FileCipher {
  readonly openSslName: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
  readonly blockBytes: number;
  readonly tagBytes: number;
}

const ciphers = new Map<string, FileCipher>([
  ['aes256-ctr', { openSslName: 'aes-256-ctr', keyBytes: 32, ivBytes: 16, blockBytes: 16, tagBytes: 0 }],
  // What ssh-keygen wrote before 7.6; read, never written.
  ['aes256-cbc', { openSslName: 'aes-256-cbc', keyBytes: 32, ivBytes: 16, blockBytes: 16, tagBytes: 0 }],
  [
    'aes256-gcm@openssh.com',
    { openSslName: 'aes-256-gcm', keyBytes: 32, ivBytes: 12, blockBytes: 16, tagBytes: 16 },
  ],
]);

const plainBlockBytes = 8;
const saltBytes = 16;
const defaultRounds = 24;
// Without a bound one number in a stranger's file would stop the process for hours.
const maximumRounds = 256;

// Loaded when first used: its tables are 7 MiB that a process which never sees a passphrase need not hold.
const load = createRequire(import.meta.url);

/**
 * How a file is written. Throws RangeError for rounds that `decryptionOf` would refuse and for an empty
 * passphrase.
 */
export function encryptionOf(options: PrivateKeyEncryption | undefined): FileEncryption {
  if (options === undefined) {
    return {
      header: new Writer().string('none').string('none').string('').toBuffer(),
      blockBytes: plainBlockBytes,
      encrypt: (content) => ({ content, tag: Buffer.alloc(0) }),
    };
  }
  const { passphrase, cipher: name = 'aes256-ctr', rounds = defaultRounds } = options;
  const cipher = ciphers.get(name);
  if (cipher === undefined) throw new RangeError(`not a cipher for private key files: ${name}`);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > maximumRounds) {
    throw new RangeError(`not a number of rounds from 1 to ${maximumRounds}: ${rounds}`);
  }
  if (passphrase === '') throw new RangeError('an empty passphrase protects nothing');
  const salt = randomBytes(saltBytes);
  const derivation = new Writer().string(salt).uint32(rounds).toBuffer();
  return {
    header: new Writer().string(name).string('bcrypt').string(derivation).toBuffer(),
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

/**
 * How a file is read whose header says `cipher`, `keyDerivation` and `options`. Throws KeyError:
 * `private_key_cipher`, `private_key_encrypted` without a passphrase; its `decrypt` also
 * `private_key_malformed` and `private_key_passphrase`.
 */
export function decryptionOf(
  cipher: string,
  keyDerivation: string,
  options: Buffer,
  passphrase: string,
): FileDecryption {
  if (cipher === 'none' && keyDerivation === 'none') {
    return {
      ...{ blockBytes: plainBlockBytes, tagBytes: 0 },
      decrypt: (content) => content,
      checkRefusal: malformedPrivateKey,
    };
  }
  const known = ciphers.get(cipher);
  if (known === undefined || keyDerivation !== 'bcrypt') {
    throw new KeyError(
      'private_key_cipher',
      'This private key is encrypted in a way that is not read here. Change it with: ' +
        'ssh-keygen -p -Z aes256-ctr -f FILE',
    );
  }
  if (passphrase === '') {
    throw new KeyError(
      'private_key_encrypted',
      'This private key is protected by a passphrase. Give the passphrase, or remove it with: ' +
        'ssh-keygen -p -N "" -f FILE',
    );
  }
  return {
    ...{ blockBytes: known.blockBytes, tagBytes: known.tagBytes },
    decrypt: (content, tag) => decrypt(known, content, tag, options, passphrase),
    checkRefusal: wrongPassphrase,
  };
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
  if (content.length % cipher.blockBytes !== 0) throw malformedPrivateKey();
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

function deriveKey(
  cipher: FileCipher,
  passphrase: string,
  salt: Buffer,
  rounds: number,
): { key: Buffer; iv: Buffer } {
  const { pbkdf } = load('bcrypt-pbkdf') as typeof import('bcrypt-pbkdf');
  const secret = Buffer.from(passphrase);
  const derived = Buffer.alloc(cipher.keyBytes + cipher.ivBytes);
  const refused = pbkdf(secret, secret.length, salt, salt.length, derived, derived.length, rounds);
  if (refused !== 0) throw malformedPrivateKey();
  return { key: derived.subarray(0, cipher.keyBytes), iv: derived.subarray(cipher.keyBytes) };
}

export function malformedPrivateKey(): KeyError {
  return new KeyError(
    'private_key_malformed',
    'This is not a whole OpenSSH private key file. Use the file as ssh-keygen wrote it.',
  );
}

function wrongPassphrase(): KeyError {
  return new KeyError('private_key_passphrase', 'The passphrase does not open this private key.');
}
