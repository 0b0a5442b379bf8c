// Opener and Protector on node:crypto: what is used where the addon could not be built, and for the clear
// text before the first NEWKEYS.

import { randomFillSync } from 'node:crypto';
import { PacketError, type PacketErrorCode } from './packet-error.ts';
import { type PacketCipher, createPacketCipher } from './packet-cipher-node.ts';
import type { PacketAlgorithm } from './packet-algorithms.ts';
import {
  type Opener,
  type PacketProtection,
  type Protector,
  checkKeys,
  checkOptions,
  lengthFieldBytes,
  minimumPaddingBytes,
  paddingFor,
  payloadOffset,
  sealedBytes,
} from './packet-protection.ts';
import { message } from './messages.ts';
import { Packets, type StopReason, header, stopCode } from './packets.ts';

export const nodeProtection: PacketProtection = {
  createOpener(algorithm, keys, options = {}) {
    checkKeys(algorithm, keys);
    const { sequenceNumber, maximumPacketBytes } = checkOptions(options);
    return new NodeOpener(algorithm, createPacketCipher(algorithm, keys), sequenceNumber, maximumPacketBytes);
  },
  createProtector(algorithm, keys, options = {}) {
    checkKeys(algorithm, keys);
    const { sequenceNumber } = checkOptions(options);
    return new NodeProtector(algorithm, createPacketCipher(algorithm, keys), sequenceNumber);
  },
};

class NodeOpener implements Opener {
  readonly #algorithm: PacketAlgorithm;
  readonly #maximumPacketBytes: number;
  #cipher: PacketCipher | undefined;
  #sequenceNumber: number;
  /** Of the packet that comes next, as soon as its length is known; 0 before. */
  #packetBytes = 0;
  #failure: PacketErrorCode | undefined;

  constructor(
    algorithm: PacketAlgorithm,
    cipher: PacketCipher,
    sequenceNumber: number,
    maximumPacketBytes: number,
  ) {
    this.#algorithm = algorithm;
    this.#cipher = cipher;
    this.#sequenceNumber = sequenceNumber;
    this.#maximumPacketBytes = maximumPacketBytes;
  }

  get sequenceNumber(): number {
    return this.#sequenceNumber;
  }

  open(bytes: Buffer, start: number, end: number, packets: Packets): number {
    const cipher = this.#cipher;
    if (cipher === undefined) throw closed();
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new RangeError('outside of the buffer');
    packets.words.fill(0, 0, header.words);
    packets.words[header.firstSequenceNumber] = this.#sequenceNumber;
    if (this.#failure !== undefined) throw new PacketError(this.#failure);

    let at = start;
    const stop = (reason: StopReason, neededBytes = 0): number => {
      packets.words[header.stopped] = stopCode(reason);
      packets.words[header.neededBytes] = neededBytes;
      packets.words[header.next] = at;
      return at;
    };
    while (packets.count < packets.capacity) {
      if (this.#packetBytes === 0) {
        if (end - at < cipher.lengthNeedsBytes) return stop('partial', cipher.lengthNeedsBytes);
        this.#packetBytes = this.#checkLength(cipher.readLength(bytes, at, this.#sequenceNumber));
      }
      const packetBytes = this.#packetBytes;
      const total = packetBytes + this.#algorithm.tagBytes;
      if (end - at < total) return stop('partial', total);
      if (!cipher.open(bytes, at, packetBytes, this.#sequenceNumber)) throw this.#fail('mac');
      const paddingBytes = bytes.readUInt8(at + lengthFieldBytes);
      const payloadBytes = packetBytes - payloadOffset - paddingBytes;
      if (paddingBytes < minimumPaddingBytes || payloadBytes < 1) throw this.#fail('padding');
      packets.add(at + payloadOffset, payloadBytes);
      this.#sequenceNumber = (this.#sequenceNumber + 1) >>> 0;
      this.#packetBytes = 0;
      const isNewKeys = bytes[at + payloadOffset] === message.newKeys;
      at += total;
      if (isNewKeys) return stop('newKeys');
    }
    return stop('full');
  }

  close(): void {
    this.#cipher = undefined;
  }

  #checkLength(length: number): number {
    const { blockBytes, isLengthInBlocks } = this.#algorithm;
    const packetBytes = lengthFieldBytes + length;
    const inBlocks = isLengthInBlocks ? packetBytes : length;
    const isRight =
      packetBytes <= this.#maximumPacketBytes && inBlocks >= blockBytes && inBlocks % blockBytes === 0;
    if (!isRight) throw this.#fail('length');
    return packetBytes;
  }

  #fail(code: PacketErrorCode): PacketError {
    this.#failure = code;
    return new PacketError(code);
  }
}

class NodeProtector implements Protector {
  readonly #algorithm: PacketAlgorithm;
  #cipher: PacketCipher | undefined;
  #sequenceNumber: number;

  constructor(algorithm: PacketAlgorithm, cipher: PacketCipher, sequenceNumber: number) {
    this.#algorithm = algorithm;
    this.#cipher = cipher;
    this.#sequenceNumber = sequenceNumber;
  }

  get sequenceNumber(): number {
    return this.#sequenceNumber;
  }

  sealedBytes(payloadBytes: number): number {
    return sealedBytes(this.#algorithm, payloadBytes);
  }

  seal(source: Buffer, packets: Packets, output: Buffer, offset: number): number {
    if (!this.#fits(source, packets, output, offset)) return -1;
    let at = offset;
    for (let index = 0; index < packets.count; index += 1) {
      const payloadBytes = packets.payloadBytes(index);
      if (payloadBytes === 0) continue;
      const start = packets.payloadStart(index);
      source.copy(output, at + payloadOffset, start, start + payloadBytes);
      at = this.#sealAt(output, at, payloadBytes);
    }
    return at;
  }

  sealOne(payload: Uint8Array): Buffer {
    const output = Buffer.allocUnsafe(this.sealedBytes(payload.length));
    output.set(payload, payloadOffset);
    this.#sealAt(output, 0, payload.length);
    return output;
  }

  close(): void {
    this.#cipher = undefined;
  }

  /** Whether no packet would cover a payload behind it. Throws RangeError for what fits nowhere. */
  #fits(source: Buffer, packets: Packets, output: Buffer, offset: number): boolean {
    // Where `output` lies, in the places of `source`; beyond all of them when the memory is another.
    const isShared = source.buffer === output.buffer;
    const shift = isShared ? output.byteOffset - source.byteOffset : 0;
    let at = offset;
    let fits = true;
    for (let index = 0; index < packets.count; index += 1) {
      const payloadBytes = packets.payloadBytes(index);
      if (payloadBytes === 0) continue;
      const start = packets.payloadStart(index);
      if (start + payloadBytes > source.length) throw new RangeError('a payload outside of the buffer');
      // Would it be covered by what those before it have become?
      if (isShared && start + payloadBytes > shift + offset && start < shift + at) fits = false;
      at += this.sealedBytes(payloadBytes);
    }
    if (!(offset >= 0 && at <= output.length)) throw new RangeError('no room for what is sealed');
    return fits;
  }

  #sealAt(output: Buffer, at: number, payloadBytes: number): number {
    if (this.#cipher === undefined) throw closed();
    const paddingBytes = paddingFor(this.#algorithm, payloadBytes);
    const packetBytes = payloadOffset + payloadBytes + paddingBytes;
    output.writeUInt32BE(packetBytes - lengthFieldBytes, at);
    output[at + lengthFieldBytes] = paddingBytes;
    fillRandom(output, at + payloadOffset + payloadBytes, paddingBytes);
    this.#cipher.seal(output, at, packetBytes, this.#sequenceNumber);
    this.#sequenceNumber = (this.#sequenceNumber + 1) >>> 0;
    return at + packetBytes + this.#algorithm.tagBytes;
  }
}

// Random bytes cost a call each time, so they are drawn in stock; none is used twice.
const pool = Buffer.alloc(4096);
let poolUsed = pool.length;

function fillRandom(output: Buffer, at: number, bytes: number): void {
  if (poolUsed + bytes > pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  pool.copy(output, at, poolUsed, poolUsed + bytes);
  poolUsed += bytes;
}

function closed(): TypeError {
  return new TypeError('used after close()');
}
