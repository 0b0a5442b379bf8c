// The client's half of the key exchanges that people's ssh uses today: curve25519-sha256 (RFC 8731) and
// mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex), which also holds against a later quantum
// computer. Called once for each key exchange, between KEXINIT and NEWKEYS.

import {
  type KeyObject,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  hash,
  verify,
} from 'node:crypto';
import { Reader, WireError, Writer } from '../wire.ts';

export interface ClientKeyExchange {
  /** Q_C or C_INIT: what the client sends in SSH_MSG_KEX_ECDH_INIT. */
  readonly clientShare: Buffer;
  /** K, written as the exchange hash takes it (an mpint, or a string). Throws WireError for a bad share. */
  readonly sharedSecret: (serverShare: Buffer) => Buffer;
}

const x25519Bytes = 32;
const mlkem768CiphertextBytes = 1088;

// In order of preference, as OpenSSH has it since 10.0.
const keyExchanges = new Map<string, () => ClientKeyExchange>([
  ['mlkem768x25519-sha256', startMlkem768x25519],
  ['curve25519-sha256', startCurve25519],
  ['curve25519-sha256@libssh.org', startCurve25519],
]);

export const keyExchangeNames: readonly string[] = [...keyExchanges.keys()];

/** Makes the client's ephemeral keys for one of `keyExchangeNames`. */
export function startKeyExchange(name: string): ClientKeyExchange {
  const start = keyExchanges.get(name);
  if (start === undefined) throw new RangeError(`not a key exchange: ${name}`);
  return start();
}

function startCurve25519(): ClientKeyExchange {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return {
    clientShare: publicKey.export({ format: 'raw-public' }),
    sharedSecret: (serverShare) => new Writer().unsignedMpint(x25519(privateKey, serverShare)).toBuffer(),
  };
}

function startMlkem768x25519(): ClientKeyExchange {
  const postQuantum = generateKeyPairSync('ml-kem-768');
  const classical = generateKeyPairSync('x25519');
  return {
    clientShare: Buffer.concat([
      postQuantum.publicKey.export({ format: 'raw-public' }),
      classical.publicKey.export({ format: 'raw-public' }),
    ]),
    sharedSecret: (serverShare) => {
      checkLength(serverShare, mlkem768CiphertextBytes + x25519Bytes);
      const ciphertext = serverShare.subarray(0, mlkem768CiphertextBytes);
      const fromPostQuantum = decapsulate(postQuantum.privateKey, ciphertext);
      const fromClassical = x25519(classical.privateKey, serverShare.subarray(mlkem768CiphertextBytes));
      const secret = hash('sha256', Buffer.concat([fromPostQuantum, fromClassical]), 'buffer');
      // The draft hashes this K as a string, not as an mpint.
      return new Writer().string(secret).toBuffer();
    },
  };
}

function x25519(privateKey: KeyObject, peer: Buffer): Buffer {
  checkLength(peer, x25519Bytes);
  const publicKey = createPublicKey({ key: peer, format: 'raw-public', asymmetricKeyType: 'x25519' });
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    // RFC 8731, section 3: a share of small order makes an all-zero secret, which must not be used.
    throw new WireError('server share', 0, 'malformed', 'a point of small order');
  }
}

function checkLength(share: Buffer, bytes: number): void {
  if (share.length !== bytes) {
    throw new WireError('server share', 0, 'malformed', `${share.length} bytes instead of ${bytes}`);
  }
}

/** H of RFC 4253 section 8 and RFC 5656 section 4, for the exchanges above, which all use SHA-256. */
export function exchangeHash(values: {
  clientIdentification: string;
  serverIdentification: string;
  clientKexInit: Buffer;
  serverKexInit: Buffer;
  hostKey: Buffer;
  clientShare: Buffer;
  serverShare: Buffer;
  /** As `ClientKeyExchange.sharedSecret` returns it. */
  sharedSecret: Buffer;
}): Buffer {
  const hashed = new Writer()
    .string(values.clientIdentification)
    .string(values.serverIdentification)
    .string(values.clientKexInit)
    .string(values.serverKexInit)
    .string(values.hostKey)
    .string(values.clientShare)
    .string(values.serverShare)
    .bytes(values.sharedSecret)
    .toBuffer();
  return hash('sha256', hashed, 'buffer');
}

/**
 * Whether `signature` over `data` was made by the ssh-ed25519 key in `hostKey` (RFC 8709). Throws
 * WireError when either is not of that form.
 */
export function verifyEd25519(hostKey: Buffer, data: Buffer, signature: Buffer): boolean {
  const key = ed25519Field(hostKey, 'host key', 32);
  const publicKey = createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  return verify(null, data, publicKey, ed25519Field(signature, 'signature', 64));
}

function ed25519Field(blob: Buffer, what: string, bytes: number): Buffer {
  const reader = new Reader(blob);
  const isEd25519 = reader.string(`${what} type`).equals(Buffer.from('ssh-ed25519'));
  const value = reader.string(what);
  reader.end(what);
  if (!isEd25519 || value.length !== bytes) throw new WireError(what, 0, 'malformed', 'not ssh-ed25519');
  return value;
}
