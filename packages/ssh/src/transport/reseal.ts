// The relay's middle: payloads that one leg's Opener left in a buffer are sealed for the other leg, in
// the same buffer wherever that is possible. Between two legs with the same cipher it always is.

import { type Protector, payloadOffset } from './packet-protection.ts';
import type { Packets } from './packets.ts';

/**
 * Seals what is left of `packets`, whose payloads lie in `bytes`, and returns what to send: a view of
 * `bytes`, or bytes of its own where the other leg's packets are larger. Empty when all were dropped.
 */
export function reseal(protector: Protector, bytes: Buffer, packets: Packets): Buffer {
  let start = -1;
  let sealedBytes = 0;
  for (let index = 0; index < packets.count; index += 1) {
    const payloadBytes = packets.payloadBytes(index);
    if (payloadBytes === 0) continue;
    if (start === -1) start = packets.payloadStart(index) - payloadOffset;
    sealedBytes += protector.sealedBytes(payloadBytes);
  }
  if (start === -1) return bytes.subarray(0, 0);
  if (start >= 0 && start + sealedBytes <= bytes.length) {
    const end = protector.seal(bytes, packets, bytes, start);
    if (end !== -1) return bytes.subarray(start, end);
  }
  const output = Buffer.allocUnsafe(sealedBytes);
  protector.seal(bytes, packets, output, 0);
  return output;
}

// RFC 4254: every message of a channel that stands, 91 to 100, starts with the number by which its
// receiver knows the channel.
const recipientChannelOffset = 1;

export function recipientChannel(bytes: Buffer, payloadStart: number): number {
  return bytes.readUInt32BE(payloadStart + recipientChannelOffset);
}

/** Gives a channel's message the number by which the other leg's peer knows the channel. */
export function setRecipientChannel(bytes: Buffer, payloadStart: number, channel: number): void {
  bytes.writeUInt32BE(channel, payloadStart + recipientChannelOffset);
}
