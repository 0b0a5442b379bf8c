// What protects one packet at a time, on node:crypto: the ciphers' part of packet-protection-node.ts. What
// may be kept between packets is kept: the keys as KeyObjects, and for AES-CTR the cipher itself, since it
// runs on from packet to packet. The others need a cipher object for each packet, which is what makes this
// the slower implementation. node:crypto has no Poly1305 apart from its AEAD, which counts other bytes
// than OpenSSH's, so that comes from a library.

import {
  type CipherGCMTypes,
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  timingSafeEqual,
} from 'node:crypto';
import { poly1305 } from '@noble/ciphers/_poly1305.js';
import type { PacketKeys } from './key-derivation.ts';
import type { PacketAlgorithm } from './packet-algorithms.ts';
import { lengthFieldBytes } from './packet-protection.ts';

/** `at` is where a packet starts in `bytes`; `packetBytes` counts all of it but the tag. */
export interface PacketCipher {
  /** How many bytes must be there to read the length. */
  readonly lengthNeedsBytes: number;
  /** The number in the length field, without changing `bytes`. Asked once for each packet. */
  readLength(bytes: Buffer, at: number, sequenceNumber: number): number;
  /** In place. Returns false when the tag is wrong. */
  open(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): boolean;
  /** In place, and puts the tag behind. */
  seal(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): void;
}

export function createPacketCipher(algorithm: PacketAlgorithm, keys: PacketKeys): PacketCipher {
  switch (algorithm.mode) {
    case 'none':
      return new ClearText();
    case 'gcm':
      return new Gcm(algorithm, keys);
    case 'chacha20-poly1305':
      return new ChaCha20Poly1305(keys);
    case 'ctr':
      return new CtrWithHmac(algorithm, keys);
  }
}

class ClearText implements PacketCipher {
  readonly lengthNeedsBytes = lengthFieldBytes;

  readLength(bytes: Buffer, at: number): number {
    return bytes.readUInt32BE(at);
  }

  open(): boolean {
    return true;
  }

  seal(): void {}
}

class Gcm implements PacketCipher {
  readonly lengthNeedsBytes = lengthFieldBytes;
  readonly #name: CipherGCMTypes;
  readonly #key: KeyObject;
  readonly #tagBytes: number;
  /** Its last 8 bytes count packets, from what the key exchange made on. */
  readonly #iv: Buffer;

  constructor(algorithm: PacketAlgorithm, keys: PacketKeys) {
    this.#name = algorithm.keyBytes === 16 ? 'aes-128-gcm' : 'aes-256-gcm';
    this.#key = createSecretKey(keys.encryptionKey);
    this.#tagBytes = algorithm.tagBytes;
    this.#iv = Buffer.from(keys.iv);
  }

  readLength(bytes: Buffer, at: number): number {
    return bytes.readUInt32BE(at);
  }

  open(bytes: Buffer, at: number, packetBytes: number): boolean {
    const tagStart = at + packetBytes;
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv, { authTagLength: this.#tagBytes });
    decipher.setAAD(bytes.subarray(at, at + lengthFieldBytes));
    decipher.setAuthTag(bytes.subarray(tagStart, tagStart + this.#tagBytes));
    bytes.set(decipher.update(bytes.subarray(at + lengthFieldBytes, tagStart)), at + lengthFieldBytes);
    try {
      decipher.final();
    } catch {
      return false;
    }
    this.#count();
    return true;
  }

  seal(bytes: Buffer, at: number, packetBytes: number): void {
    const tagStart = at + packetBytes;
    const cipher = createCipheriv(this.#name, this.#key, this.#iv, { authTagLength: this.#tagBytes });
    cipher.setAAD(bytes.subarray(at, at + lengthFieldBytes));
    bytes.set(cipher.update(bytes.subarray(at + lengthFieldBytes, tagStart)), at + lengthFieldBytes);
    cipher.final();
    bytes.set(cipher.getAuthTag(), tagStart);
    this.#count();
  }

  #count(): void {
    this.#iv.writeBigUInt64BE(BigInt.asUintN(64, this.#iv.readBigUInt64BE(4) + 1n), 4);
  }
}

class ChaCha20Poly1305 implements PacketCipher {
  readonly lengthNeedsBytes = lengthFieldBytes;
  readonly #key: KeyObject;
  readonly #lengthKey: KeyObject;
  /** A block counter of 8 bytes, little-endian, and the sequence number in 8, big-endian. */
  readonly #iv = Buffer.alloc(16);

  constructor(keys: PacketKeys) {
    this.#key = createSecretKey(keys.encryptionKey.subarray(0, 32));
    this.#lengthKey = createSecretKey(keys.encryptionKey.subarray(32));
  }

  readLength(bytes: Buffer, at: number, sequenceNumber: number): number {
    return this.#lengthField(bytes.subarray(at, at + lengthFieldBytes), sequenceNumber).readUInt32BE();
  }

  open(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): boolean {
    const cipher = this.#start(this.#key, sequenceNumber);
    const tagStart = at + packetBytes;
    const tag = poly1305(bytes.subarray(at, tagStart), cipher.update(firstBlock).subarray(0, 32));
    if (!timingSafeEqual(tag, bytes.subarray(tagStart, tagStart + tag.length))) return false;
    bytes.set(cipher.update(bytes.subarray(at + lengthFieldBytes, tagStart)), at + lengthFieldBytes);
    return true;
  }

  seal(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): void {
    const cipher = this.#start(this.#key, sequenceNumber);
    const tagStart = at + packetBytes;
    const tagKey = cipher.update(firstBlock).subarray(0, 32);
    bytes.set(this.#lengthField(bytes.subarray(at, at + lengthFieldBytes), sequenceNumber), at);
    bytes.set(cipher.update(bytes.subarray(at + lengthFieldBytes, tagStart)), at + lengthFieldBytes);
    bytes.set(poly1305(bytes.subarray(at, tagStart), tagKey), tagStart);
  }

  #lengthField(field: Buffer, sequenceNumber: number): Buffer {
    return this.#start(this.#lengthKey, sequenceNumber).update(field);
  }

  #start(key: KeyObject, sequenceNumber: number): StreamCipher {
    this.#iv.writeUInt32BE(sequenceNumber, 12);
    return createCipheriv('chacha20', key, this.#iv);
  }
}

// Block 0 of the key stream holds the key of the tag, and what is encrypted starts at block 1.
const firstBlock = Buffer.alloc(64);

class CtrWithHmac implements PacketCipher {
  readonly lengthNeedsBytes: number;
  readonly #cipher: StreamCipher;
  readonly #hash: string;
  readonly #macKey: KeyObject;
  readonly #isEncryptThenMac: boolean;
  readonly #sequence = Buffer.alloc(4);
  /** What the length was read from, when that took the cipher a block on. */
  #first: Buffer = Buffer.alloc(0);

  constructor(algorithm: PacketAlgorithm, keys: PacketKeys) {
    const { mac, keyBytes, blockBytes } = algorithm;
    if (mac === undefined) throw new TypeError('AES-CTR without a MAC');
    // Both directions are the same sum with the key stream.
    this.#cipher = createCipheriv(`aes-${keyBytes * 8}-ctr`, keys.encryptionKey, keys.iv);
    this.#hash = mac.hash;
    this.#macKey = createSecretKey(keys.macKey);
    this.#isEncryptThenMac = mac.isEncryptThenMac;
    this.lengthNeedsBytes = mac.isEncryptThenMac ? lengthFieldBytes : blockBytes;
  }

  readLength(bytes: Buffer, at: number): number {
    if (this.#isEncryptThenMac) return bytes.readUInt32BE(at);
    this.#first = this.#cipher.update(bytes.subarray(at, at + this.lengthNeedsBytes));
    return this.#first.readUInt32BE();
  }

  open(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): boolean {
    const end = at + packetBytes;
    if (this.#isEncryptThenMac) {
      if (!this.#verify(bytes, at, end, sequenceNumber)) return false;
      bytes.set(this.#cipher.update(bytes.subarray(at + lengthFieldBytes, end)), at + lengthFieldBytes);
      return true;
    }
    const rest = at + this.#first.length;
    bytes.set(this.#cipher.update(bytes.subarray(rest, end)), rest);
    bytes.set(this.#first, at);
    return this.#verify(bytes, at, end, sequenceNumber);
  }

  seal(bytes: Buffer, at: number, packetBytes: number, sequenceNumber: number): void {
    const end = at + packetBytes;
    if (this.#isEncryptThenMac) {
      bytes.set(this.#cipher.update(bytes.subarray(at + lengthFieldBytes, end)), at + lengthFieldBytes);
      bytes.set(this.#tag(bytes, at, end, sequenceNumber), end);
    } else {
      bytes.set(this.#tag(bytes, at, end, sequenceNumber), end);
      bytes.set(this.#cipher.update(bytes.subarray(at, end)), at);
    }
  }

  #verify(bytes: Buffer, at: number, end: number, sequenceNumber: number): boolean {
    const tag = this.#tag(bytes, at, end, sequenceNumber);
    return timingSafeEqual(tag, bytes.subarray(end, end + tag.length));
  }

  #tag(bytes: Buffer, at: number, end: number, sequenceNumber: number): Buffer {
    this.#sequence.writeUInt32BE(sequenceNumber);
    const hmac = createHmac(this.#hash, this.#macKey);
    return hmac.update(this.#sequence).update(bytes.subarray(at, end)).digest();
  }
}

type StreamCipher = ReturnType<typeof createCipheriv>;
