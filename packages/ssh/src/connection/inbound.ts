// From packets to a Readable: what arrives goes to the stream while somebody reads it, and into a ByteQueue while
// nobody does. Used by channel-endpoint.ts, for the data of a channel and for its standard error.

import type { Readable } from 'node:stream';
import { ByteQueue } from './byte-queue.ts';

export class Inbound {
  readonly #stream: Readable;
  readonly #queue = new ByteQueue();
  #isWanted = false;
  #hasEnded = false;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  /** What was received and not read. */
  get heldBytes(): number {
    return this.#queue.length + this.#stream.readableLength;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Copies `bytes`. */
  deliver(bytes: Buffer): void {
    if (this.#stream.destroyed || bytes.length === 0) return;
    if (this.#isWanted) {
      this.#isWanted = false;
      this.#stream.push(Buffer.from(bytes));
    } else {
      this.#queue.append(bytes);
    }
  }

  /** The stream wants more: its `_read`. */
  pull(): void {
    const bytes = this.#queue.take();
    if (bytes !== undefined) {
      this.#stream.push(bytes);
    } else if (this.#hasEnded) {
      this.#stream.push(null);
    } else {
      this.#isWanted = true;
    }
  }

  /** Nothing follows. What is queued is still read. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#isWanted) this.#stream.push(null);
  }

  /** Nobody will read any more. */
  drop(): void {
    this.#queue.clear();
  }
}
