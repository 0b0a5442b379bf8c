// The binary packet protocol (RFC 4253, section 6) as it is before the first NEWKEYS: without encryption,
// MAC or compression. Called for every message of the first key exchange.

import { randomBytes } from 'node:crypto';
import { WireError, Writer } from '../wire.ts';
import type { InputBuffer } from './input-buffer.ts';

// RFC 4253, section 6.1: what every implementation must take, counted with the length field.
const maximumPacketBytes = 35000;
const minimumPacketBytes = 16;
const blockBytes = 8;
const minimumPaddingBytes = 4;
const lengthFieldBytes = 4;

export function formatPacket(payload: Uint8Array): Buffer {
  const unpadded = lengthFieldBytes + 1 + payload.length;
  let paddingBytes = blockBytes - (unpadded % blockBytes);
  if (paddingBytes < minimumPaddingBytes) paddingBytes += blockBytes;
  return new Writer()
    .uint32(1 + payload.length + paddingBytes)
    .byte(paddingBytes)
    .bytes(payload)
    .bytes(randomBytes(paddingBytes))
    .toBuffer();
}

/**
 * Takes the payload of the next packet, or returns undefined until it is whole. A length out of bounds
 * throws WireError as soon as its four bytes are there, so that a peer cannot make us wait for 4 GiB.
 */
export function takePacket(input: InputBuffer): Buffer | undefined {
  if (input.length < lengthFieldBytes) return undefined;
  const total = lengthFieldBytes + input.peek().readUInt32BE();
  if (total < minimumPacketBytes || total > maximumPacketBytes || total % blockBytes !== 0) {
    throw new WireError('packet', 0, 'malformed', `${total} bytes are no packet`);
  }
  if (input.length < total) return undefined;
  const packet = input.take(total);
  const paddingBytes = packet.readUInt8(lengthFieldBytes);
  const payload = packet.subarray(lengthFieldBytes + 1, total - paddingBytes);
  if (paddingBytes < minimumPaddingBytes || payload.length === 0) {
    throw new WireError('packet', lengthFieldBytes, 'malformed', `padding of ${paddingBytes} bytes`);
  }
  return payload;
}
