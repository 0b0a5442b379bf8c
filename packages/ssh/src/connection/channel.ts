// A channel as its owner sees it: streams of Node. The protocol behind them is channel-endpoint.ts.
//
// Reading grants the peer window, so that one who does not read holds no more than the window; writing waits for
// the peer's window. `end()` sends EOF; the other direction goes on. When both have ended, or with `destroy()`, the
// channel is closed. An error of a channel nobody listens for ends nothing else: it comes of the peer's leaving.

import { Duplex, Readable, Writable } from 'node:stream';

type Done = (error?: Error | null) => void;

/** What a stream that is read asks of its endpoint. */
export interface Source {
  /** More is wanted. */
  pull(): void;
  /** Something may have been read. */
  consumed(): void;
}

/** What a stream that is written asks of its endpoint. */
export interface Sink {
  write(chunks: readonly Buffer[], done: Done): void;
  finish(done: Done): void;
}

export interface ChannelCore extends Source, Sink {
  destroyed(error: Error | null): void;
}

// The endpoint holds what was received and counts what may be sent; the streams need hold nothing.
const readableHighWaterMark = 1;
const writableHighWaterMark = 64 * 1024;

interface Chunk {
  readonly chunk: Buffer;
}

function chunksOf(items: readonly Chunk[]): Buffer[] {
  return items.map(({ chunk }) => chunk);
}

export class Channel extends Duplex {
  /** `session`, `direct-tcpip`, ... */
  readonly type: string;
  readonly #core: ChannelCore;

  constructor(type: string, closesAtEnd: boolean, core: ChannelCore) {
    // With autoDestroy, reading to the end by `for await` would close the other direction as well.
    super({ readableHighWaterMark, writableHighWaterMark, autoDestroy: false });
    this.type = type;
    this.#core = core;
    this.on('error', () => {});
    if (closesAtEnd) {
      const closeAtEnd = (): void => {
        if (this.readableEnded && this.writableFinished) this.destroy();
      };
      this.once('end', closeAtEnd).once('finish', closeAtEnd);
    }
  }

  override read(size?: number): unknown {
    const bytes: unknown = super.read(size);
    this.#core.consumed();
    return bytes;
  }

  override _read(): void {
    this.#core.pull();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#core.write([chunk], done);
  }

  override _writev(items: readonly Chunk[], done: Done): void {
    this.#core.write(chunksOf(items), done);
  }

  override _final(done: Done): void {
    this.#core.finish(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#core.destroyed(error);
    done(error);
  }
}

/** What the peer says on its standard error: SSH_EXTENDED_DATA_STDERR. It shares the window of the channel. */
export class StderrReader extends Readable {
  readonly #source: Source;

  constructor(source: Source) {
    super({ highWaterMark: readableHighWaterMark });
    this.#source = source;
    this.on('error', () => {});
  }

  override read(size?: number): unknown {
    const bytes: unknown = super.read(size);
    this.#source.consumed();
    return bytes;
  }

  override _read(): void {
    this.#source.pull();
  }
}

export class StderrWriter extends Writable {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    super({ highWaterMark: writableHighWaterMark });
    this.#sink = sink;
    this.on('error', () => {});
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#sink.write([chunk], done);
  }

  override _writev(items: readonly Chunk[], done: Done): void {
    this.#sink.write(chunksOf(items), done);
  }

  override _final(done: Done): void {
    this.#sink.finish(done);
  }
}
