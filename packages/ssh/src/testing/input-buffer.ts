// Bytes that arrived at a peer that a test plays by hand, and were not taken yet: lines and packets from the front.

import { IdentificationReader } from '../transport/identification.ts';
import { packetAlgorithm } from '../transport/packet-algorithms.ts';
import type { Opener, Protector } from '../transport/packet-protection.ts';
import { nodeProtection } from '../transport/packet-protection-node.ts';
import type { Role } from '../transport/packet-transport.ts';
import { Packets } from '../transport/packets.ts';

export class InputBuffer {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
  }

  /** The identification that the other side sends first; undefined until it is whole. `role` is the own one. */
  takeIdentification(role: Role): string | undefined {
    const reader = new IdentificationReader(role);
    this.#bytes = this.#bytes.subarray(reader.read(this.#bytes, 0, this.#bytes.length));
    return reader.identification;
  }

  /** A copy of the next payload; undefined until its packet is whole. Throws PacketError. */
  takePayload(opener: Opener): Buffer | undefined {
    const packets = new Packets(1);
    const end = opener.open(this.#bytes, 0, this.#bytes.length, packets);
    if (packets.count === 0) return undefined;
    const payload = Buffer.from(packets.payload(this.#bytes, 0));
    this.#bytes = this.#bytes.subarray(end);
    return payload;
  }

  /** All that is left, as it came. */
  takeRest(): Buffer {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }
}

const clear = packetAlgorithm('none');
const noKeys = { iv: Buffer.alloc(0), encryptionKey: Buffer.alloc(0), macKey: Buffer.alloc(0) };

/** For packets before the first NEWKEYS. */
export function clearText(): { opener: Opener; protector: Protector } {
  return {
    opener: nodeProtection.createOpener(clear, noKeys),
    protector: nodeProtection.createProtector(clear, noKeys),
  };
}

/** A payload as it lies on the wire before the first NEWKEYS. */
export function formatPacket(payload: Uint8Array): Buffer {
  return clearText().protector.sealOne(payload);
}
