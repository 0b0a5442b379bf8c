/**
 * When each key last opened an environment, read from what sshd says in the log of each environment that runs.
 *
 * One stream an environment, from the moment it runs until it ends, and nothing in between: the database's notices and
 * the runtime's events say when there is another to follow. Logins while Berth was down are not made up for. What stands
 * in the log is not to be trusted beyond this: whoever is root in an environment can write there, so a line counts for
 * keys of that environment's customer only.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import type { Notices } from '../events/notices.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { markUsed, runningEnvironments } from './table.ts';

/** Notices of a start come close together; they are looked up in one query. */
const gatherMs = 100;
/** So many streams are begun in that time, so that an engine with many environments is not stormed. */
const begunAtOnce = 50;
const faultPauseMs = 5000;
/** A key's use is written down once in this time. */
const restMs = 60_000;
/** Keys of one environment whose rest is kept in mind. */
const rememberedKeys = 100;

const acceptedKey =
  /^Accepted publickey for \S+ from \S+ port \d+ ssh2: [A-Z0-9-]+ (SHA256:[A-Za-z0-9+/]{43})\r?$/;

export class LastUse {
  readonly #database: Database;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #unsubscribe: () => void;
  readonly #watching: Promise<void>;
  readonly #stopping = new AbortController();
  readonly #following = new Map<string, Promise<void>>();
  /** Environments that something happened to; `everything` after notices may have been lost. */
  readonly #noticed = new Set<string>();
  #everything = false;
  #looking: Promise<void> | null = null;

  constructor(services: { database: Database; runtime: Runtime; notices: Notices; logger: Logger }) {
    this.#database = services.database;
    this.#runtime = services.runtime;
    this.#logger = services.logger;
    const notice = (id: string) => {
      if (this.#following.has(id)) return;
      this.#noticed.add(id);
      this.#look();
    };
    const lookAtAll = () => {
      this.#everything = true;
      this.#look();
    };
    this.#unsubscribe = services.notices.onAny(({ id }) => notice(id), lookAtAll);
    this.#watching = services.runtime.watch(
      { onChange: notice, onReconnect: lookAtAll, onLost: () => undefined },
      this.#stopping.signal,
    );
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stopping.abort();
    await this.#looking;
    await Promise.all([this.#watching, ...this.#following.values()]);
  }

  #look(): void {
    this.#looking ??= this.#lookUp().finally(() => (this.#looking = null));
  }

  async #lookUp(): Promise<void> {
    while ((this.#everything || this.#noticed.size > 0) && !this.#stopping.signal.aborted) {
      await this.#pause(gatherMs);
      const ids = this.#everything ? null : [...this.#noticed];
      this.#everything = false;
      this.#noticed.clear();
      try {
        const running = await runningEnvironments(this.#database, ids);
        const others = running.filter(({ id }) => !this.#following.has(id));
        for (const [index, { id, customer_id }] of others.entries()) {
          if (index % begunAtOnce === begunAtOnce - 1) await this.#pause(gatherMs);
          this.#following.set(
            id,
            this.#follow(id, customer_id).finally(() => this.#following.delete(id)),
          );
        }
      } catch (error) {
        this.#everything = true;
        this.#logger.warn({ error: (error as Error).message }, 'the use of keys cannot be followed just now');
        await this.#pause(faultPauseMs);
      }
    }
  }

  async #follow(id: string, customerId: number): Promise<void> {
    const { signal } = this.#stopping;
    const rests = new Map<string, number>();
    try {
      for await (const line of this.#runtime.logs(id, { tail: 0, follow: true, signal })) {
        const fingerprint = acceptedKey.exec(line)?.[1];
        if (fingerprint === undefined || (rests.get(fingerprint) ?? 0) > Date.now()) continue;
        if (rests.size >= rememberedKeys) rests.clear();
        rests.set(fingerprint, Date.now() + restMs);
        await markUsed(this.#database, customerId, fingerprint, restMs);
      }
    } catch (error) {
      if (signal.aborted || error instanceof RuntimeError) return;
      this.#logger.warn({ error: (error as Error).message, environment: id }, 'its log cannot be followed');
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
