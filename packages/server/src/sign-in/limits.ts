/**
 * How many wrong passwords are borne: so many for an account from one address, and so many from one address for
 * whatever accounts. An account is never closed to other addresses, so nobody can lock somebody else out.
 *
 * Held in the memory of one server and bounded: who comes with so many addresses that old counts are forgotten has
 * had more tries from those addresses than forgetting gives.
 */
import { isIPv6 } from 'node:net';
import { BerthError } from '@berth/contract';
import { Address6 } from 'ip-address';
import { LRUCache } from 'lru-cache';

const windowMs = 5 * 60 * 1000;
const wrongAnAccount = 10;
const wrongASource = 20;
const mostCounts = 10_000;

export class TooManyTries extends BerthError {
  readonly retryAfterSeconds: number;
  /** Whether it is the first that is refused since the limit was reached. */
  readonly isFirst: boolean;

  constructor(detail: string, retryAfterSeconds: number, isFirst: boolean) {
    super('rate_limited', detail);
    this.name = 'TooManyTries';
    this.retryAfterSeconds = retryAfterSeconds;
    this.isFirst = isFirst;
  }
}

export class SignInLimits {
  readonly #ofPairs: Counts;
  readonly #ofSources: Counts;

  /** @param now milliseconds that only grow */
  constructor(now = () => performance.now()) {
    this.#ofPairs = new Counts(wrongAnAccount, now);
    this.#ofSources = new Counts(wrongASource, now);
  }

  /** @throws TooManyTries */
  mustBeOpen(source: string | null, account: string): void {
    if (source === null) return;
    const network = networkOf(source);
    this.#ofSources.mustBeOpen(network, 'for any account');
    this.#ofPairs.mustBeOpen(pairOf(network, account), 'for this account');
  }

  /** Counts a try that is about to be made as a wrong one. @throws TooManyTries */
  begin(source: string | null, account: string): void {
    this.mustBeOpen(source, account);
    if (source === null) return;
    const network = networkOf(source);
    this.#ofSources.add(network, 1);
    this.#ofPairs.add(pairOf(network, account), 1);
  }

  /** The try was right after all: what went wrong before for this account is forgotten. */
  succeed(source: string | null, account: string): void {
    if (source === null) return;
    const network = networkOf(source);
    this.#ofSources.add(network, -1);
    this.#ofPairs.forget(pairOf(network, account));
  }
}

class Counts {
  readonly #most: number;
  readonly #counts: LRUCache<string, number>;

  constructor(most: number, now: () => number) {
    this.#most = most;
    // The time runs from the first wrong one.
    this.#counts = new LRUCache({
      max: mostCounts,
      ttl: windowMs,
      ttlResolution: 0,
      noUpdateTTL: true,
      perf: { now },
    });
  }

  mustBeOpen(key: string, what: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count < this.#most) return;
    this.#counts.set(key, count + 1);
    const seconds = Math.max(1, Math.ceil(this.#counts.getRemainingTTL(key) / 1000));
    const detail = `${this.#most} wrong passwords within five minutes ${what} came from this address; it may try again in ${seconds} seconds.`;
    throw new TooManyTries(detail, seconds, count === this.#most);
  }

  add(key: string, change: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + change;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }

  forget(key: string): void {
    this.#counts.delete(key);
  }
}

/** Whoever has one IPv6 address has the 2^64 of its network. */
export function networkOf(source: string): string {
  if (!isIPv6(source)) return source;
  const address = new Address6(source.replace(/%.*$/, ''));
  return address.isMapped4() ? address.to4().correctForm() : `${address.mask(64)}/64`;
}

function pairOf(network: string, account: string): string {
  return `${network} ${account}`;
}
