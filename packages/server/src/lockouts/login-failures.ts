/**
 * Failed logins: counted by target and source before anything is compared, in the database, so that the count holds over
 * restarts and over all servers; enough of them lock the pair or ban the source. attempts/ calls it.
 *
 * What one address tries with passwords is looked at one after the other: of many that come at the same time none is
 * refused for those beside it, which may be right, and none is compared that the limit forbids.
 */
import type { Logger } from 'pino';
import { audit } from '../audit/audit.ts';
import type { Database } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import type { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import type { Settings } from '../settings.ts';
import {
  forgetFailures,
  forgetPair,
  insertBan,
  insertLockout,
  reserveFailure,
  takeBackFailure,
} from './table.ts';
import type { Reservation } from './table.ts';

/** After a login by key what failed before is forgotten within this time; no login waits for it. */
const forgetMs = 1000;

/** Of what a failure is counted. */
export interface Pair {
  /** An environment's id, an account's name, or an unknown name. */
  target: string;
  /** `countedSource` of the address. */
  source: string;
  /** Whose it is; null: nobody's. */
  envId: string | null;
  customerId: number | null;
}

type Limits = Pick<
  Settings,
  'lockout.failures' | 'lockout.windowMinutes' | 'lockout.minutes' | 'ban.failures' | 'ban.minutes'
>;

export class LoginFailures {
  readonly #database: Database;
  readonly #gatewayMetrics: GatewayMetrics;
  readonly #logger: Logger;
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #successes = new Map<string, { target: string; source: string; at: number }>();
  #forgetting: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({
    database,
    gatewayMetrics,
    logger,
  }: {
    database: Database;
    gatewayMetrics: GatewayMetrics;
    logger: Logger;
  }) {
    this.#database = database;
    this.#gatewayMetrics = gatewayMetrics;
    this.#logger = logger;
  }

  /** Does the work when all that came before it from this source is done. */
  async inTurn<T>(source: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(source) ?? Promise.resolve()).then(work);
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(source, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(source) === settled) this.#turns.delete(source);
    }
  }

  reserve(attempt: string, { target, source }: Pair, limits: Limits): Promise<Reservation> {
    return reserveFailure(this.#database, {
      id: attempt,
      target,
      source,
      windowMinutes: limits['lockout.windowMinutes'],
    });
  }

  async takeBack(attempt: string): Promise<void> {
    await takeBackFailure(this.#database, attempt);
  }

  /** Locks and bans as the counts demand. @returns until when; null: not */
  async follow(
    pair: Pair,
    { pairFailures, sourceFailures }: Reservation,
    limits: Limits,
  ): Promise<{ lockedUntil: Date | null; bannedUntil: Date | null }> {
    const lockedUntil = pairFailures >= limits['lockout.failures'] ? await this.#lock(pair, limits) : null;
    const bannedUntil = sourceFailures >= limits['ban.failures'] ? await this.#ban(pair, limits) : null;
    return { lockedUntil, bannedUntil };
  }

  /** The login was right: what failed for this pair before is forgotten. */
  async forget({ target, source }: Pair): Promise<void> {
    await forgetPair(this.#database, target, source);
  }

  /** The same, of many logins at once and a moment later. */
  forgetSoon({ target, source }: Pair): void {
    this.#successes.set(`${target}\0${source}`, { target, source, at: performance.now() });
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#forgetting = this.#forgetNow();
    }, forgetMs).unref();
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#forgetting;
    await this.#forgetNow();
  }

  async #forgetNow(): Promise<void> {
    const now = performance.now();
    const successes = [...this.#successes.values()].map(({ target, source, at }) => ({
      target,
      source,
      ageMs: now - at,
    }));
    this.#successes.clear();
    if (successes.length === 0) return;
    try {
      await forgetFailures(this.#database, successes);
    } catch (error) {
      this.#logger.warn({ error: (error as Error).message }, 'failed logins could not be forgotten');
    }
  }

  async #lock(pair: Pair, limits: Limits): Promise<Date | null> {
    const { target, source, customerId } = pair;
    return this.#database.transaction().execute(async (transaction) => {
      const lockout = await insertLockout(transaction, pair, {
        failures: limits['lockout.failures'],
        windowMinutes: limits['lockout.windowMinutes'],
        minutes: limits['lockout.minutes'],
      });
      if (!lockout) return null;
      const { failures, until } = lockout.row;
      if (lockout.isNew) {
        this.#gatewayMetrics.countLockout();
        await announce(transaction, { topic: 'lockout', target, source });
        await audit(
          transaction,
          { principal: null, source },
          {
            action: 'lockout.set',
            target,
            ...(customerId === null ? {} : { customerId }),
            detail: { failures, until: until.toISOString() },
          },
        );
      }
      return until;
    });
  }

  async #ban({ source }: Pair, limits: Limits): Promise<Date | null> {
    return this.#database.transaction().execute(async (transaction) => {
      const ban = await insertBan(transaction, source, {
        failures: limits['ban.failures'],
        windowMinutes: limits['lockout.windowMinutes'],
        minutes: limits['ban.minutes'],
      });
      if (!ban) return null;
      const { failures, until } = ban.row;
      if (ban.isNew) {
        this.#gatewayMetrics.countBan();
        await announce(transaction, { topic: 'ban', source });
        const detail = { failures, until: until.toISOString() };
        await audit(transaction, { principal: null, source }, { action: 'ban.set', target: source, detail });
      }
      return until;
    });
  }
}
