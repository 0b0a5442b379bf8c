// The bytes of one TCP (or Unix) connection, read and written with as little between them and the kernel as Node
// allows. All connections of a process read into one buffer, and what is read is opened, looked at and sealed in it;
// only the beginning of a packet whose end has not come is copied out. Called by transport.ts.
//
// Node has that for sockets which it connects (`onread`) and not for those it accepts, so the reader is set from
// outside on both; a Node that has nothing of the kind any more is read by 'data' events.

import type { Socket } from 'node:net';
import { quickAck, sendAtOnce } from './implementation.ts';
import { largestPacketBytes } from './packet-protection.ts';

export interface ByteReader {
  /**
   * Takes what it can of `bytes` from `start` to `end`, may change it, and returns where it stopped. What is left is
   * given again with more behind it, perhaps in another buffer.
   */
  read(bytes: Buffer, start: number, end: number): number;
  /** Everything is in the kernel, after a writer was told to wait. */
  drained(): void;
  /** Once, and nothing afterwards: `error` when the connection broke instead of being ended by the peer. */
  closed(error: Error | undefined): void;
}

// What one read takes at most, and so what one connection may do before the others have their turn.
const readBytes = 128 * 1024;
const tagBytes = 64;
// In front of what is read there is room for what was left before.
const headroom = largestPacketBytes + tagBytes;
const pool = Buffer.allocUnsafeSlow(headroom + readBytes);
const readArea = pool.subarray(headroom);

// Above it a writer should wait until all is in the kernel, whose own buffer keeps the connection busy meanwhile.
const highMark = 128 * 1024;
/** A peer that sends little waits for an answer: its kernel must not wait for our acknowledgement as well. */
const littleBytes = 8 * 1024;
/** How long a peer has to close its side after we closed ours, so that it reads the last we sent. */
const farewellMs = 1_000;

/**
 * Buffers for what is left of a read, which most packets of a bulk transfer pass through: new ones each time would
 * keep the garbage collector busy. A few are enough, since most connections have nothing left most of the time.
 */
const restBytes = 40 * 1024;
const freeRests: Buffer[] = [];
const maximumFreeRests = 32;

/** The same for what the kernel does not take at once, which in a bulk transfer is much. */
const writeBytes = 136 * 1024;
const pooledWriteBytes = 16 * 1024;
const freeWrites: Buffer[] = [];
const maximumFreeWrites = 16;

export class ByteStream {
  readonly #socket: Socket;
  readonly #reader: ByteReader;
  /** The start of a packet: the first bytes of a buffer that may be larger. */
  #rest: Buffer | undefined;
  #restLength = 0;
  /** Since the last read began. */
  #hasWritten = false;
  #isPaused = false;
  #isYielding = false;
  #isEnding = false;
  #isClosed = false;
  #mustDrain = false;
  #error: Error | undefined;
  /** All that was read from the kernel, also what came after `end`. */
  receivedBytes = 0;
  /** All that the kernel took; of a write that it took in part, nothing until the rest is there too. */
  sentBytes = 0;
  /** Resolves when the socket is closed, and the counts change no more. */
  readonly finished: Promise<void>;
  /** Only TCP knows what that is. */
  #takesQuickAck = true;

  /** `socket` must be connected, and is the stream's from here on. */
  constructor(socket: Socket, reader: ByteReader) {
    this.#socket = socket;
    this.#reader = reader;
    socket.setNoDelay(true);
    socket.on('error', (error) => (this.#error = error));
    socket.on('end', () => this.#close());
    this.finished = new Promise((resolve) => {
      socket.on('close', () => {
        this.#close();
        resolve();
      });
    });
    socket.on('drain', () => this.#drain());
    const early = socket.read() as Buffer | null;
    if (!readInto(socket, readArea, (count) => this.#onRead(pool, headroom, headroom + count))) {
      socket.on('data', (chunk: Buffer) => this.#onRead(chunk, 0, chunk.length));
    }
    if (early !== null) queueMicrotask(() => this.#onRead(early, 0, early.length));
    socket.resume();
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Bytes that are not in the kernel yet. */
  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends `bytes` from `start` to `end`, which may be used anew afterwards. */
  write(bytes: Buffer, start = 0, end = bytes.length): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#isEnding) return;
    this.#hasWritten = true;
    const sent = socket.writableLength === 0 ? sendAtOnce(socket, bytes, start, end) : 0;
    this.sentBytes += sent;
    if (start + sent < end) this.#writeLater(bytes, start + sent, end);
  }

  /** Has Node write a copy when the kernel takes more. */
  #writeLater(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    const written = (error?: Error | null): void => {
      if (error === undefined || error === null) this.sentBytes += length;
    };
    if (length < pooledWriteBytes || length > writeBytes) {
      this.#socket.write(Buffer.from(bytes.subarray(start, end)), written);
      return;
    }
    const copy = freeWrites.pop() ?? Buffer.allocUnsafeSlow(writeBytes);
    bytes.copy(copy, 0, start, end);
    this.#socket.write(copy.subarray(0, length), (error) => {
      written(error);
      if (freeWrites.length < maximumFreeWrites) freeWrites.push(copy);
    });
  }

  /** Whether a writer need not wait; where it must, `drained` will be called. */
  get isWritable(): boolean {
    if (this.#socket.writableLength <= highMark) return true;
    this.#mustDrain = true;
    return false;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#isYielding) return;
    // Not within the caller's turn: it may be in the middle of the packets of another connection.
    this.#yield();
  }

  /** Closes once everything is written and the peer had a moment to read it. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const socket = this.#socket;
    socket.end();
    // Reads on, to nobody: closing with unread bytes would reset the connection, and take the last words with it.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), farewellMs);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.#isEnding = true;
    this.#socket.destroy();
  }

  #onRead(bytes: Buffer, start: number, end: number): boolean {
    const count = end - start;
    this.receivedBytes += count;
    if (this.#isEnding || this.#isClosed) return true;
    this.#hasWritten = false;
    const rest = this.#rest;
    if (rest !== undefined) {
      const length = this.#restLength;
      this.#rest = undefined;
      if (bytes === pool) {
        start -= rest.copy(pool, start - length, 0, length);
      } else {
        bytes = Buffer.concat([rest.subarray(0, length), bytes.subarray(start, end)]);
        start = 0;
        end = bytes.length;
      }
      giveRest(rest);
    }
    this.#readFrom(bytes, start, end);
    // What was written has acknowledged it.
    if (count <= littleBytes && this.#takesQuickAck && !this.#hasWritten && !this.#isEnding) {
      this.#takesQuickAck = quickAck(this.#socket);
    }
    // A full buffer means that more is there: libuv would go on reading it before anybody else's.
    if (count === readBytes && !this.#isPaused) {
      this.#yield();
      return false;
    }
    return !this.#isPaused;
  }

  #readFrom(bytes: Buffer, start: number, end: number): void {
    const stopped = this.#reader.read(bytes, start, end);
    if (stopped >= end) return;
    const length = end - stopped;
    this.#restLength = length;
    this.#rest = takeRest(length);
    bytes.copy(this.#rest, 0, stopped, end);
  }

  #yield(): void {
    this.#isYielding = true;
    setImmediate(() => {
      this.#isYielding = false;
      if (this.#isPaused || this.#isClosed) return;
      // What could not be taken before, since packets were held back.
      const rest = this.#rest;
      if (rest !== undefined) {
        this.#rest = undefined;
        this.#readFrom(rest, 0, this.#restLength);
        giveRest(rest);
      }
      if (!this.#isPaused) this.#socket.resume();
    });
  }

  #drain(): void {
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    if (!this.#isClosed) this.#reader.drained();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rest = undefined;
    this.#reader.closed(this.#error);
    if (!this.#isEnding) this.end();
  }
}

function takeRest(length: number): Buffer {
  if (length > restBytes) return Buffer.allocUnsafeSlow(length);
  return freeRests.pop() ?? Buffer.allocUnsafeSlow(restBytes);
}

function giveRest(rest: Buffer): void {
  if (rest.length === restBytes && freeRests.length < maximumFreeRests) freeRests.push(rest);
}

type OnRead = (count: number, buffer: Buffer) => boolean;

interface Handle {
  useUserBuffer?(buffer: Buffer): void;
}

/**
 * Does for any socket what `onread` does for one that Node connects: `callback` is called with the count of bytes
 * that lie in `buffer`; when it returns false, reading stops until `socket.resume()`. Returns false where this Node
 * cannot.
 */
function readInto(socket: Socket, buffer: Buffer, callback: OnRead): boolean {
  const inner = socket as unknown as Record<symbol, unknown> & { _handle: Handle | null };
  const symbols = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]));
  const bufferKey = symbols.get('kBuffer');
  const callbackKey = symbols.get('kBufferCb');
  const { _handle: handle } = inner;
  if (bufferKey === undefined || callbackKey === undefined || handle?.useUserBuffer === undefined)
    return false;
  inner[bufferKey] = buffer;
  inner[callbackKey] = callback;
  handle.useUserBuffer(buffer);
  return true;
}
