/**
 * Follows the log of each environment whose container's sshd is reached directly, line by line.
 *
 * One stream an environment, from the moment it runs until it ends, and nothing in between: the database's notices and
 * the runtime's events say when there is another to follow. What was said while Berth was down is not made up for.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import type { Notices } from '../events/notices.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { directEnvironments } from './table.ts';

/** Notices of a start come close together; they are looked up in one query. */
const gatherMs = 100;
/** So many streams are begun in that time, so that an engine with many environments is not stormed. */
const begunAtOnce = 50;
const faultPauseMs = 5000;
/** An environment whose log is followed. */
export interface Followed {
  id: string;
  customerId: number;
}

export interface LogListener {
  onLine(environment: Followed, line: string): Promise<void>;
  /** Its log is at its end: it does not run any more, or is reached in another way. */
  onEnd(environment: Followed): Promise<void>;
}

export class FollowedLogs {
  readonly #database: Database;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #listener: LogListener;
  readonly #unsubscribe: () => void;
  readonly #watching: Promise<void>;
  readonly #stopping = new AbortController();
  readonly #following = new Map<string, Promise<void>>();
  /** Environments that something happened to; `everything` after notices may have been lost. */
  readonly #noticed = new Set<string>();
  #everything = false;
  #looking: Promise<void> | null = null;

  constructor(
    services: { database: Database; runtime: Runtime; notices: Notices; logger: Logger },
    listener: LogListener,
  ) {
    this.#listener = listener;
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
        const running = await directEnvironments(this.#database, ids);
        const others = running.filter(({ id }) => !this.#following.has(id));
        for (const [index, { id, customer_id }] of others.entries()) {
          if (index % begunAtOnce === begunAtOnce - 1) await this.#pause(gatherMs);
          this.#following.set(
            id,
            this.#follow({ id, customerId: customer_id }).finally(() => this.#following.delete(id)),
          );
        }
      } catch (error) {
        this.#everything = true;
        this.#logger.warn({ error: (error as Error).message }, 'logs cannot be followed just now');
        await this.#pause(faultPauseMs);
      }
    }
  }

  async #follow(environment: Followed): Promise<void> {
    const { signal } = this.#stopping;
    const { id } = environment;
    try {
      for await (const line of this.#runtime.logs(id, { tail: 0, follow: true, signal })) {
        await this.#listener.onLine(environment, line);
      }
      if (!signal.aborted) await this.#listener.onEnd(environment);
    } catch (error) {
      if (signal.aborted || error instanceof RuntimeError) return;
      this.#logger.warn({ error: (error as Error).message, environment: id }, 'its log cannot be followed');
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
