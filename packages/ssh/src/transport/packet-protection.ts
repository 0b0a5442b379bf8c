// Packets on an encrypted connection (RFC 4253, section 6): an Opener makes payloads of received bytes, a
// Protector makes bytes of payloads. Every byte of every connection passes here, a relay's twice, so both
// work on many packets a call and in the buffer they are given. Two implementations keep this interface,
// packet-protection-native.ts and packet-protection-node.ts; implementation.ts says which is in use.
//
// Each stands for one direction under one set of keys. When NEWKEYS has been sealed or opened, the owner
// makes the next one, which goes on with `sequenceNumber`, or from 0 in a strict key exchange (OpenSSH's
// PROTOCOL, section 1.9), and closes the old one. That the keys change in time (RFC 4344: at the latest
// after 2^31 packets) is the owner's to see to; the sequence number wraps after 2^32.

import type { PacketKeys } from './key-derivation.ts';
import type { PacketAlgorithm } from './packet-algorithms.ts';
import type { Packets } from './packets.ts';

export interface OpenerOptions {
  /** Of the first packet. 0 when left out. */
  readonly sequenceNumber?: number;
  /**
   * Longer packets end the connection; counted with the length field and without the tag, up to
   * `largestPacketBytes`. RFC 4253's 35,000 when left out.
   */
  readonly maximumPacketBytes?: number;
}

export interface Opener {
  /** Of the next packet. */
  readonly sequenceNumber: number;

  /**
   * Opens the whole packets among `bytes` from `start` to `end`, in place: of the bytes that belonged to a
   * packet only its payload is of use afterwards. Fills `packets`, with why it stopped, and returns where
   * it stopped. The bytes from there on are as they were, and must be given again, with more behind them
   * and perhaps in another buffer.
   *
   * Throws PacketError, and again at each further call; `packets` then holds those before the wrong one.
   */
  open(bytes: Buffer, start: number, end: number, packets: Packets): number;

  /** Forgets the keys. */
  close(): void;
}

export interface Protector {
  /** Of the next packet. */
  readonly sequenceNumber: number;

  /** What a payload of that length becomes. */
  sealedBytes(payloadBytes: number): number;

  /**
   * Seals the payloads that `packets` names in `source` into `output`, one behind the other from `offset`
   * on, and returns where they end. `output` may be `source`, as in a relay: a payload that already lies
   * where it has to is not copied. Returns -1, having done nothing, when a sealed packet would cover a
   * payload that is not sealed yet.
   *
   * Throws RangeError for a payload outside of `source`, too long, or with no room in `output`.
   */
  seal(source: Buffer, packets: Packets, output: Buffer, offset: number): number;

  /** One payload as the bytes to send. */
  sealOne(payload: Uint8Array): Buffer;

  /** Forgets the keys. */
  close(): void;
}

export interface PacketProtection {
  /** `keys` are copied. Throws RangeError for keys of other lengths than `algorithm` has. */
  createOpener(algorithm: PacketAlgorithm, keys: PacketKeys, options?: OpenerOptions): Opener;
  createProtector(
    algorithm: PacketAlgorithm,
    keys: PacketKeys,
    options?: Pick<OpenerOptions, 'sequenceNumber'>,
  ): Protector;
}

/** What OpenSSH takes as well. */
export const largestPacketBytes = 256 * 1024;
const defaultMaximumPacketBytes = 35_000;

export const lengthFieldBytes = 4;
export const minimumPaddingBytes = 4;
/** The length field and the padding length: what lies before each payload. */
export const payloadOffset = lengthFieldBytes + 1;

/** Of the least padding that makes whole blocks. */
export function paddingFor(algorithm: PacketAlgorithm, payloadBytes: number): number {
  const { blockBytes, isLengthInBlocks } = algorithm;
  const unpadded = (isLengthInBlocks ? payloadOffset : payloadOffset - lengthFieldBytes) + payloadBytes;
  const padding = blockBytes - (unpadded % blockBytes);
  return padding < minimumPaddingBytes ? padding + blockBytes : padding;
}

/** @throws RangeError for a payload that fits in no packet */
export function sealedBytes(algorithm: PacketAlgorithm, payloadBytes: number): number {
  const packetBytes = payloadOffset + payloadBytes + paddingFor(algorithm, payloadBytes);
  if (!(payloadBytes >= 1 && packetBytes <= largestPacketBytes)) {
    throw new RangeError(`a payload of ${payloadBytes} bytes fits in no packet`);
  }
  return packetBytes + algorithm.tagBytes;
}

/** @throws RangeError */
export function checkKeys(algorithm: PacketAlgorithm, keys: PacketKeys): void {
  const macBytes = algorithm.mac?.bytes ?? 0;
  if (
    keys.encryptionKey.length !== algorithm.keyBytes ||
    keys.iv.length !== algorithm.ivBytes ||
    keys.macKey.length !== macBytes
  ) {
    throw new RangeError('keys of other lengths than the algorithm has');
  }
}

/** @throws RangeError */
export function checkOptions(options: OpenerOptions): Required<OpenerOptions> {
  const { sequenceNumber = 0, maximumPacketBytes = defaultMaximumPacketBytes } = options;
  if (sequenceNumber >>> 0 !== sequenceNumber) throw new RangeError(`not a uint32: ${sequenceNumber}`);
  if (!(maximumPacketBytes >= 16 && maximumPacketBytes <= largestPacketBytes)) {
    throw new RangeError(`not a bound for packets: ${maximumPacketBytes}`);
  }
  return { sequenceNumber, maximumPacketBytes };
}
