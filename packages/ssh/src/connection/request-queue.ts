// Requests of the peer that wait for their answer, and answers of the peer that this side waits for. Replies name
// no request; they come in the order of the requests (RFC 4254, sections 4 and 5.4). So the next request is handed
// to its owner only when the one before it is answered. Used for global requests and for those of each channel.

import { ProtocolError } from '../transport/transport-error.ts';

/** What a handler makes of a request: whether (or with what) it succeeded, now or later. */
export type Answer<T = boolean> = T | Promise<T>;

// What a client may ask for without waiting: hundreds of forwarded ports, a large environment.
const maximumWaitingBytes = 2 * 1024 * 1024;
const bytesPerRequest = 512;

/** What waits in all queues of a connection together, so that many channels hold no more than one. */
export class RequestQuota {
  #bytes = 0;

  /** Throws ProtocolError when there is no room. */
  take(bytes: number): void {
    if (this.#bytes + bytes > maximumWaitingBytes) {
      throw new ProtocolError('The peer makes more requests than are answered.');
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

interface Request<T> {
  readonly run: () => Answer<T | undefined>;
  /** `undefined` when `run` threw. */
  readonly reply: (answer: T | undefined) => void;
  readonly bytes: number;
}

export class RequestQueue<T> {
  readonly #quota: RequestQuota;
  readonly #failed: (error: unknown) => void;
  readonly #waiting: Request<T>[] = [];
  #isBusy = false;
  #isClosed = false;
  #afterwards: (() => void) | undefined;

  /** `failed` is told what a `run` threw. */
  constructor(quota: RequestQuota, failed: (error: unknown) => void) {
    this.#quota = quota;
    this.#failed = failed;
  }

  /** `payloadBytes` is about what the request keeps in memory. Throws ProtocolError when too much waits. */
  add(payloadBytes: number, run: () => Answer<T | undefined>, reply: (answer: T | undefined) => void): void {
    const request = { run, reply, bytes: payloadBytes + bytesPerRequest };
    this.#quota.take(request.bytes);
    this.#waiting.push(request);
    if (!this.#isBusy) this.#next();
  }

  /** Calls `run` once everything that was asked so far, and until then, is answered: at once if it is. */
  afterwards(run: () => void): void {
    this.#afterwards = run;
    if (!this.#isBusy || this.#isClosed) this.#next();
  }

  /** Answers nothing any more. */
  close(): void {
    this.#isClosed = true;
    for (const { bytes } of this.#waiting) this.#quota.release(bytes);
    this.#waiting.length = 0;
    this.#finish();
  }

  #next(): void {
    for (;;) {
      const request = this.#waiting.shift();
      if (request === undefined) {
        this.#finish();
        return;
      }
      const answer = this.#attempt(request.run);
      if (answer instanceof Promise) {
        this.#isBusy = true;
        void this.#settle(request, answer);
        return;
      }
      this.#reply(request, answer);
    }
  }

  async #settle(request: Request<T>, answer: Promise<T | undefined>): Promise<void> {
    let settled: T | undefined;
    try {
      settled = await answer;
    } catch (error) {
      this.#failed(error);
    }
    this.#isBusy = false;
    this.#reply(request, settled);
    this.#next();
  }

  #finish(): void {
    const run = this.#afterwards;
    this.#afterwards = undefined;
    run?.();
  }

  #attempt(run: () => Answer<T | undefined>): Answer<T | undefined> {
    this.#isBusy = true;
    try {
      return run();
    } catch (error) {
      this.#failed(error);
      return undefined;
    } finally {
      this.#isBusy = false;
    }
  }

  #reply(request: Request<T>, answer: T | undefined): void {
    this.#quota.release(request.bytes);
    if (!this.#isClosed) request.reply(answer);
  }
}
