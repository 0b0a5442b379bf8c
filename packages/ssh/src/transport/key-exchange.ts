// The key exchanges, by the names that KEXINIT negotiates, in both roles: from shares to K and the exchange hash H.
// curve25519 (RFC 8731), mlkem768x25519 (draft-ietf-sshm-mlkem-hybrid-kex), which also holds against a later quantum
// computer, ecdh-sha2-* (RFC 5656, section 4) and diffie-hellman-group* (RFC 4253, section 8, with RFC 8268). Called
// once for each key exchange, between KEXINIT and NEWKEYS. sntrup761x25519-sha512 is missing because neither OpenSSL
// nor a well-kept npm package has Streamlined NTRU Prime.

import { hash } from 'node:crypto';
import { Writer } from '../wire.ts';
import {
  type Agreement,
  type KeyEncapsulation,
  group14,
  group16,
  group18,
  mlkem768,
  nistp256,
  nistp384,
  nistp521,
  x25519,
} from './key-agreement.ts';

/** Of the exchange hash and of the keys derived from it, in the words of node:crypto. */
export type HashName = 'sha256' | 'sha384' | 'sha512';

export interface ClientKeyExchange {
  readonly hashName: HashName;
  /** Q_C, C_INIT or e: the contents of the field in SSH_MSG_KEX_ECDH_INIT. */
  readonly clientShare: Buffer;
  /** K, written as the exchange hash takes it (an mpint, or a string). Throws WireError for a bad share. */
  readonly sharedSecret: (serverShare: Buffer) => Buffer;
}

export interface ServerKeyExchange {
  readonly hashName: HashName;
  /** Q_S, S_REPLY or f: the contents of the field in SSH_MSG_KEX_ECDH_REPLY. */
  readonly serverShare: Buffer;
  /** K, written as the exchange hash takes it (an mpint, or a string). */
  readonly sharedSecret: Buffer;
}

/** Both halves of an exchange, but for its hash. */
interface Halves {
  readonly start: () => Omit<ClientKeyExchange, 'hashName'>;
  readonly answer: (clientShare: Buffer) => Omit<ServerKeyExchange, 'hashName'>;
}

interface KeyExchange extends Halves {
  readonly hashName: HashName;
}

const curve25519: KeyExchange = { hashName: 'sha256', ...agreementHalves(x25519) };

// In order of preference, as OpenSSH has it since 10.0.
const keyExchanges = new Map<string, KeyExchange>([
  ['mlkem768x25519-sha256', { hashName: 'sha256', ...hybridHalves(mlkem768, x25519) }],
  ['curve25519-sha256', curve25519],
  ['curve25519-sha256@libssh.org', curve25519],
  ['ecdh-sha2-nistp256', { hashName: 'sha256', ...agreementHalves(nistp256) }],
  ['ecdh-sha2-nistp384', { hashName: 'sha384', ...agreementHalves(nistp384) }],
  ['ecdh-sha2-nistp521', { hashName: 'sha512', ...agreementHalves(nistp521) }],
  ['diffie-hellman-group16-sha512', { hashName: 'sha512', ...agreementHalves(group16) }],
  ['diffie-hellman-group18-sha512', { hashName: 'sha512', ...agreementHalves(group18) }],
  ['diffie-hellman-group14-sha256', { hashName: 'sha256', ...agreementHalves(group14) }],
]);

/** All that are known, the best first. */
export const keyExchangeNames: readonly string[] = [...keyExchanges.keys()];

/**
 * What is offered unless an owner said otherwise, the best first. A stranger can have the server's half computed again
 * and again, so it costs 3 ms of CPU at most: 0.1 ms for curve25519, 0.2 for mlkem768x25519, 3 for group16 (and 13 for
 * group18, 3.6 for nistp521).
 */
export const defaultKeyExchangeNames: readonly string[] = [
  'mlkem768x25519-sha256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
];

/** Makes the client's ephemeral keys. Throws RangeError for a name that is not one of `keyExchangeNames`. */
export function startKeyExchange(name: string): ClientKeyExchange {
  const { hashName, start } = keyExchange(name);
  return { hashName, ...start() };
}

/**
 * Makes the server's ephemeral keys and agrees with the client's. Throws WireError for a bad share, and RangeError for
 * a name that is not one of `keyExchangeNames`.
 */
export function answerKeyExchange(name: string, clientShare: Buffer): ServerKeyExchange {
  const { hashName, answer } = keyExchange(name);
  return { hashName, ...answer(clientShare) };
}

function keyExchange(name: string): KeyExchange {
  const known = keyExchanges.get(name);
  if (known === undefined) throw new RangeError(`not a key exchange: ${name}`);
  return known;
}

export function agreementHalves<PrivateKey, PublicKey>(agreement: Agreement<PrivateKey, PublicKey>): Halves {
  const { generate, shareOf, readShare, agree } = agreement;
  const encode = (secret: Buffer): Buffer => new Writer().unsignedMpint(secret).toBuffer();
  return {
    start: () => {
      const privateKey = generate();
      return {
        clientShare: shareOf(privateKey),
        sharedSecret: (serverShare) => encode(agree(privateKey, readShare(serverShare))),
      };
    },
    answer: (clientShare) => {
      const client = readShare(clientShare);
      const privateKey = generate();
      return { serverShare: shareOf(privateKey), sharedSecret: encode(agree(privateKey, client)) };
    },
  };
}

export function hybridHalves<PrivateKey, PublicKey>(
  encapsulation: KeyEncapsulation,
  agreement: Agreement<PrivateKey, PublicKey>,
): Halves {
  const { keyBytes, ciphertextBytes } = encapsulation;
  // The draft hashes this K as a string, not as an mpint.
  const encode = (...secrets: readonly Buffer[]): Buffer =>
    new Writer().string(hash('sha256', Buffer.concat(secrets), 'buffer')).toBuffer();
  return {
    start: () => {
      const postQuantum = encapsulation.generate();
      const classical = agreement.generate();
      return {
        clientShare: Buffer.concat([encapsulation.shareOf(postQuantum), agreement.shareOf(classical)]),
        sharedSecret: (serverShare) => {
          // This bounds the ciphertext too, which is all that comes before the other share.
          const server = agreement.readShare(serverShare.subarray(ciphertextBytes));
          const secret = encapsulation.decapsulate(postQuantum, serverShare.subarray(0, ciphertextBytes));
          return encode(secret, agreement.agree(classical, server));
        },
      };
    },
    answer: (clientShare) => {
      const postQuantum = encapsulation.readShare(clientShare.subarray(0, keyBytes));
      const client = agreement.readShare(clientShare.subarray(keyBytes));
      const { secret, ciphertext } = encapsulation.encapsulate(postQuantum);
      const classical = agreement.generate();
      return {
        serverShare: Buffer.concat([ciphertext, agreement.shareOf(classical)]),
        sharedSecret: encode(secret, agreement.agree(classical, client)),
      };
    },
  };
}

/** H of RFC 4253 section 8 and RFC 5656 section 4. Shares and K are those of a ClientKeyExchange or ServerKeyExchange. */
export function exchangeHash(values: {
  readonly hashName: HashName;
  /** Without the line end. */
  readonly clientIdentification: string;
  readonly serverIdentification: string;
  /** The whole payloads, from the message number on. */
  readonly clientKexInit: Buffer;
  readonly serverKexInit: Buffer;
  readonly hostKey: Buffer;
  readonly clientShare: Buffer;
  readonly serverShare: Buffer;
  readonly sharedSecret: Buffer;
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
  return hash(values.hashName, hashed, 'buffer');
}
