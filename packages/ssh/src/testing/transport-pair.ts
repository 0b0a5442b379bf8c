// Two ends of a connection in one process, for tests and fuzzing of what stands on a transport: payloads go over as
// they are, without sockets, key exchange and encryption, and everything else is as PacketTransport says. Each payload
// is handed over in a buffer that the next one overwrites, as the real transport does.

import { randomBytes } from 'node:crypto';
import type { PacketHandler, PacketTransport, Role } from '../transport/packet-transport.ts';
import { Packets, header } from '../transport/packets.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { WireError } from '../wire.ts';

// Small, so that tests come to them.
const highMarkBytes = 64 * 1024;
const lowMarkBytes = 16 * 1024;
/** Of a packet: its length, padding and tag. */
const overheadBytes = 32;

export interface TransportPairOptions {
  /** The server's host key, as a blob. */
  readonly hostKey?: Buffer;
  /** What each side's SSH_MSG_EXT_INFO said, by name. */
  readonly extensionsOfServer?: Readonly<Record<string, string>>;
}

export function transportPair(options: TransportPairOptions = {}): {
  client: PairedTransport;
  server: PairedTransport;
} {
  const { hostKey = randomBytes(51), extensionsOfServer = {} } = options;
  const sessionId = randomBytes(32);
  const extensions = Object.entries(extensionsOfServer).map(
    ([name, value]) => [name, Buffer.from(value)] as const,
  );
  const client = new PairedTransport('client', sessionId, hostKey, new Map(extensions));
  const server = new PairedTransport('server', sessionId, hostKey, new Map());
  client.peer = server;
  server.peer = client;
  return { client, server };
}

export class PairedTransport implements PacketTransport {
  readonly role: Role;
  readonly sessionId: Buffer;
  readonly hostKey: Buffer;
  readonly extensions: ReadonlyMap<string, Buffer>;
  readonly remoteIdentification = 'SSH-2.0-Berth_test';
  /** What the other side has not taken yet. */
  pendingBytes = 0;
  largestPendingBytes = 0;
  peer: PairedTransport | undefined;
  /** Whether `hold` was called: what stood on it is done. */
  isHeld = false;
  isPaused = false;
  /** Sequence numbers that were answered with SSH_MSG_UNIMPLEMENTED. */
  readonly unimplemented: number[] = [];
  /** How the connection ended, for either side. */
  end: TransportError | undefined;
  #handler: PacketHandler | undefined;
  /** This side ended the connection and hears nothing more. */
  #isDeaf = false;
  #hasTold = false;
  #isScheduled = false;
  #received = 0;
  #mustDrain = false;
  /** What arrived, and how many of them were handed over. */
  #arrived: Buffer[] = [];
  #handedOver = 0;
  /** What an earlier handler gave back. */
  readonly #first: Buffer[] = [];
  readonly #packets = new Packets(1);
  readonly #input = Buffer.alloc(300_000);

  constructor(role: Role, sessionId: Buffer, hostKey: Buffer, extensions: ReadonlyMap<string, Buffer>) {
    this.role = role;
    this.sessionId = sessionId;
    this.hostKey = hostKey;
    this.extensions = extensions;
  }

  send(payload: Uint8Array): boolean {
    if (this.end !== undefined || this.peer === undefined) return true;
    this.peer.arrive(payload);
    this.pendingBytes += payload.length + overheadBytes;
    this.largestPendingBytes = Math.max(this.largestPendingBytes, this.pendingBytes);
    this.#mustDrain ||= this.pendingBytes > highMarkBytes;
    return !this.#mustDrain;
  }

  /** The other side took a payload of this one. */
  taken(payloadBytes: number): void {
    this.pendingBytes -= payloadBytes + overheadBytes;
    if (this.#mustDrain && this.pendingBytes < lowMarkBytes) this.#schedule();
  }

  sendPackets(bytes: Buffer, packets: Packets): boolean {
    for (let index = 0; index < packets.count; index += 1) {
      if (packets.payloadBytes(index) > 0) this.send(packets.payload(bytes, index));
    }
    return !this.#mustDrain;
  }

  sendUnimplemented(sequenceNumber: number): void {
    this.unimplemented.push(sequenceNumber);
  }

  handle(handler: PacketHandler, first: readonly Buffer[] = []): void {
    this.#handler = handler;
    this.#first.push(...first);
    this.#schedule();
  }

  hold(): void {
    this.isHeld = true;
    this.#handler = undefined;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#schedule();
  }

  disconnect(reason: number, description: string): void {
    this.#isDeaf = true;
    this.close(new TransportError('ended', description, reason));
    this.peer?.close(new TransportError('disconnected', description, reason));
  }

  /** The TCP connection breaks. */
  break(): void {
    for (const side of [this, this.peer]) {
      side?.close(new TransportError('lost', 'The connection broke.', disconnectReason.connectionLost));
    }
  }

  arrive(payload: Uint8Array): void {
    this.#arrived.push(Buffer.from(payload));
    this.#schedule();
  }

  close(error: TransportError): void {
    this.end ??= error;
    this.#schedule();
  }

  /** Later, so that no handler is called within its own call. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#handler !== undefined && !this.isPaused && !this.#isDeaf) {
      const payload = this.#first.shift();
      if (payload === undefined) break;
      this.#handOver(this.#handler, payload);
    }
    // What was sent before the end still arrives.
    while (this.#handler !== undefined && !this.isPaused && !this.#isDeaf) {
      const payload = this.#arrived[this.#handedOver];
      if (payload === undefined) {
        this.#arrived = [];
        this.#handedOver = 0;
        break;
      }
      this.#handedOver += 1;
      this.peer?.taken(payload.length);
      this.#handOver(this.#handler, payload);
    }
    if (this.#mustDrain && this.pendingBytes < lowMarkBytes && this.end === undefined) {
      this.#mustDrain = false;
      this.#handler?.drained?.();
    }
    if (this.end === undefined || this.#handler === undefined || this.#hasTold) return;
    this.#hasTold = true;
    this.#handler.closed(this.end);
  }

  #handOver(handler: PacketHandler, payload: Buffer): void {
    payload.copy(this.#input);
    const sequenceNumber = this.#received++;
    try {
      if (handler.batch === undefined) {
        handler.packet?.(this.#input.subarray(0, payload.length), sequenceNumber);
      } else {
        this.#packets.clear();
        this.#packets.add(0, payload.length);
        this.#packets.words[header.firstSequenceNumber] = sequenceNumber;
        handler.batch(this.#input, this.#packets);
      }
    } catch (error) {
      const isPeersFault = error instanceof ProtocolError || error instanceof WireError;
      if (!isPeersFault) throw error;
      const reason = error instanceof ProtocolError ? error.reason : disconnectReason.protocolError;
      this.#isDeaf = true;
      this.end ??= error instanceof ProtocolError ? error : new ProtocolError(error.message);
      this.peer?.close(new TransportError('disconnected', error.message, reason));
      this.#schedule();
    } finally {
      this.#input.fill(0xee, 0, payload.length);
    }
  }
}
