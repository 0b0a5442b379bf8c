// From the shared secret of a key exchange to the keys of one direction (RFC 4253, section 7.2). Called
// once a direction for each key exchange, before NEWKEYS.

import { hash } from 'node:crypto';
import type { HashName } from './key-exchange.ts';
import type { PacketAlgorithm } from './packet-algorithms.ts';

export interface PacketKeys {
  readonly iv: Buffer;
  readonly encryptionKey: Buffer;
  readonly macKey: Buffer;
}

type Direction = 'clientToServer' | 'serverToClient';

const letters = {
  clientToServer: { iv: 'A', encryptionKey: 'C', macKey: 'E' },
  serverToClient: { iv: 'B', encryptionKey: 'D', macKey: 'F' },
} as const satisfies Record<Direction, Record<keyof PacketKeys, string>>;

interface KeyMaterial {
  /** Of the key exchange. */
  readonly hashName: HashName;
  /** K, written as the exchange hash takes it (an mpint, or a string). */
  readonly sharedSecret: Buffer;
  /** H of this key exchange. */
  readonly exchangeHash: Buffer;
  /** H of the connection's first key exchange. */
  readonly sessionId: Buffer;
}

/** The keys in the lengths that `algorithm` wants; what it does not use is empty. */
export function derivePacketKeys(
  material: KeyMaterial,
  algorithm: PacketAlgorithm,
  direction: Direction,
): PacketKeys {
  const { iv, encryptionKey, macKey } = letters[direction];
  return {
    iv: derive(material, iv, algorithm.ivBytes),
    encryptionKey: derive(material, encryptionKey, algorithm.keyBytes),
    macKey: derive(material, macKey, algorithm.mac?.bytes ?? 0),
  };
}

function derive(material: KeyMaterial, letter: string, bytes: number): Buffer {
  const { hashName, sharedSecret, exchangeHash, sessionId } = material;
  const start = Buffer.concat([sharedSecret, exchangeHash]);
  const first = hash(hashName, Buffer.concat([start, Buffer.from(letter), sessionId]), 'buffer');
  let key = first;
  while (key.length < bytes)
    key = Buffer.concat([key, hash(hashName, Buffer.concat([start, key]), 'buffer')]);
  return key.subarray(0, bytes);
}
