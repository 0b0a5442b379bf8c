// How much the relays of a process may hold for receivers that do not take it. Each channel starts with a small
// window in either direction; what it is given beyond that is taken from here first and given back at its end.

export class WindowBudget {
  readonly #totalBytes: number;
  #takenBytes = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Whether `bytes` could be had. */
  take(bytes: number): boolean {
    if (this.#takenBytes + bytes > this.#totalBytes) return false;
    this.#takenBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }
}
