// Flow control of what is received (RFC 4254, section 5.2): how much the peer may send before it must wait. A
// window starts small and doubles when the peer was seen waiting for it although nothing lay unread here, up to a
// maximum: what a path of long delay needs, and no more memory for the others. Used by channel-endpoint.ts.

import { WindowBudget } from '../window-budget.ts';
import { ProtocolError } from '../transport/transport-error.ts';

export interface WindowOptions {
  /** What a channel starts with while the budget lasts. */
  readonly initialBytes: number;
  /** What a channel that nobody reads holds at most. */
  readonly maximumBytes: number;
  /** Of the process: what windows take beyond a small one, and give back at their end. */
  readonly budget: WindowBudget;
}

export const defaultWindow: WindowOptions = {
  initialBytes: 256 * 1024,
  maximumBytes: 2 * 1024 * 1024,
  budget: new WindowBudget(512 * 1024 * 1024),
};

/** What a channel has when there is no budget left. */
const withoutBudgetBytes = 32 * 1024;

export class ReceiveWindow {
  readonly #options: WindowOptions;
  #sizeBytes: number;
  #takenBytes = 0;
  /** What the peer may still send. */
  #openBytes: number;
  #receivedBytes = 0;
  /** Where the peer had to stop before the last grant reached it. */
  #formerLimit = 0;
  #peerWaited = false;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#sizeBytes = Math.min(options.initialBytes, withoutBudgetBytes);
    this.#take(options.initialBytes - this.#sizeBytes);
    this.#openBytes = this.#sizeBytes;
  }

  /** What is held at most of what the peer sent. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Throws ProtocolError when the peer sends more than it may. */
  received(bytes: number): void {
    if (bytes > this.#openBytes) throw new ProtocolError('The peer sent more than the window of a channel.');
    this.#openBytes -= bytes;
    this.#receivedBytes += bytes;
    if (this.#openBytes === 0 || this.#receivedBytes === this.#formerLimit) this.#peerWaited = true;
  }

  /** How much to tell the peer that it may send more while `heldBytes` lie unread; 0 while it is not worth a message. */
  grant(heldBytes: number): number {
    if (this.#peerWaited && heldBytes === 0) this.#grow();
    const room = this.#sizeBytes - this.#openBytes - heldBytes;
    if (room < this.#sizeBytes / 4) return 0;
    this.#formerLimit = this.#receivedBytes + this.#openBytes;
    this.#openBytes += room;
    return room;
  }

  /** Gives back to the budget what the window took of it. */
  close(): void {
    this.#options.budget.give(this.#takenBytes);
    this.#takenBytes = 0;
  }

  #grow(): void {
    this.#peerWaited = false;
    this.#take(Math.min(this.#sizeBytes, this.#options.maximumBytes - this.#sizeBytes));
  }

  #take(bytes: number): void {
    if (bytes <= 0 || !this.#options.budget.take(bytes)) return;
    this.#takenBytes += bytes;
    this.#sizeBytes += bytes;
  }
}
