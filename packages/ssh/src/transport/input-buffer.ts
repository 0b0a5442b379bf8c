// Bytes that arrived and were not read yet. A peer decides how its bytes are cut into chunks, down to one
// at a time, so appending must not copy what is there each time. Used by identification.ts and packet.ts,
// which take whole lines and whole packets from its front.

export class InputBuffer {
  #buffer = Buffer.alloc(2048);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) {
      const needed = this.length + chunk.length;
      const target = needed > this.#buffer.length ? Buffer.alloc(needed * 2) : this.#buffer;
      this.#buffer.copy(target, 0, this.#start, this.#end);
      this.#buffer = target;
      this.#end -= this.#start;
      this.#start = 0;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** A view of everything that is there, good until the next `push`. */
  peek(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** A copy of the first `length` bytes, which are removed. */
  take(length: number): Buffer {
    const bytes = Buffer.from(this.peek().subarray(0, length));
    this.#start += bytes.length;
    return bytes;
  }
}
