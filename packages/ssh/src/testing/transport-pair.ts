// Two PacketTransports in memory, each the other's peer: what one sends arrives at the other, in order, in a later
// turn of the event loop, and no faster than it is read. For tests of what stands on the transport.

import type { PacketHandler, PacketTransport, Role } from '../transport/packet-transport.ts';
import { ProtocolError, TransportError } from '../transport/transport-error.ts';
import type { Packets } from '../transport/packets.ts';
import { WireError } from '../wire.ts';

// Small, so that tests meet the marks.
const highMarkBytes = 64 * 1024;
const lowMarkBytes = 16 * 1024;
const bytesPerTurn = 128 * 1024;
/** Of a packet: its length, padding and tag. */
const overheadBytes = 32;

export class MemoryTransport implements PacketTransport {
  readonly role: Role;
  readonly sessionId = Buffer.alloc(32, 7);
  readonly remoteIdentification = 'SSH-2.0-Memory';
  readonly hostKey = Buffer.alloc(0);
  readonly extensions: ReadonlyMap<string, Buffer> = new Map();
  /** Sequence numbers that were answered with SSH_MSG_UNIMPLEMENTED. */
  readonly unimplemented: number[] = [];
  /** Why the connection ended here: undefined while it is open. */
  endedBecause: TransportError | undefined;
  /** How much was pending at most. */
  largestPendingBytes = 0;
  pendingBytes = 0;

  #peer: MemoryTransport | undefined;
  readonly #outgoing: Buffer[] = [];
  #first = 0;
  #handler: PacketHandler | undefined;
  #isPaused = false;
  #mustDrain = false;
  #isScheduled = false;
  #sequenceNumber = 0;
  #isEnding = false;

  constructor(role: Role) {
    this.role = role;
  }

  connect(peer: MemoryTransport): void {
    this.#peer = peer;
  }

  send(payload: Uint8Array): boolean {
    if (this.endedBecause !== undefined) return true;
    this.#outgoing.push(Buffer.from(payload));
    this.pendingBytes += payload.length + overheadBytes;
    this.largestPendingBytes = Math.max(this.largestPendingBytes, this.pendingBytes);
    this.schedule();
    if (this.pendingBytes > highMarkBytes) this.#mustDrain = true;
    return !this.#mustDrain;
  }

  sendPackets(bytes: Buffer, packets: Packets): boolean {
    let mayGoOn = true;
    for (let index = 0; index < packets.count; index += 1) {
      if (packets.payloadBytes(index) > 0) mayGoOn = this.send(packets.payload(bytes, index));
    }
    return mayGoOn;
  }

  sendUnimplemented(sequenceNumber: number): void {
    this.unimplemented.push(sequenceNumber);
  }

  handle(handler: PacketHandler): void {
    this.#handler = handler;
    this.#peer?.schedule();
  }

  hold(): void {
    this.#handler = undefined;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#peer?.schedule();
  }

  authenticated(): void {}

  disconnect(_reason: number, description: string): void {
    this.#isEnding = true;
    this.close(new TransportError('ended', description));
    this.schedule();
  }

  /** As when the network breaks: nothing that is pending arrives. */
  break(): void {
    this.#outgoing.length = 0;
    this.#first = 0;
    this.close(new TransportError('lost', 'The connection broke.'));
    this.#peer?.close(new TransportError('lost', 'The connection broke.'));
  }

  /** Delivers to the peer, later. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  /** Hands to the peer what it reads of this side's packets, from one buffer that is overwritten afterwards. */
  #deliver(): void {
    const peer = this.#peer;
    let bytes = 0;
    while (peer !== undefined && peer.#handler !== undefined && !peer.#isPaused && bytes < bytesPerTurn) {
      const payload = this.#outgoing[this.#first];
      if (payload === undefined) break;
      this.#first += 1;
      bytes += payload.length + overheadBytes;
      this.pendingBytes -= payload.length + overheadBytes;
      peer.#receive(payload);
      payload.fill(0xee);
    }
    if (this.#first > 1000 || this.#first === this.#outgoing.length) {
      this.#outgoing.splice(0, this.#first);
      this.#first = 0;
    }
    if (this.#outgoing.length > 0 && peer !== undefined && peer.#handler !== undefined && !peer.#isPaused) {
      this.schedule();
    }
    if (this.#outgoing.length === 0 && this.#isEnding) {
      peer?.close(new TransportError('disconnected', 'The peer ended the connection.'));
    }
    if (this.#mustDrain && this.pendingBytes < lowMarkBytes && this.endedBecause === undefined) {
      this.#mustDrain = false;
      this.#handler?.drained?.();
    }
  }

  #receive(payload: Buffer): void {
    if (this.endedBecause !== undefined) return;
    try {
      this.#handler?.packet?.(payload, this.#sequenceNumber);
    } catch (error) {
      if (!(error instanceof WireError || error instanceof ProtocolError)) throw error;
      this.#isEnding = true;
      this.close(error instanceof ProtocolError ? error : new ProtocolError(error.message));
      this.schedule();
    }
    this.#sequenceNumber += 1;
  }

  /** The connection is over here, for this reason. */
  close(error: TransportError): void {
    if (this.endedBecause !== undefined) return;
    this.endedBecause = error;
    this.#handler?.closed(error);
  }
}

export interface TransportPair {
  readonly client: MemoryTransport;
  readonly server: MemoryTransport;
}

export function transportPair(): TransportPair {
  const client = new MemoryTransport('client');
  const server = new MemoryTransport('server');
  client.connect(server);
  server.connect(client);
  return { client, server };
}
