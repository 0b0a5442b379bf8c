// One channel through a relay: two ends, each with the windows of its own leg (RFC 4254, section 5.2). What a sender
// may send is granted here, and not by the receiver behind: so a long path to the one does not wait for a short one
// to the other, and what the receiver has no window for waits in a queue, never more than was granted.

import { Writer } from '../wire.ts';
import { message } from '../transport/messages.ts';
import type { PacketTransport } from '../transport/packet-transport.ts';
import { Packets } from '../transport/packets.ts';
import { ProtocolError } from '../transport/transport-error.ts';
import type { WindowBudget } from '../window-budget.ts';

export type Side = 'client' | 'upstream';

/** What a sender may send before anything was taken from it: four packets of the usual size. */
export const initialWindow = 128 * 1024;
/** What a channel holds at most, in one direction, for a receiver that has stopped. */
const maximumWindow = 2 * 1024 * 1024;
const largestWindow = 0xffff_ffff;
const stderrCode = 1;
/** What takes longer for a whole window is not held up by it on any path of this world. */
const fastMs = 1000;

/** Text of the relay's own that may wait for a terminal: some screens. */
const maximumOwnBytes = 16 * 1024;

/** Data of many small packets is kept together, so that what is kept is not mostly what keeps it. */
const gatheredBytes = 32 * 1024;

/**
 * Buffers for what waits, as nearly every packet of a bulk transfer does: a new one for each would keep the garbage
 * collector busy, with all that the process holds.
 */
const pooledBytes = 33 * 1024;
/** Smaller ones are gathered in a buffer that grows. */
const smallestPooledBytes = 8 * 1024;
const freeBuffers: Buffer[] = [];
const mostFreeBuffers = 64;

/** Where what waited is put together to be sealed and sent in one write; nothing stays in it. */
const scratch = Buffer.allocUnsafeSlow(136 * 1024);
/** More than a packet grows by when it is sealed. */
const sealingBytes = 512;
const leaving = new Packets(64);

interface Waiting {
  /** A whole payload, perhaps with room behind it: data, extended data, EOF or CLOSE. `giveBack` when it is sent. */
  payload: Buffer;
  /** Where the payload ends. */
  end: number;
  /** Where the data starts in it; 0 for a message without data. */
  dataStart: number;
  /** How much of the data was sent. */
  sent: number;
  /** Whether it is of the relay's own, and nobody is granted anew what it takes of the window. */
  readonly isOwn: boolean;
}

/**
 * Who answers a request: the other leg's peer, which is asked for a terminal or for something else, or the relay with
 * this payload.
 */
export type Answerer = 'peer' | 'peer, for a terminal' | Buffer;

/** Where a channel meets one of the two legs. */
export class ChannelEnd {
  readonly #transport: PacketTransport;
  readonly #budget: WindowBudget;
  /** By which this leg's peer knows the channel: what is sent to it carries this. */
  number = 0;
  /** What this leg's peer takes in one packet. */
  maximumPacketBytes = 0;
  /** What this leg's peer was told that it may send in one packet. */
  toldPacketBytes = 0;
  /** Data bytes that came from this leg. */
  receivedBytes = 0;
  hasSentEof = false;
  hasSentClose = false;
  /** Of this leg's requests that are not answered, in their order. */
  readonly answers: Answerer[] = [];
  /** What may still come from this leg. */
  #window = initialWindow;
  #largest = initialWindow;
  /** What has come and was passed on, and is not granted again. */
  #passedBytes = 0;
  /** What was passed on since the window was looked at last, and when that was. */
  #sinceWidened = 0;
  #widenedAt = performance.now();
  /** What may be sent to this leg. */
  #credit = 0;
  #waiting: Waiting[] = [];
  #ownBytes = 0;

  constructor(transport: PacketTransport, budget: WindowBudget) {
    this.#transport = transport;
    this.#budget = budget;
  }

  /** Of the channel's opening or its confirmation, as this leg's peer sent it. */
  begin(number: number, window: number, maximumPacketBytes: number): void {
    this.number = number;
    this.#credit = window;
    this.maximumPacketBytes = maximumPacketBytes;
  }

  /** What may be sent is known better: something was, before the channel came to the relay. */
  set creditBytes(bytes: number) {
    this.#credit = bytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Counts data that came from this leg. Throws ProtocolError when it was not granted. */
  receive(bytes: number): void {
    if (bytes > this.#window) throw new ProtocolError("More data came than the channel's window allows.");
    this.#window -= bytes;
    this.receivedBytes += bytes;
  }

  /** Whether `bytes` may go to this leg at once; counts them then. */
  mayPass(bytes: number): boolean {
    if (bytes > this.#credit || this.#waiting.length > 0) return false;
    this.#credit -= bytes;
    return true;
  }

  /** Keeps a message until `sendWaiting` finds a window for it and all before it. */
  wait(payload: Buffer, dataStart: number): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined && dataStart > 0 && this.#gather(last, payload, dataStart)) return;
    const end = payload.length;
    this.#waiting.push({ payload: copyOf(payload), end, dataStart, sent: 0, isOwn: false });
  }

  /** Puts text of the relay's own behind what waits, for `sendWaiting`. Returns whether there was room. */
  say(text: Buffer): boolean {
    if (this.#ownBytes + text.length > maximumOwnBytes) return false;
    this.#ownBytes += text.length;
    const payload = stderrMessage(this.number, text);
    const dataStart = payload.length - text.length;
    this.#waiting.push({ payload, end: payload.length, dataStart, sent: 0, isOwn: true });
    return true;
  }

  /** Sends a request that is not answered (RFC 4254, section 5.4). */
  request(type: string, details: Uint8Array): void {
    const writer = new Writer().byte(message.channelRequest).uint32(this.number).string(type).boolean(false);
    this.#transport.send(writer.bytes(details).toBuffer());
  }

  /** Puts data behind other data of the same kind. Returns whether there was room. */
  #gather(last: Waiting, payload: Buffer, dataStart: number): boolean {
    const end = last.end + payload.length - dataStart;
    // The same message number, and of extended data the same type; the channel is the same anyway.
    const isSameKind =
      !last.isOwn &&
      last.dataStart === dataStart &&
      last.payload.compare(payload, 0, dataStart - 4, 0, dataStart - 4) === 0;
    if (!isSameKind || end > gatheredBytes) return false;
    if (end > last.payload.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(gatheredBytes, 2 * end));
      last.payload.copy(larger, 0, 0, last.end);
      last.payload = larger;
    }
    payload.copy(last.payload, last.end, dataStart);
    last.end = end;
    return true;
  }

  /** Sends CLOSE to this leg if that is what waits for a window, which this leg needs no longer. */
  sendWaitingClose(): void {
    const last = this.#waiting.at(-1);
    if (last?.payload[0] === message.channelClose) this.#transport.send(last.payload);
    this.#dropWaiting();
  }

  /** A WINDOW_ADJUST from this leg. Throws ProtocolError when it makes the window too large. */
  widen(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > largestWindow)
      throw new ProtocolError("A channel's window grew beyond 2^32 - 1 bytes.");
  }

  /**
   * Sends to this leg what it has a window for, and no more than its kernel takes: `other` is the end that it came
   * from. Returns false when the rest is for `drained`.
   */
  sendWaiting(other: ChannelEnd): boolean {
    if (this.#waiting.length === 0) return true;
    let passed = 0;
    let isWritable = true;
    while (isWritable) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      if (next.dataStart === 0) {
        isWritable = this.#transport.send(next.payload);
        this.#waiting.shift();
        continue;
      }
      passed += this.#gatherLeaving();
      if (leaving.count === 0) break;
      isWritable = this.#transport.sendPackets(scratch, leaving);
    }
    other.passed(passed);
    other.grant();
    return isWritable;
  }

  /**
   * Moves as many messages with data into `scratch` as there is a window and room for; `leaving` says where they lie.
   * Returns how much of the data is not the relay's own.
   */
  #gatherLeaving(): number {
    leaving.clear();
    let passed = 0;
    let at = 0;
    while (leaving.count < leaving.capacity) {
      const [next] = this.#waiting;
      if (next === undefined || next.dataStart === 0) break;
      const { payload, dataStart, sent } = next;
      const left = next.end - dataStart - sent;
      const bytes = Math.min(left, this.#credit, this.maximumPacketBytes);
      const start = at + sealingBytes;
      const end = start + dataStart + bytes;
      if (bytes === 0 || end + sealingBytes > scratch.length) break;
      payload.copy(scratch, start, 0, dataStart);
      scratch.writeUInt32BE(bytes, start + dataStart - 4);
      payload.copy(scratch, start + dataStart, dataStart + sent, dataStart + sent + bytes);
      leaving.add(start, dataStart + bytes);
      at = end;
      this.#credit -= bytes;
      if (next.isOwn) this.#ownBytes -= bytes;
      else passed += bytes;
      next.sent += bytes;
      if (bytes < left) continue;
      this.#waiting.shift();
      giveBack(payload);
    }
    return passed;
  }

  #dropWaiting(): void {
    for (const { payload } of this.#waiting.splice(0)) giveBack(payload);
  }

  /** Data of this leg has gone on to the other one. */
  passed(bytes: number): void {
    this.#passedBytes += bytes;
  }

  /** Grants this leg's peer anew what was passed on, once it is worth a packet. */
  grant(): void {
    if (this.hasSentClose || this.#passedBytes < this.#largest / 8) return;
    let bytes = this.#passedBytes;
    // A whole window in so short a time: the path may be long, and bear a wider one.
    this.#sinceWidened += bytes;
    if (this.#largest < maximumWindow && this.#sinceWidened >= this.#largest) {
      const now = performance.now();
      const more = Math.min(this.#largest, maximumWindow - this.#largest);
      if (now - this.#widenedAt < fastMs && this.#budget.take(more)) {
        this.#largest += more;
        bytes += more;
      }
      this.#sinceWidened = 0;
      this.#widenedAt = now;
    }
    this.#passedBytes = 0;
    this.#window += bytes;
    this.#transport.send(
      new Writer().byte(message.channelWindowAdjust).uint32(this.number).uint32(bytes).toBuffer(),
    );
  }

  /** The channel is gone. */
  end(): void {
    this.#budget.give(this.#largest - initialWindow);
    this.#largest = initialWindow;
    this.#dropWaiting();
  }
}

function copyOf(payload: Buffer): Buffer {
  if (payload.length < smallestPooledBytes || payload.length > pooledBytes) return Buffer.from(payload);
  const buffer = freeBuffers.pop() ?? Buffer.allocUnsafeSlow(pooledBytes);
  payload.copy(buffer);
  return buffer;
}

function giveBack(buffer: Buffer): void {
  if (buffer.length === pooledBytes && freeBuffers.length < mostFreeBuffers) freeBuffers.push(buffer);
}

/** Data on the standard error of the peer's channel `recipient` (RFC 4254, section 5.2). */
export function stderrMessage(recipient: number, text: Buffer): Buffer {
  return new Writer()
    .byte(message.channelExtendedData)
    .uint32(recipient)
    .uint32(stderrCode)
    .string(text)
    .toBuffer();
}

/** As a terminal in raw mode shows it: each line begins at the left. */
export function terminalText(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\r?\n/g, '\r\n'));
}

export class RelayChannel {
  /** `session`, `direct-tcpip` and so on, as it was opened. */
  readonly type: string;
  readonly openedBy: Side;
  readonly client: ChannelEnd;
  readonly upstream: ChannelEnd;
  isOpen = false;
  /** Whether the upstream has given the session a terminal (RFC 4254, section 6.2). */
  hasTerminal = false;
  /** Set by whoever wants to see what the environment sends (a terminal's recording); bytes are good during the call. */
  onOutput: ((bytes: Buffer) => void) | undefined;
  readonly #sendWaiting: (channel: RelayChannel) => void;

  /** `sendWaiting` sends to the client what waits for it. */
  constructor(
    type: string,
    openedBy: Side,
    client: ChannelEnd,
    upstream: ChannelEnd,
    sendWaiting: (channel: RelayChannel) => void,
  ) {
    this.type = type;
    this.openedBy = openedBy;
    this.client = client;
    this.upstream = upstream;
    this.#sendWaiting = sendWaiting;
  }

  /**
   * Sends the upstream a request of the relay's own that is not to be answered, such as `env` (RFC 4254, section 6.4).
   * In `RelayPolicy.opened` it comes before everything of the client's. Returns false when the channel is closed.
   */
  request(type: string, details: Uint8Array): boolean {
    if (!this.isOpen || this.client.hasSentClose || this.upstream.hasSentClose) return false;
    this.upstream.request(type, details);
    return true;
  }

  /**
   * Shows text on the client's terminal, as standard error and behind what waits for the client's window; its lines
   * end with a line feed, and nothing in it is escaped. Returns false, and shows nothing, where there is no terminal,
   * where its output has ended, and while 16 KiB of such text wait.
   */
  say(text: string): boolean {
    const { client, upstream } = this;
    const hasEnded = upstream.hasSentEof || upstream.hasSentClose || client.hasSentClose;
    if (!this.isOpen || !this.hasTerminal || hasEnded || !client.say(terminalText(text))) return false;
    // What came with the packet that is being looked at goes first, the channel's confirmation perhaps.
    queueMicrotask(() => this.#sendWaiting(this));
    return true;
  }
}
