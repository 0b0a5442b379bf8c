/**
 * Measures what environments use, every ten seconds: the last hour is kept here, as it was measured, and each minute is
 * written down for a day, so that a server that starts anew, or another one, has that.
 *
 * Each server measures by itself, since that is cheaper than telling each other; of each minute the first that is written
 * down stays. With 50 environments a turn takes 3 ms, and a minute's rows one statement.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Directory } from '../control/directory.ts';
import type { Database } from '../database/database.ts';
import type { Runtime, WorkloadUsage } from '../runtime/runtime.ts';
import { Minutes, minuteMs } from './minutes.ts';
import type { UsageMinute } from './minutes.ts';
import { Samples } from './samples.ts';
import type { UsageSample } from './samples.ts';
import { StorageMeter } from './storage-meter.ts';
import { insertMinutes } from './table.ts';

export const sampleEveryMs = 10_000;
export const hourMs = 60 * minuteMs;
const mostSamples = hourMs / sampleEveryMs;
/** Where the runtime tells less often than it is asked, a value is still of now for so long. */
const oldestLiveMs = 45_000;
/** What waits for a database that does not answer. */
const mostWaiting = 5000;

interface Parts {
  database: Database;
  runtime: Runtime;
  directory: Directory;
  logger: Logger;
}

export class UsageCollector {
  readonly #parts: Parts;
  readonly #before = new Map<string, WorkloadUsage>();
  readonly #samples = new Map<string, Samples>();
  readonly #minutes = new Minutes();
  readonly storage: StorageMeter;
  #waiting: UsageMinute[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
    this.storage = new StorageMeter(parts, () => this.#running());
  }

  /** @returns a function that ends it, after which all is written down */
  start(): () => Promise<void> {
    const ending = new AbortController();
    const { signal } = ending;
    const work = Promise.all([this.#run(signal), this.storage.run(signal)]);
    return async () => {
      ending.abort();
      await work;
      await this.#write(Infinity);
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.collect();
      const untilNext = sampleEveryMs - (Date.now() % sampleEveryMs);
      await pause(untilNext, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** One turn. */
  async collect(now = Date.now()): Promise<void> {
    const { runtime, logger } = this.#parts;
    const running = this.#running();
    try {
      for (const usage of await runtime.usage(running)) this.#take(usage);
    } catch (error) {
      logger.debug({ error: (error as Error).message }, 'what environments use could not be measured');
    }
    this.#forget(new Set(running), now);
    await this.#write(Math.floor(now / minuteMs) * minuteMs);
  }

  /** What was measured last, where that is of now. */
  live(id: string): UsageSample | null {
    const last = this.#samples.get(id)?.last;
    return last && Date.now() - last.at < oldestLiveMs ? last : null;
  }

  /** First to last. */
  lastHour(id: string): UsageSample[] {
    return this.#samples.get(id)?.since(Date.now() - hourMs) ?? [];
  }

  #running(): string[] {
    const there = [];
    for (const { id, status } of this.#parts.directory.environments())
      if (status === 'running' || status === 'stopping') there.push(id);
    return there;
  }

  /** What flows is known between two measurements of one run. */
  #take(usage: WorkloadUsage): void {
    const { id, at, runId, cpuSeconds, memoryBytes, network, gpu } = usage;
    const before = this.#before.get(id);
    this.#before.set(id, usage);
    if (before?.runId !== runId || at <= before.at) return;
    const rate = (now: number | undefined, then: number | undefined) =>
      now === undefined || then === undefined ? null : (Math.max(0, now - then) / (at - before.at)) * 1000;
    const sample: UsageSample = {
      at,
      cpu_cores: rate(cpuSeconds, before.cpuSeconds),
      memory_bytes: memoryBytes,
      gpu_share: gpu?.share ?? null,
      gpu_memory_bytes: gpu?.memoryBytes ?? null,
      disk_bytes: this.storage.bytesOf(id),
      network_in_bytes: rate(network?.inBytes, before.network?.inBytes),
      network_out_bytes: rate(network?.outBytes, before.network?.outBytes),
    };
    const samples = this.#samples.get(id) ?? new Samples(mostSamples);
    this.#samples.set(id, samples);
    samples.add(sample);
    const minute = this.#minutes.add(id, sample);
    if (minute) this.#waiting.push(minute);
  }

  #forget(running: Set<string>, now: number): void {
    for (const id of this.#before.keys()) if (!running.has(id)) this.#before.delete(id);
    for (const [id, { last }] of this.#samples)
      if (last === undefined || now - last.at > hourMs) this.#samples.delete(id);
  }

  /** Minutes that began before. What cannot be written down is tried again next time. */
  async #write(before: number): Promise<void> {
    this.#waiting = [...this.#waiting, ...this.#minutes.take(before)].slice(-mostWaiting);
    if (this.#waiting.length === 0) return;
    try {
      await insertMinutes(this.#parts.database, this.#waiting);
      this.#waiting = [];
    } catch (error) {
      const { message } = error as Error;
      this.#parts.logger.debug({ error: message }, 'what environments used could not be written down');
    }
  }
}
