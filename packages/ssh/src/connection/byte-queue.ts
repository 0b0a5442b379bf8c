// Bytes that arrived on a channel and were not read yet. Many small pieces lie in few blocks: otherwise a peer that
// sends its window byte by byte would cost a hundred times the window in memory. Used by inbound.ts.

const largestBlockBytes = 64 * 1024;
const smallestBlockBytes = 1024;

export class ByteQueue {
  readonly #full: Buffer[] = [];
  #last: Buffer | undefined;
  /** How much of the last block is filled. */
  #end = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies `bytes` to the end. */
  append(bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.length) {
      let block = this.#last;
      if (block === undefined || this.#end === block.length) {
        block = this.#nextBlock(bytes.length - offset);
      }
      const count = bytes.copy(block, this.#end, offset);
      this.#end += count;
      this.#length += count;
      offset += count;
    }
  }

  /** The oldest bytes, up to a block of them; undefined when there are none. The caller keeps them. */
  take(): Buffer | undefined {
    const oldest = this.#full.shift();
    if (oldest !== undefined) {
      this.#length -= oldest.length;
      return oldest;
    }
    if (this.#last === undefined) return undefined;
    const bytes = this.#last.subarray(0, this.#end);
    this.#last = undefined;
    this.#end = 0;
    this.#length -= bytes.length;
    return bytes;
  }

  clear(): void {
    this.#full.length = 0;
    this.#last = undefined;
    this.#end = 0;
    this.#length = 0;
  }

  #nextBlock(neededBytes: number): Buffer {
    if (this.#last !== undefined) this.#full.push(this.#last);
    // Doubling: an idle channel that was sent one byte does not cost a large block.
    const wanted = Math.max(neededBytes, smallestBlockBytes, this.#length);
    const block = Buffer.allocUnsafe(Math.min(wanted, largestBlockBytes));
    this.#last = block;
    this.#end = 0;
    return block;
  }
}
