/**
 * Whether a connection is looked at at all: bans, connections of one source in one second, connections that have not
 * logged in, of one source and in all. connection.ts asks before anything is sent. All that is counted is bounded by
 * the connections that there are, or forgotten after a second.
 */
import type { GatewaySettings } from '@berth/contract';
import type { GatewayState } from '../state.ts';
import { networkOfSource } from './source.ts';

export type Drop = 'banned' | 'flood';

/** Sources that are counted in one second; more of them than a worker can accept. */
const mostSources = 100_000;

/** A place among those that have not logged in yet. */
export interface Admitted {
  /** They have, or are gone. May be called again. */
  leave(): void;
}

export class Admission {
  readonly #state: GatewayState;
  readonly #now: () => number;
  readonly #random: () => number;
  /** Connections of this second, and of those that have not logged in all. */
  #arrivals = new Map<string, number>();
  #second = 0;
  readonly #perSource = new Map<string, number>();
  #waiting = 0;

  constructor(state: GatewayState, { now = Date.now, random = Math.random } = {}) {
    this.#state = state;
    this.#now = now;
    this.#random = random;
  }

  /** Connections that have not logged in. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @param source as `sourceOf` gives it */
  admit(source: string): Admitted | Drop {
    if (this.#state.bannedUntil(source) !== undefined) return 'banned';
    const { connectionsPerSecond, unauthenticatedPerSource, startups } = this.#state.settings;
    const network = networkOfSource(source);
    if (this.#arrived(network) > connectionsPerSecond) return 'flood';
    const ofSource = this.#perSource.get(network) ?? 0;
    if (ofSource >= unauthenticatedPerSource) return 'flood';
    if (isDroppedEarly(this.#waiting, startups, this.#random())) return 'flood';
    this.#perSource.set(network, ofSource + 1);
    this.#waiting += 1;
    return { leave: this.#leaveOnce(network) };
  }

  #leaveOnce(network: string): () => void {
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#waiting -= 1;
      const left = (this.#perSource.get(network) ?? 1) - 1;
      if (left === 0) this.#perSource.delete(network);
      else this.#perSource.set(network, left);
    };
  }

  /** Counts an arrival; returns how many there were in this second. */
  #arrived(network: string): number {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#arrivals = new Map();
    }
    const count = (this.#arrivals.get(network) ?? 0) + 1;
    if (count === 1 && this.#arrivals.size >= mostSources) return Infinity;
    this.#arrivals.set(network, count);
    return count;
  }
}

/**
 * MaxStartups of sshd_config(5): from `begin` on a share of `ratePercent` is dropped, which grows evenly until all are at
 * `full`.
 *
 * @param waiting connections that have not logged in
 * @param random from 0 up to 1
 */
export function isDroppedEarly(
  waiting: number,
  startups: GatewaySettings['startups'],
  random: number,
): boolean {
  const { begin, ratePercent, full } = startups;
  if (waiting < begin) return false;
  if (waiting >= full) return true;
  const percent = ratePercent + ((100 - ratePercent) * (waiting - begin)) / (full - begin);
  return random * 100 < percent;
}
