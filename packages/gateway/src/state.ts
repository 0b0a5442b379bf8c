/**
 * What a worker knows: the server's state (contract's control.ts), kept in memory from its stream of lines. worker.ts
 * feeds it; listeners, authentication and the live connections read it and are told of each change.
 *
 * A stream that begins anew is laid over what is known: entries hold from the moment they come, and what was not told
 * again is forgotten at `complete`, so that there is no moment in which nothing is known.
 */
import type {
  AccountRoute,
  CustomerRoute,
  EnvironmentRoute,
  GatewaySettings,
  StateLine,
  Which,
} from '@berth/contract';
import { networkOfSource } from './limits/source.ts';

export type StateChange =
  /** A stream has told everything: anything may have changed. */
  | { kind: 'all' }
  | { kind: 'settings' }
  | { kind: 'environment'; id: string; before: EnvironmentRoute | undefined }
  | { kind: 'customer'; id: number }
  | { kind: 'account'; name: string }
  | { kind: 'end'; which: Which; sentence: string };

/** Entries of one kind, with the stream that each was told by. */
class Entries<Key, Value> {
  readonly #values = new Map<Key, { value: Value; stream: number }>();

  get(key: Key): Value | undefined {
    return this.#values.get(key)?.value;
  }

  /** `null` takes the entry away. Returns what was there before. */
  set(key: Key, value: Value | null, stream: number): Value | undefined {
    const before = this.get(key);
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, { value, stream });
    return before;
  }

  forgetOlder(stream: number): void {
    for (const [key, entry] of this.#values) if (entry.stream < stream) this.#values.delete(key);
  }

  *values(): Iterable<Value> {
    for (const { value } of this.#values.values()) yield value;
  }
}

interface Until {
  target: string;
  source: string;
  until: string;
}

export class GatewayState {
  #settings: GatewaySettings | undefined;
  #hostKeys: string[] = [];
  readonly #environments = new Entries<string, EnvironmentRoute>();
  readonly #customers = new Entries<number, CustomerRoute>();
  readonly #accounts = new Entries<string, AccountRoute>();
  readonly #lockouts = new Entries<string, Until>();
  readonly #bans = new Entries<string, Until>();
  readonly #byPort = new Map<number, string>();
  readonly #listeners = new Set<(change: StateChange) => void>();
  /** Counts the streams; the one that is being told, or was told last. */
  #stream = 0;
  #isTelling = false;
  #isComplete = false;
  #number = 0;
  #server = '';

  /** Whether a stream was told to its end, ever: before, nobody can be served. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** @throws TypeError before the first stream was told to its end */
  get settings(): GatewaySettings {
    if (this.#settings === undefined) throw new TypeError('the state is not complete yet');
    return this.#settings;
  }

  /** Of the shared port and of the outer session of a jump: OpenSSH private key files. */
  get hostKeys(): readonly string[] {
    return this.#hostKeys;
  }

  environment(id: string): EnvironmentRoute | undefined {
    return this.#environments.get(id);
  }

  environmentByPort(port: number): EnvironmentRoute | undefined {
    const id = this.#byPort.get(port);
    return id === undefined ? undefined : this.#environments.get(id);
  }

  environments(): Iterable<EnvironmentRoute> {
    return this.#environments.values();
  }

  customer(id: number): CustomerRoute | undefined {
    return this.#customers.get(id);
  }

  account(name: string): AccountRoute | undefined {
    return this.#accounts.get(name);
  }

  /** `target`: an environment's id, an account's or an unknown name. */
  lockedUntil(target: string, source: string): Date | undefined {
    return this.#until(this.#lockouts, source, (each) => pairKey(target, each));
  }

  bannedUntil(source: string): Date | undefined {
    return this.#until(this.#bans, source, (each) => each);
  }

  /** What holds for an IPv6 address may be said of its network. */
  #until(entries: Entries<string, Until>, source: string, key: (source: string) => string): Date | undefined {
    for (const each of new Set([source, networkOfSource(source)])) {
      const until = entries.get(key(each))?.until;
      if (until !== undefined && Date.parse(until) > Date.now()) return new Date(until);
    }
    return undefined;
  }

  /** Called after each change, in the turn in which its line came. Returns what undoes it. */
  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  apply(line: StateLine): void {
    this.#number = line.number;
    switch (line.type) {
      case 'begin':
        this.#stream += 1;
        this.#isTelling = true;
        this.#server = line.server;
        break;
      case 'complete':
        this.#complete();
        break;
      case 'settings':
        this.#settings = line.settings;
        this.#tell({ kind: 'settings' });
        break;
      case 'host-keys':
        this.#hostKeys = line.keys;
        break;
      case 'environment':
        this.#setEnvironment(line.id, line.route);
        break;
      case 'customer':
        this.#customers.set(line.id, line.route, this.#stream);
        this.#tell({ kind: 'customer', id: line.id });
        break;
      case 'account':
        this.#accounts.set(line.name, line.route, this.#stream);
        this.#tell({ kind: 'account', name: line.name });
        break;
      case 'lockout': {
        const { target, source, until } = line;
        this.#lockouts.set(
          pairKey(target, source),
          until === null ? null : { target, source, until },
          this.#stream,
        );
        break;
      }
      case 'ban': {
        const { source, until } = line;
        this.#bans.set(source, until === null ? null : { target: '', source, until }, this.#stream);
        break;
      }
      case 'end':
        this.#tell({ kind: 'end', which: line.which, sentence: line.sentence });
        break;
      case 'beat':
        break;
      default:
        line satisfies never;
    }
  }

  /** All that is known, as a stream would tell it. Holds private keys. */
  toLines(): StateLine[] {
    const number = this.#number;
    const lines: StateLine[] = [{ type: 'begin', number, server: this.#server }];
    if (this.#settings !== undefined) lines.push({ type: 'settings', number, settings: this.#settings });
    lines.push({ type: 'host-keys', number, keys: this.#hostKeys });
    for (const route of this.#customers.values()) {
      lines.push({ type: 'customer', number, id: route.id, route });
    }
    for (const route of this.#accounts.values()) {
      lines.push({ type: 'account', number, name: route.name, route });
    }
    for (const route of this.#environments.values()) {
      lines.push({ type: 'environment', number, id: route.id, route });
    }
    for (const { target, source, until } of this.#lockouts.values()) {
      lines.push({ type: 'lockout', number, target, source, until });
    }
    for (const { source, until } of this.#bans.values()) lines.push({ type: 'ban', number, source, until });
    lines.push({ type: 'complete', number });
    return lines;
  }

  #complete(): void {
    const all = [this.#environments, this.#customers, this.#accounts, this.#lockouts, this.#bans];
    for (const entries of all) entries.forgetOlder(this.#stream);
    this.#byPort.clear();
    for (const { id, port } of this.#environments.values()) if (port !== null) this.#byPort.set(port, id);
    this.#isTelling = false;
    this.#isComplete = this.#settings !== undefined;
    this.#announce({ kind: 'all' });
  }

  #setEnvironment(id: string, route: EnvironmentRoute | null): void {
    const before = this.#environments.set(id, route, this.#stream);
    // While a stream is being told, a port may still be said to be somebody else's, too.
    if (before !== undefined && before.port !== null && this.#byPort.get(before.port) === id) {
      this.#byPort.delete(before.port);
    }
    if (route !== null && route.port !== null) this.#byPort.set(route.port, id);
    this.#tell({ kind: 'environment', id, before });
  }

  /** What a stream tells at its beginning is announced at once, when it is complete. */
  #tell(change: StateChange): void {
    if (!this.#isTelling || change.kind === 'end') this.#announce(change);
  }

  #announce(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function pairKey(target: string, source: string): string {
  return `${source} ${target}`;
}
