/**
 * The reconciler: takes due environments and brings each to where it is wanted.
 *
 * Woken by notifications, by the runtime's events and by a timer; what it does follows changes, not the number of
 * environments. One environment is worked on by one server at a time, which its row's lease says.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Notices } from '../events/notices.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { OwnedThing } from '../runtime/runtime.ts';
import { Superseded, converge } from './converge.ts';
import type { Workshop } from './converge.ts';
import { allStates, claimDue, dropLeases, hurry, makeDue, nextDue, release, renewLeases } from './table.ts';

/** How long a dead server's work waits for another server. */
const usualLeaseSeconds = 15;
/** The timer's longest sleep: what a lost notification costs at most. */
const longestSleepMs = 2000;
const lookEveryMs = 10 * 60 * 1000;
/** How many environments are worked on at once; starting a container is the engine's work, waiting costs nothing. */
const mostAtOnce = 8;

export class Reconciler {
  readonly #workshop: Workshop;
  readonly #owner: string;
  readonly #leaseSeconds: number;
  readonly #stopping = new AbortController();
  readonly #working = new Map<string, { generation: number; abort: AbortController; wentDown: boolean }>();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | null = null;
  #turning = false;
  #turnAgain = false;
  #idle: (() => void)[] = [];
  #looking = false;
  #lookWanted = false;

  constructor(workshop: Workshop, owner: string, notices: Notices, leaseSeconds = usualLeaseSeconds) {
    this.#workshop = workshop;
    this.#owner = owner;
    this.#leaseSeconds = leaseSeconds;
    this.#unsubscribe = notices.onAny(
      ({ id, generation }) => {
        if (generation === undefined) return;
        const work = this.#working.get(id);
        if (work && work.generation < generation) work.abort.abort(new Superseded());
        this.#turn();
      },
      () => this.#turn(),
    );
  }

  async start(): Promise<void> {
    await dropLeases(this.#workshop.database, this.#owner);
    void this.#watch();
    this.#lookNowAndThen();
    this.#renew();
    this.#turn();
  }

  /** Lets go of everything at the next possible moment; what was begun is taken up by the next server. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stopping.abort();
    if (this.#timer) clearTimeout(this.#timer);
    for (const { abort } of this.#working.values()) abort.abort(this.#stopping.signal.reason);
    while (this.#working.size > 0 || this.#turning)
      await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Takes what is due, once more when something happened meanwhile. */
  #turn(): void {
    this.#turnAgain = true;
    if (this.#turning || this.#stopping.signal.aborted) return;
    this.#turning = true;
    void (async () => {
      let sleepMs = longestSleepMs;
      try {
        while (this.#turnAgain && !this.#stopping.signal.aborted) {
          this.#turnAgain = false;
          const room = mostAtOnce - this.#working.size;
          if (room <= 0) break;
          const rows = await claimDue(this.#workshop.database, this.#owner, this.#leaseSeconds, room);
          for (const row of rows) void this.#work(row);
          if (rows.length === room) break;
          const due = await nextDue(this.#workshop.database);
          if (due) sleepMs = Math.min(Math.max(due.getTime() - Date.now(), 20), longestSleepMs);
        }
      } catch (error) {
        this.#workshop.logger.warn(
          { error: (error as Error).message },
          'looking for work failed; trying again',
        );
      } finally {
        this.#turning = false;
        this.#wake();
      }
      if (this.#stopping.signal.aborted) return;
      if (this.#timer) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#turn(), sleepMs);
    })();
  }

  async #work(row: EnvironmentRow): Promise<void> {
    const { database, logger } = this.#workshop;
    const work = { generation: row.generation, abort: new AbortController(), wentDown: false };
    this.#working.set(row.id, work);
    try {
      await converge(this.#workshop, row, work.abort.signal);
    } catch (error) {
      logger.error({ error, environment: row.id }, 'the work on an environment could not be written down');
    }
    await release(database, row.id, this.#owner).catch(() => undefined);
    this.#working.delete(row.id);
    // Asked only now: until here, what the runtime says of it is noted and nothing else.
    if (work.wentDown && row.wanted === 'running' && !this.#stopping.signal.aborted)
      await makeDue(database, [row.id]).catch((error: Error) =>
        logger.warn({ error: error.message }, 'a change in the runtime could not be written down'),
      );
    this.#wake();
    this.#turn();
  }

  #wake(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #renew(): void {
    const renew = () =>
      this.#renewLeases().catch((error: Error) =>
        this.#workshop.logger.warn({ error: error.message }, 'leases could not be renewed'),
      );
    const timer = setInterval(() => void renew(), (this.#leaseSeconds * 1000) / 3);
    this.#stopping.signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** Where a lease was lost, since this server stood still for too long, another one may be at work. */
  async #renewLeases(): Promise<void> {
    const lost = new Map(this.#working);
    if (lost.size === 0) return;
    const { database } = this.#workshop;
    const renewed = await renewLeases(database, this.#owner, [...lost.keys()], this.#leaseSeconds);
    for (const id of renewed) lost.delete(id);
    for (const { abort } of lost.values()) abort.abort(new Superseded());
  }

  /** What no event tells of: an event that was lost, things that appeared or went away by other hands. */
  #lookNowAndThen(): void {
    const timer = setInterval(() => void this.#look(), lookEveryMs);
    this.#stopping.signal.addEventListener('abort', () => clearInterval(timer));
  }

  /** What changes in the runtime by other hands is looked at; after a gap, everything is. */
  async #watch(): Promise<void> {
    const { runtime, database, logger, platform } = this.#workshop;
    const say = (error: unknown, what: string) => logger.warn({ error: (error as Error).message }, what);
    await runtime.watch(
      {
        onChange: (id, change) => {
          const work = this.#working.get(id);
          if (work) {
            if (change === 'down') work.wentDown = true;
            return;
          }
          makeDue(database, [id]).then(
            () => this.#turn(),
            (error: unknown) => say(error, 'a change in the runtime could not be written down'),
          );
        },
        onReconnect: () => void this.#look(),
        onLost: () => {
          platform.runtimeFault ??= 'does not answer';
        },
      },
      this.#stopping.signal,
    );
  }

  /** Looks at everything, again and again until the runtime answered; what comes meanwhile has it looked at once more. */
  async #look(): Promise<void> {
    this.#lookWanted = true;
    if (this.#looking) return;
    this.#looking = true;
    const { platform, logger } = this.#workshop;
    const { signal } = this.#stopping;
    while (this.#lookWanted && !signal.aborted) {
      this.#lookWanted = false;
      try {
        await this.#lookAtEverything();
      } catch (error) {
        this.#lookWanted = true;
        const fault = error instanceof RuntimeError ? error.message : 'could not be looked at';
        if (platform.runtimeFault !== fault)
          logger.warn({ error: (error as Error).message }, 'looking at the runtime failed');
        platform.runtimeFault = fault;
        await pause(longestSleepMs, undefined, { signal }).catch(() => undefined);
      }
    }
    this.#looking = false;
  }

  /** Compares all rows with all things in the runtime; what differs is due, what has no row is reported. */
  async #lookAtEverything(): Promise<void> {
    const { runtime, database, platform, logger } = this.#workshop;
    const report = await runtime.prepare();
    platform.storageEnforced = report.storageEnforced;
    platform.notes = report.notes;
    platform.cpuCores = report.cpuCores;
    // The rows before and after: what is made or deleted while this looks has one in either.
    const before = await allStates(database);
    const things = await runtime.list();
    const rows = await allStates(database);
    const claimed = claimsOf([...before, ...rows]);
    const unknown = things.filter(({ kind, id }) => !claimed[kind].has(id));
    const unclaimed = unknown.filter(({ kind }) => kind !== 'secrets');
    // Files of secrets can be written again from a row, so without one they are of no use to anybody. Another server
    // that took the work over has its own, and knows nothing of these.
    for (const { id } of unknown) {
      if (!unclaimed.some((thing) => thing.id === id)) await runtime.removeWorkload(id, 1);
    }
    if (unclaimed.length > 0 && !isDeepStrictEqual(unclaimed, platform.unclaimed)) {
      logger.warn(
        { unclaimed: unclaimed.map(({ kind, name }) => `${kind} ${name}`) },
        'things of this installation belong to no environment; they are left alone',
      );
    }
    platform.unclaimed = unclaimed;
    const running = new Set(
      things.filter((thing) => thing.kind === 'workload' && thing.running).map(({ id }) => id),
    );
    const different = rows.filter(
      ({ id, wanted, status }) =>
        (wanted === 'running' && status === 'running' && !running.has(id)) ||
        (wanted === 'stopped' && status === 'stopped' && running.has(id)),
    );
    await makeDue(
      database,
      different.map(({ id }) => id),
    );
    await hurry(database);
    platform.runtimeFault = null;
    this.#turn();
  }
}

/** By kind of thing, the ids whose things belong to a row: files may have been made for another than has them now. */
function claimsOf(rows: Awaited<ReturnType<typeof allStates>>): Record<OwnedThing['kind'], Set<string>> {
  const there = new Set(rows.filter(({ status }) => status !== 'deleted').map(({ id }) => id));
  return { workload: there, secrets: there, storage: new Set(rows.map((row) => row.storage_id)) };
}
