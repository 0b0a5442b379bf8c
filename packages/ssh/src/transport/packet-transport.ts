// What authentication, the connection layer and the relay stand on: payloads that arrive whole, in order and from
// the peer that the key exchange was made with (RFC 4253). transport.ts is it; what stands on it asks for no more
// than this.

import type { Packets } from './packets.ts';
import type { TransportError } from './transport-error.ts';

export type Role = 'client' | 'server';

/**
 * Takes the messages from 50 on, and the two of services (5 and 6); the transport keeps the others to itself, and
 * ping@openssh.com. Nothing is called after `closed`.
 *
 * Bytes that are handed over lie in a buffer of the process that the next read overwrites: what is kept must be
 * copied before the call returns. A WireError or ProtocolError that is thrown ends the connection with the RFC's
 * reason (protocol error, unless the error says another).
 */
export interface PacketHandler {
  /** One payload, from its message number on. `sequenceNumber` is for SSH_MSG_UNIMPLEMENTED. */
  packet?(payload: Buffer, sequenceNumber: number): void;
  /**
   * Instead of `packet`: all that one read brought. A dropped packet (0 bytes) was not for the handler. Payloads may
   * be changed in place, dropped and sealed for another connection.
   */
  batch?(bytes: Buffer, packets: Packets): void;
  /** Everything that was sent is in the kernel, after `send` or `sendPackets` said to wait. */
  drained?(): void;
  /** The connection is over; `error` is undefined when the peer closed it in good order. */
  closed(error: TransportError | undefined): void;
}

export interface PacketTransport {
  readonly role: Role;
  /** H of the first key exchange (RFC 4253, section 7.2). */
  readonly sessionId: Buffer;
  /** The peer's first line, printable ASCII, without its line end: `SSH-2.0-OpenSSH_10.0`. */
  readonly remoteIdentification: string;
  /** The host key (or certificate) that the server proved to hold in the first key exchange, as a blob. */
  readonly hostKey: Buffer;
  /** What the peer's SSH_MSG_EXT_INFO said so far (RFC 8308), by name. */
  readonly extensions: ReadonlyMap<string, Buffer>;

  /**
   * Sends a payload, in order with all others; kept back while keys are exchanged. The payload is copied. Returns
   * false when so much is pending that the caller should wait for `drained`; nothing is lost if it does not.
   */
  send(payload: Uint8Array): boolean;
  /** Sends what is left of `packets`, sealing in place where it can: afterwards `bytes` are of no use. */
  sendPackets(bytes: Buffer, packets: Packets): boolean;
  /** Tells the peer that this message is not known (RFC 4253, section 11.4). */
  sendUnimplemented(sequenceNumber: number): void;
  /** Bytes that were sent and are not in the kernel yet. */
  readonly pendingBytes: number;

  /**
   * Who takes the packets from the next one on. Until there is one, packets wait and nothing more is read. When the
   * connection is over already, its `closed` is called in a turn of its own. `first` are payloads that an earlier
   * handler took and did nothing about: they come before all others.
   */
  handle(handler: PacketHandler, first?: readonly Buffer[]): void;
  /** Takes the handler away: packets wait, also those behind this one in the same read, until `handle`. */
  hold(): void;
  /** Reads nothing more until `resume`; what was read already is still handed over. */
  pause(): void;
  resume(): void;

  /** Sends SSH_MSG_DISCONNECT and closes once it is written. `description` is for a person and may be shown. */
  disconnect(reason: number, description: string): void;
}
