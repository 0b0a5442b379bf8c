// How much the relays, or the connections, of a process may hold for receivers that do not take it. Each channel starts
// with a small window in either direction; what it is given beyond that is taken from here first and given back at its
// end. Used by relay/ and by connection/, which know nothing of each other's windows.

export class WindowBudget {
  readonly #totalBytes: number;
  #takenBytes = 0;

  /** `totalBytes` is all that may be taken at one time. */
  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Takes `bytes`; returns whether they could be had, and takes nothing when not. */
  take(bytes: number): boolean {
    if (this.#takenBytes + bytes > this.#totalBytes) return false;
    this.#takenBytes += bytes;
    return true;
  }

  /** Gives back what `take` took. */
  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }
}
