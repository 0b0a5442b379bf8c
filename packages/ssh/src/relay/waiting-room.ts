// Where a client is that has logged in while its upstream does not exist yet: a gateway that starts an environment first
// (RFC 4254). The client is told that its first session is open, so that it says what it wants: a terminal or a
// program. That and what follows is kept for the relay, which asks the upstream for it and goes on (relay.ts, `begun`).
//
//   authentication --> WaitingRoom --> Relay with `begun`
//                          |
//                          +--> refuse(): the client reads why, and the connection ends

import { Reader, Writer } from '../wire.ts';
import { message } from '../transport/messages.ts';
import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { initialWindow, stderrMessage, terminalText } from './relay-channel.ts';

/** How the first session is numbered here; sshd numbers from 0 too. */
export const toldNumber = 0;
/** The transport takes packets of 35,000 bytes; what peers offer is 32 KiB of data. */
export const largestDataBytes = 32 * 1024;
/** What is kept besides the session's data, which its window bounds. */
const maximumKeptBytes = 64 * 1024;
const maximumKeptPackets = 32;
/** How long a client has to close the session that was refused. */
const farewellMs = 1000;
const largestWindow = 0xffff_ffff;
const dataStart = 9;

const forwardRequests = [
  'tcpip-forward',
  'cancel-tcpip-forward',
  'streamlocal-forward@openssh.com',
  'cancel-streamlocal-forward@openssh.com',
];
const programRequests = ['shell', 'exec', 'subsystem'];

interface Kept {
  /** With room behind it, where more of the same may come. */
  payload: Buffer;
  end: number;
}

/** Whether a client asks for a terminal (RFC 4254, section 6.2), before the program that is to run in it. */
export type Asked = 'terminal' | 'no terminal';

export class WaitingRoom implements PacketHandler {
  /**
   * Resolves with what the client wants, as soon as that can be told: `no terminal` also for a client that opens
   * another channel first, or says so much that it must be held up. One that asks for nothing (`ssh -N`) leaves it
   * open. Rejects with TransportError when the connection ends.
   */
  readonly asked: Promise<Asked>;
  readonly #settle: { resolve: (asked: Asked) => void; reject: (error: TransportError) => void };
  readonly #transport: PacketTransport;
  /** The CHANNEL_OPEN of the first session. */
  #opening: Buffer | undefined;
  /** By which the client knows the session. */
  #number = 0;
  /** What may still be sent on it, and in one packet. */
  #creditBytes = 0;
  #maximumPacketBytes = 0;
  /** What may still come on it. */
  #window = initialWindow;
  #kept: Kept[] = [];
  #keptBytes = 0;
  /** Whether a channel was opened that is no session: then the upstream's numbers are not known. */
  #hasOtherChannel = false;
  #waitsForGlobalAnswer = false;
  /** Requests of the session that want an answer. */
  #unanswered = 0;
  #hasTerminal = false;
  #hasProgram = false;
  #hasClosed = false;
  #isOver = false;
  /** What ends the connection, once the client has closed the session that was refused. */
  #farewell: { readonly timer: NodeJS.Timeout; readonly end: () => void } | undefined;

  /** `transport` is in the server's role, and its client has logged in. */
  constructor(transport: PacketTransport) {
    const { promise, resolve, reject } = Promise.withResolvers<Asked>();
    this.asked = promise;
    // Who does not ask learns by the transport's own end.
    promise.catch(() => {});
    this.#settle = { resolve, reject };
    this.#transport = transport;
    transport.handle(this);
  }

  /** Whether the client asked for a terminal. */
  get hasTerminal(): boolean {
    return this.#hasTerminal;
  }

  /**
   * Shows text on the client's terminal, as standard error; its lines end with a line feed, and nothing in it is
   * escaped. Returns false, and shows nothing, while there is no terminal or no window for all of it.
   */
  say(text: string): boolean {
    return this.#hasTerminal && this.#write(terminalText(text));
  }

  /**
   * Ends the connection. The sentence is shown on the session's standard error, and a program that was asked for has
   * ended with 255; without a session it is the reason that the client is told.
   */
  refuse(sentence: string): void {
    if (this.#isOver || this.#farewell !== undefined) return;
    const end = (): void => this.#transport.disconnect(disconnectReason.byApplication, sentence);
    if (this.#opening === undefined || this.#hasClosed) {
      end();
      return;
    }
    this.#farewell = { timer: setTimeout(end, farewellMs), end };
    // As if it all ran, so that a client looks at what came of it.
    for (; this.#unanswered > 0; this.#unanswered -= 1) {
      this.#transport.send(this.#message(message.channelSuccess).toBuffer());
    }
    this.#write(this.#hasTerminal ? terminalText(`${sentence}\n`) : Buffer.from(`${sentence}\n`));
    if (this.#hasProgram) {
      const exit = this.#message(message.channelRequest).string('exit-status').boolean(false).uint32(255);
      this.#transport.send(exit.toBuffer());
    }
    this.#transport.send(this.#message(message.channelEof).toBuffer());
    this.#transport.send(this.#message(message.channelClose).toBuffer());
    this.#kept = [];
    this.#transport.resume();
  }

  // ---- for the relay

  /** The CHANNEL_OPEN of the session that the client believes to be open. */
  get opening(): Buffer | undefined {
    return this.#opening;
  }

  /** What may still be sent on that session. */
  get creditBytes(): number {
    return this.#creditBytes;
  }

  /** Gives what was kept, in its order; the next handler takes what follows. */
  leave(): Buffer[] {
    const kept = this.#kept.map(({ payload, end }) => payload.subarray(0, end));
    this.#kept = [];
    this.#isOver = true;
    return kept;
  }

  // ---- PacketHandler

  packet(payload: Buffer, sequenceNumber: number): void {
    const type = payload[0] ?? 0;
    if (this.#farewell !== undefined) {
      if (type === message.channelClose) this.#farewell.end();
      return;
    }
    switch (type) {
      case message.globalRequest:
        this.#onGlobalRequest(payload);
        return;
      case message.channelOpen:
        this.#onOpen(payload);
        return;
      case message.channelRequest:
        this.#onRequest(payload);
        return;
      case message.channelData:
      case message.channelExtendedData:
        this.#onData(payload, type);
        return;
      case message.channelWindowAdjust: {
        const reader = this.#ofSession(payload);
        this.#creditBytes += reader.uint32('bytes to add');
        reader.end('CHANNEL_WINDOW_ADJUST');
        if (this.#creditBytes > largestWindow)
          throw new ProtocolError("A channel's window grew beyond 2^32 - 1 bytes.");
        return;
      }
      case message.channelEof:
      case message.channelClose:
        this.#ofSession(payload).end('end of a channel');
        this.#hasClosed ||= type === message.channelClose;
        this.#keep(payload);
        return;
      case message.channelOpenConfirmation:
      case message.channelOpenFailure:
      case message.channelSuccess:
      case message.channelFailure:
      case message.requestSuccess:
      case message.requestFailure:
        throw new ProtocolError('The client answers what it was not asked.');
      case message.userauthRequest:
        // Late, and of no meaning any more (RFC 4252, section 5.3).
        return;
      default:
        this.#transport.sendUnimplemented(sequenceNumber);
    }
  }

  closed(error: TransportError | undefined): void {
    this.#isOver = true;
    clearTimeout(this.#farewell?.timer);
    this.#kept = [];
    this.#settle.reject(error ?? new TransportError('lost', 'The client has left.'));
  }

  #onGlobalRequest(payload: Buffer): void {
    const reader = new Reader(payload);
    reader.byte('message number');
    const name = reader.string('request name').toString('latin1');
    const wantsReply = reader.boolean('want reply');
    const isKeepalive = wantsReply && !forwardRequests.includes(name);
    if (isKeepalive && !this.#waitsForGlobalAnswer) {
      this.#transport.send(Buffer.from([message.requestFailure]));
      return;
    }
    this.#waitsForGlobalAnswer ||= wantsReply;
    this.#keep(payload);
    // Its answer must wait for another one; a sign of life need not.
    if (isKeepalive) this.#transport.send(new Writer().byte(message.ignore).string('').toBuffer());
  }

  #onOpen(payload: Buffer): void {
    const reader = new Reader(payload);
    reader.byte('message number');
    const type = reader.string('channel type').toString('latin1');
    const number = reader.uint32('sender channel');
    const window = reader.uint32('initial window size');
    const maximumPacketBytes = reader.uint32('maximum packet size');
    if (type !== 'session' || this.#opening !== undefined || this.#hasOtherChannel) {
      this.#hasOtherChannel = true;
      this.#keep(payload);
      if (this.#opening === undefined) this.#settle.resolve('no terminal');
      return;
    }
    this.#opening = Buffer.from(payload);
    this.#number = number;
    this.#creditBytes = window;
    this.#maximumPacketBytes = Math.min(maximumPacketBytes, largestDataBytes);
    const confirmation = this.#message(message.channelOpenConfirmation).uint32(toldNumber);
    this.#transport.send(confirmation.uint32(initialWindow).uint32(largestDataBytes).toBuffer());
  }

  #onRequest(payload: Buffer): void {
    const reader = this.#ofSession(payload);
    const type = reader.string('request type').toString('latin1');
    if (reader.boolean('want reply')) this.#unanswered += 1;
    this.#keep(payload);
    if (type === 'pty-req') {
      this.#hasTerminal = true;
      this.#settle.resolve('terminal');
    } else if (programRequests.includes(type)) {
      this.#hasProgram = true;
      this.#settle.resolve('no terminal');
    }
  }

  #onData(payload: Buffer, type: number): void {
    const reader = this.#ofSession(payload);
    if (type === message.channelExtendedData) reader.uint32('data type');
    const { length } = reader.string('data');
    reader.end('data');
    if (length > this.#window || length > largestDataBytes) {
      throw new ProtocolError("More data came than the channel's window allows.");
    }
    this.#window -= length;
    const last = this.#kept.at(-1);
    const isMore = type === message.channelData && last?.payload[0] === message.channelData;
    // What is typed comes byte by byte.
    if (isMore && last.end - dataStart + length <= largestDataBytes) append(last, payload);
    else this.#keep(payload, 0);
  }

  /** A message for the session, behind its number. */
  #ofSession(payload: Buffer): Reader {
    const reader = new Reader(payload);
    reader.byte('message number');
    const number = reader.uint32('recipient channel');
    if (this.#opening === undefined || number !== toldNumber || this.#hasClosed) {
      throw new ProtocolError('A message came for a channel that is not open.');
    }
    return reader;
  }

  #keep(payload: Buffer, bytes = payload.length): void {
    this.#kept.push({ payload: Buffer.from(payload), end: payload.length });
    this.#keptBytes += bytes;
    if (this.#keptBytes < maximumKeptBytes && this.#kept.length < maximumKeptPackets) return;
    // Nothing more is read, also not what is asked for behind this.
    this.#settle.resolve('no terminal');
    this.#transport.pause();
  }

  /** On the session's standard error; returns whether there was a window for it. */
  #write(text: Buffer): boolean {
    const hasRoom = text.length <= Math.min(this.#creditBytes, this.#maximumPacketBytes);
    if (!hasRoom || this.#isOver || this.#hasClosed) return false;
    this.#creditBytes -= text.length;
    this.#transport.send(stderrMessage(this.#number, text));
    return true;
  }

  #message(type: number): Writer {
    return new Writer().byte(type).uint32(this.#number);
  }
}

/** Puts the data of one message behind that of another. */
function append(last: Kept, payload: Buffer): void {
  const end = last.end + payload.length - dataStart;
  if (end > last.payload.length) {
    const larger = Buffer.allocUnsafeSlow(Math.min(dataStart + largestDataBytes, 2 * end));
    last.payload.copy(larger, 0, 0, last.end);
    last.payload = larger;
  }
  payload.copy(last.payload, last.end, dataStart);
  last.payload.writeUInt32BE(end - dataStart, dataStart - 4);
  last.end = end;
}
