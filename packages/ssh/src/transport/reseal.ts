// The relay's middle: payloads that one leg's Opener left in a buffer are sealed for the other leg, in
// the same buffer wherever that is possible. Between two legs with the same cipher it always is.

import { type Protector, payloadOffset } from './packet-protection.ts';
import type { Packets } from './packets.ts';

/**
 * Seals what is left of `packets`, whose payloads lie in `bytes`, and hands the sealed bytes to `send` before it
 * returns: they lie in `bytes` itself, or in a buffer of their own where the other leg's packets are larger. Returns
 * how many there were; 0, without a call, when all packets were dropped.
 */
export function reseal(
  protector: Protector,
  bytes: Buffer,
  packets: Packets,
  send: (sealed: Buffer, start: number, end: number) => void,
): number {
  let start = -1;
  let sealedBytes = 0;
  for (let index = 0; index < packets.count; index += 1) {
    const payloadBytes = packets.payloadBytes(index);
    if (payloadBytes === 0) continue;
    if (start === -1) start = packets.payloadStart(index) - payloadOffset;
    sealedBytes += protector.sealedBytes(payloadBytes);
  }
  if (start === -1) return 0;
  if (start >= 0 && start + sealedBytes <= Math.min(bytes.length, packets.openedEnd)) {
    const end = protector.seal(bytes, packets, bytes, start);
    if (end !== -1) {
      send(bytes, start, end);
      return sealedBytes;
    }
  }
  const output = Buffer.allocUnsafe(sealedBytes);
  protector.seal(bytes, packets, output, 0);
  send(output, 0, sealedBytes);
  return sealedBytes;
}
