// Which payloads lie where in a buffer of opened packets. An Opener fills it, its owner looks at the
// payloads and drops or changes some, and a Protector seals the rest. One is enough for a process, since
// nothing of this waits: it is filled anew by each `open`.
//
// It is a row of numbers, not of objects, because the addon (native/) reads and writes it too; the first
// words are the header below.

export const header = {
  count: 0,
  stopped: 1,
  neededBytes: 2,
  firstSequenceNumber: 3,
  next: 4,
  words: 5,
} as const;

const reasons = ['partial', 'full', 'newKeys'] as const;

/**
 * Why `open` went no further: the next packet is not whole; there are as many packets as `Packets` holds;
 * the last one is SSH_MSG_NEWKEYS, so that what follows is for another Opener.
 */
export type StopReason = (typeof reasons)[number];

export function stopCode(reason: StopReason): number {
  return reasons.indexOf(reason);
}

export class Packets {
  /** For the implementations of Opener and Protector. */
  readonly words: Uint32Array;
  readonly capacity: number;

  constructor(capacity = 4096) {
    this.capacity = capacity;
    this.words = new Uint32Array(header.words + 2 * capacity);
  }

  get count(): number {
    return this.#word(header.count);
  }

  get stopped(): StopReason {
    const reason = reasons[this.#word(header.stopped)];
    if (reason === undefined) throw new TypeError('not a reason to stop');
    return reason;
  }

  /** Where `stopped` is `partial`: how many bytes must be there from the packet's first on, as far as known. */
  get neededBytes(): number {
    return this.#word(header.neededBytes);
  }

  /**
   * Where the bytes of the opened packets end: what lies behind is still to be opened, and not to be written on.
   * Infinity for payloads of our own, which have their buffer to themselves.
   */
  get openedEnd(): number {
    return this.#word(header.next) || Infinity;
  }

  /** Of the packet `index`, as SSH_MSG_UNIMPLEMENTED names it. */
  sequenceNumber(index: number): number {
    return (this.#word(header.firstSequenceNumber) + index) >>> 0;
  }

  /** Where the payload of packet `index` starts in the buffer. */
  payloadStart(index: number): number {
    this.#check(index);
    return this.#word(header.words + 2 * index);
  }

  /** 0 for a packet that was dropped; no other payload is empty. */
  payloadBytes(index: number): number {
    this.#check(index);
    return this.#word(header.words + 2 * index + 1);
  }

  /** A view of the payload in the buffer that was given to `open`. */
  payload(bytes: Buffer, index: number): Buffer {
    const start = this.payloadStart(index);
    return bytes.subarray(start, start + this.payloadBytes(index));
  }

  /** Leaves packet `index` out of what is sealed. */
  drop(index: number): void {
    this.#check(index);
    this.words[header.words + 2 * index + 1] = 0;
  }

  clear(): void {
    this.words[header.count] = 0;
    this.words[header.next] = 0;
  }

  /** Appends a payload of our own that lies at `start`. Throws RangeError when there is no place for it. */
  add(start: number, payloadBytes: number): void {
    const { count } = this;
    if (count === this.capacity) throw new RangeError(`more than ${count} packets`);
    this.words[header.words + 2 * count] = start;
    this.words[header.words + 2 * count + 1] = payloadBytes;
    this.words[header.count] = count + 1;
  }

  #check(index: number): void {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no packet ${index} of ${this.count}`);
  }

  #word(index: number): number {
    return this.words[index] ?? 0;
  }
}
