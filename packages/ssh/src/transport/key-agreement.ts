// The arithmetic below the key exchanges: from an own private key and the peer's share to a secret that both have.
// X25519 (RFC 7748), ECDH over the NIST curves (RFC 5656, section 4), Diffie-Hellman in the MODP groups (RFC 3526,
// RFC 8268) and ML-KEM-768 (FIPS 203). key-exchange.ts makes SSH's exchanges of them, for both roles.
//
// A share is the contents of its field in the message. That of a MODP group is an mpint there and the others are
// strings, but on the wire an mpint is a string of its bytes, so nobody else must know which is which.
//
// `readShare` bounds and checks a stranger's share before anything is computed, also before an own key is made, and
// throws WireError. Private keys are made anew for each exchange.

import {
  type DiffieHellmanGroup,
  type KeyObject,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  getDiffieHellman,
} from 'node:crypto';
import { Reader, WireError, Writer } from '../wire.ts';

/** Where both sides do the same with each other's shares. */
export interface Agreement<PrivateKey, PublicKey> {
  readonly generate: () => PrivateKey;
  readonly shareOf: (privateKey: PrivateKey) => Buffer;
  readonly readShare: (share: Buffer) => PublicKey;
  /** The secret as a big-endian number that may have leading zeros. Throws WireError where it must not be used. */
  readonly agree: (privateKey: PrivateKey, peer: PublicKey) => Buffer;
}

/** Where the client's share is a key, under which the server's hands over a secret of 32 bytes. */
export interface KeyEncapsulation {
  readonly keyBytes: number;
  readonly ciphertextBytes: number;
  readonly generate: () => KeyObject;
  readonly shareOf: (privateKey: KeyObject) => Buffer;
  readonly readShare: (share: Buffer) => KeyObject;
  readonly encapsulate: (peer: KeyObject) => { readonly secret: Buffer; readonly ciphertext: Buffer };
  /** `ciphertext` has `ciphertextBytes`. One that was made for another key gives a secret that nobody knows. */
  readonly decapsulate: (privateKey: KeyObject, ciphertext: Buffer) => Buffer;
}

const x25519KeyBytes = 32;

export const x25519: Agreement<KeyObject, KeyObject> = {
  generate: () => generateKeyPairSync('x25519').privateKey,
  shareOf: rawPublicKey,
  readShare: (share) => {
    checkLength(share, x25519KeyBytes);
    return createPublicKey({ key: share, format: 'raw-public', asymmetricKeyType: 'x25519' });
  },
  // RFC 8731, section 3: a share of small order makes an all-zero secret, which OpenSSL does not hand out.
  agree: (privateKey, publicKey) =>
    orRefuse('a point of small order', () => diffieHellman({ privateKey, publicKey })),
};

export const nistp256 = nistCurve('P-256', 32);
export const nistp384 = nistCurve('P-384', 48);
export const nistp521 = nistCurve('P-521', 66);

function nistCurve(namedCurve: string, fieldBytes: number): Agreement<KeyObject, KeyObject> {
  return {
    generate: () => generateKeyPairSync('ec', { namedCurve }).privateKey,
    shareOf: rawPublicKey,
    readShare: (share) => {
      // The point at infinity is one byte. RFC 5656 allows compressed points, but no implementation sends them.
      checkLength(share, 1 + 2 * fieldBytes);
      if (share[0] !== 4) throw refusal('not an uncompressed point');
      // OpenSSL checks that the point is on the curve; the group has no smaller subgroups.
      return orRefuse('a point that is not on the curve', () =>
        createPublicKey({ key: share, format: 'raw-public', asymmetricKeyType: 'ec', namedCurve }),
      );
    },
    agree: (privateKey, publicKey) => diffieHellman({ privateKey, publicKey }),
  };
}

export const group14 = modpGroup('modp14');
export const group16 = modpGroup('modp16');
export const group18 = modpGroup('modp18');

/** The private exponents are as short as the group's strength allows, 225 to 400 bits. */
function modpGroup(name: string): Agreement<DiffieHellmanGroup, Buffer> {
  const prime = getDiffieHellman(name).getPrime();
  const one = Buffer.alloc(prime.length);
  one[one.length - 1] = 1;
  // The prime is odd.
  const last = Buffer.from(prime);
  last[last.length - 1] = prime.readUInt8(prime.length - 1) - 1;
  return {
    generate: () => {
      const privateKey = getDiffieHellman(name);
      privateKey.generateKeys();
      return privateKey;
    },
    shareOf: (privateKey) => new Writer().unsignedMpint(privateKey.getPublicKey()).toBuffer().subarray(4),
    readShare: (share) => {
      if (share.length > 1 + prime.length)
        throw refusal(`${share.length} bytes for a number below the prime`);
      const number = new Reader(new Writer().string(share).toBuffer()).unsignedMpint('key share');
      if (number.length > prime.length) throw refusal('a number beyond the prime');
      const padded = Buffer.concat([Buffer.alloc(prime.length - number.length), number]);
      // RFC 8268, section 4: 1 < e < p - 1.
      if (padded.compare(one) <= 0 || padded.compare(last) >= 0) throw refusal('a number out of range');
      return padded;
    },
    // Here too OpenSSL hands out no secret of 0 or 1.
    agree: (privateKey, share) => orRefuse('a number out of range', () => privateKey.computeSecret(share)),
  };
}

const mlkem768KeyBytes = 1184;

export const mlkem768: KeyEncapsulation = {
  keyBytes: mlkem768KeyBytes,
  ciphertextBytes: 1088,
  generate: () => generateKeyPairSync('ml-kem-768').privateKey,
  shareOf: rawPublicKey,
  readShare: (share) => {
    checkLength(share, mlkem768KeyBytes);
    // FIPS 203, section 7.2: every coefficient must be below the modulus, which OpenSSL checks.
    return orRefuse('not an encapsulation key', () =>
      createPublicKey({ key: share, format: 'raw-public', asymmetricKeyType: 'ml-kem-768' }),
    );
  },
  encapsulate: (peer) => {
    const { sharedKey, ciphertext } = encapsulate(peer);
    return { secret: sharedKey, ciphertext };
  },
  decapsulate: (privateKey, ciphertext) => decapsulate(privateKey, ciphertext),
};

function checkLength(share: Buffer, bytes: number): void {
  if (share.length !== bytes) throw refusal(`${share.length} bytes instead of ${bytes}`);
}

function rawPublicKey(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'raw-public' });
}

function orRefuse<T>(explanation: string, compute: () => T): T {
  try {
    return compute();
  } catch {
    throw refusal(explanation);
  }
}

function refusal(explanation: string): WireError {
  return new WireError('key share', 0, 'malformed', explanation);
}
