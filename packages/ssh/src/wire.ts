// The data types that every SSH message, key and certificate is made of (RFC 4251, section 5).
//
// Reader takes bytes from a stranger: each read is bounds-checked and names what it was reading, so
// that an error says which field of which message was wrong. Writer takes values from our own code: a
// value that does not fit is our own mistake and throws RangeError. Everything in this package that
// touches bytes (keys/, transport/, the probe) goes through these two.

export type WireProblem = 'truncated' | 'malformed' | 'trailing';

/** Bytes that are not what the protocol says. `offset` is where the field starts in what was read. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly what: string;
  readonly offset: number;
  readonly problem: WireProblem;

  constructor(what: string, offset: number, problem: WireProblem, explanation: string) {
    super(`${what}, byte ${offset}: ${explanation}`);
    this.what = what;
    this.offset = offset;
    this.problem = problem;
  }
}

// RFC 4251, section 5: names are US-ASCII, not empty, and hold no comma; section 6 adds no white space
// and no control characters.
const namePattern = /^[!-+\--~]+$/;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads from the start of `bytes`. What it returns are views of `bytes`, not copies. Throws WireError. */
export class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  bytes(length: number, what: string): Buffer {
    const start = this.#offset;
    if (length > this.remaining) {
      throw new WireError(what, start, 'truncated', `${length} bytes wanted, ${this.remaining} there`);
    }
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  byte(what: string): number {
    return this.bytes(1, what).readUInt8();
  }

  boolean(what: string): boolean {
    return this.byte(what) !== 0;
  }

  uint32(what: string): number {
    return this.bytes(4, what).readUInt32BE();
  }

  uint64(what: string): bigint {
    return this.bytes(8, what).readBigUInt64BE();
  }

  string(what: string): Buffer {
    const start = this.#offset;
    const length = this.uint32(what);
    if (length > this.remaining) {
      throw new WireError(what, start, 'truncated', `a string of ${length} bytes, ${this.remaining} there`);
    }
    return this.bytes(length, what);
  }

  /** A string that the RFC calls ISO-10646 UTF-8 or US-ASCII. */
  text(what: string): string {
    const start = this.#offset;
    const bytes = this.string(what);
    try {
      return utf8.decode(bytes);
    } catch {
      throw new WireError(what, start, 'malformed', 'not UTF-8');
    }
  }

  mpint(what: string): bigint {
    const start = this.#offset;
    const bytes = this.string(what);
    const first = bytes[0];
    if (first === undefined) return 0n;
    const second = bytes[1];
    // One number has one encoding: otherwise one key would have many fingerprints.
    if (
      (first === 0x00 && (second === undefined || second < 0x80)) ||
      (first === 0xff && second !== undefined && second >= 0x80)
    ) {
      throw new WireError(what, start, 'malformed', 'a number with an unnecessary leading byte');
    }
    const unsigned = BigInt(`0x${bytes.toString('hex')}`);
    return first < 0x80 ? unsigned : unsigned - (1n << BigInt(bytes.length * 8));
  }

  /** The bytes of an mpint above zero, without its sign byte: it need not become a bigint on its way. */
  unsignedMpint(what: string): Buffer {
    const start = this.#offset;
    const bytes = this.string(what);
    const [first = 0, second = 0] = bytes;
    if (first === 0 ? second < 0x80 : first >= 0x80) {
      throw new WireError(what, start, 'malformed', 'not a number above zero in its shortest form');
    }
    return first === 0 ? bytes.subarray(1) : bytes;
  }

  nameList(what: string): string[] {
    const start = this.#offset;
    const bytes = this.string(what);
    if (bytes.length === 0) return [];
    const names = bytes.toString('latin1').split(',');
    if (!names.every((name) => namePattern.test(name))) {
      throw new WireError(what, start, 'malformed', 'a list with an empty or unprintable name');
    }
    return names;
  }

  /** Throws unless everything was read. */
  end(what: string): void {
    if (this.remaining > 0) {
      throw new WireError(what, this.#offset, 'trailing', `${this.remaining} bytes too many`);
    }
  }
}

/** Appends values; each method returns the writer. Throws RangeError for a value that does not fit. */
export class Writer {
  #buffer = Buffer.alloc(256);
  #length = 0;

  /** The next `count` bytes, to be written by the caller. */
  #grow(count: number): Buffer {
    const start = this.#length;
    const end = start + count;
    if (end > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, start);
      this.#buffer = larger;
    }
    this.#length = end;
    return this.#buffer.subarray(start, end);
  }

  bytes(value: Uint8Array): this {
    this.#grow(value.length).set(value);
    return this;
  }

  byte(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xff) throw new RangeError(`not a byte: ${value}`);
    this.#grow(1)[0] = value;
    return this;
  }

  boolean(value: boolean): this {
    return this.byte(value ? 1 : 0);
  }

  uint32(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new RangeError(`not a uint32: ${value}`);
    }
    this.#grow(4).writeUInt32BE(value);
    return this;
  }

  uint64(value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`not a uint64: ${value}`);
    this.#grow(8).writeBigUInt64BE(value);
    return this;
  }

  /** Text is written as UTF-8. */
  string(value: Uint8Array | string): this {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    return this.uint32(bytes.length).bytes(bytes);
  }

  mpint(value: bigint): this {
    if (value === 0n) return this.uint32(0);
    // Two's complement: n bytes hold -(2^(8n-1)) to 2^(8n-1)-1, so a sign bit is counted on top of the
    // bits of the magnitude (of -value-1 when negative).
    const magnitude = value > 0n ? value : -value - 1n;
    const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
    const length = Math.floor(bits / 8) + 1;
    const unsigned = BigInt.asUintN(length * 8, value);
    return this.string(Buffer.from(unsigned.toString(16).padStart(length * 2, '0'), 'hex'));
  }

  /** Big-endian unsigned bytes as an mpint: a shared secret never becomes a bigint on its way. */
  unsignedMpint(bytes: Uint8Array): this {
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start += 1;
    const significant = bytes.subarray(start);
    const first = significant[0];
    if (first === undefined) return this.uint32(0);
    if (first < 0x80) return this.string(significant);
    return this.uint32(significant.length + 1)
      .byte(0)
      .bytes(significant);
  }

  nameList(names: readonly string[]): this {
    for (const name of names) {
      if (!namePattern.test(name)) throw new RangeError(`not a name: ${JSON.stringify(name)}`);
    }
    return this.string(names.join(','));
  }

  /** A copy of what was written so far. */
  toBuffer(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }
}
