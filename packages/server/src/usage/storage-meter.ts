/**
 * Knows how much is in the folders that last of each environment that runs, by counting them one after the other.
 *
 * Counting goes through all files of an environment, in its own processor time; that it begins costs the engine some 80 ms.
 * So each is counted every ten minutes at most, one that takes long less often, and there is a pause after each: with many
 * environments the numbers are older, and the cost is the same.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Runtime } from '../runtime/runtime.ts';

const restMs = 10 * 60 * 1000;
/** Of a processor's time, how much the engine spends on it, and the environment itself. */
const engineShare = 200;
const ownShare = 100;
const longestPauseMs = 20_000;

interface Count {
  bytes: number | null;
  /** Not before. */
  dueAt: number;
}

export class StorageMeter {
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #running: () => string[];
  readonly #counts = new Map<string, Count>();

  /** @param running ids of environments that run just now */
  constructor(parts: { runtime: Runtime; logger: Logger }, running: () => string[]) {
    this.#runtime = parts.runtime;
    this.#logger = parts.logger;
    this.#running = running;
  }

  /** null: not known. */
  bytesOf(id: string): number | null {
    return this.#counts.get(id)?.bytes ?? null;
  }

  /** Goes on until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseMs = await this.countNext(signal);
      await pause(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Counts the one that has waited longest, if one is due. @returns how long to pause then */
  async countNext(signal: AbortSignal, now = Date.now()): Promise<number> {
    const running = this.#running();
    this.#forgetOthers(running);
    const [next] = running
      .map((id) => ({ id, dueAt: this.#counts.get(id)?.dueAt ?? 0 }))
      .filter(({ dueAt }) => dueAt <= now)
      .sort((one, other) => one.dueAt - other.dueAt);
    if (next === undefined) return longestPauseMs;
    const began = performance.now();
    const bytes = await this.#runtime.storageUse(next.id, signal).catch((error: Error) => {
      this.#logger.debug({ error: error.message, environment: next.id }, 'its storage could not be counted');
      return null;
    });
    const tookMs = performance.now() - began;
    this.#counts.set(next.id, {
      bytes: bytes ?? this.bytesOf(next.id),
      dueAt: now + Math.max(restMs, tookMs * ownShare),
    });
    return Math.min(tookMs * engineShare, longestPauseMs);
  }

  #forgetOthers(running: string[]): void {
    const there = new Set(running);
    for (const id of this.#counts.keys()) if (!there.has(id)) this.#counts.delete(id);
  }
}
