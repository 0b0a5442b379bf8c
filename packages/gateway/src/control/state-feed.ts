/**
 * The state's stream: opened again whenever it ends, is silent, or leaves out a number. The lines go to the worker's
 * state as they come; each stream begins with everything there is.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { controlPaths, stateSilenceMs } from '@berth/contract';
import type { StateLine } from '@berth/contract';
import type { Requests } from './requests.ts';

const pauseMs = { first: 100, longest: 2000 };

export class StateFeed {
  readonly #requests: Requests;
  readonly #apply: (line: StateLine) => void;
  readonly #log: (line: string) => void;
  readonly #silenceMs: number;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #isUp = false;
  /** Of the failure that was told last, so that it is told once. */
  #told = '';

  constructor(
    requests: Requests,
    parts: { apply(line: StateLine): void; log(line: string): void; silenceMs?: number },
  ) {
    this.#requests = requests;
    this.#apply = (line) => parts.apply(line);
    this.#log = (line) => parts.log(line);
    this.#silenceMs = parts.silenceMs ?? stateSilenceMs;
    this.#ended = this.#run();
  }

  /** Whether there is a stream that has told everything once. */
  get isUp(): boolean {
    return this.#isUp;
  }

  async stop(): Promise<void> {
    this.#ending.abort(new Error('the feed was stopped'));
    await this.#ended;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#ending.signal.aborted) {
      const stream = new AbortController();
      const stop = () => stream.abort(this.#ending.signal.reason);
      this.#ending.signal.addEventListener('abort', stop, { once: true });
      try {
        await this.#follow(stream, () => (failures = 0));
      } catch (error) {
        this.#tell(error as Error);
      } finally {
        this.#isUp = false;
        this.#ending.signal.removeEventListener('abort', stop);
      }
      const waitMs = Math.min(pauseMs.longest, pauseMs.first * 2 ** failures++);
      await pause(waitMs, undefined, { signal: this.#ending.signal }).catch(() => {});
    }
  }

  /** Ends by an error, or when the server ends the stream. */
  async #follow(stream: AbortController, onComplete: () => void): Promise<void> {
    const silent = () => stream.abort(new Error(`nothing was heard for ${this.#silenceMs / 1000} s`));
    const silence = setTimeout(silent, this.#silenceMs);
    let last: number | null = null;
    try {
      for await (const each of this.#requests.lines(controlPaths.state, null, stream.signal)) {
        silence.refresh();
        const line = each as StateLine;
        if (last !== null && line.number !== last + 1)
          throw new Error(`after line ${last} of the state came line ${line.number}`);
        if (line.type === 'complete' || last !== null) last = line.number;
        this.#apply(line);
        if (line.type !== 'complete') continue;
        this.#isUp = true;
        onComplete();
        if (this.#told !== '') this.#log('the server is there again');
        this.#told = '';
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #tell({ message }: Error): void {
    if (this.#ending.signal.aborted || this.#told === message) return;
    this.#told = message;
    this.#log(`the server does not feed the state: ${message}`);
  }
}
