/**
 * The server's picture, in memory, of all that attempts and gateways need: environments, customers, accounts, lockouts
 * and bans, so that an attempt costs no query and a gateway is told of each change.
 *
 * Loaded from the database at the start and kept up by its notices: what they name is read again, a batch at a time;
 * after a gap in them everything is. What is being deleted is not in it.
 */
import type { Exposure, Forwarding, Status, Which } from '@berth/contract';
import { RevocationList } from '@berth/ssh';
import type { Logger } from 'pino';
import type { Database, Session } from '../database/database.ts';
import type { Announcement, Notices } from '../events/notices.ts';
import { readAccounts, readBans, readCustomers, readEnvironments, readLockouts } from './table.ts';
import type { CustomerFacts, EnvironmentFacts } from './table.ts';

export interface KnownEnvironment {
  id: string;
  customerId: number;
  username: string;
  status: Status;
  wanted: 'running' | 'stopped';
  exposure: Exposure;
  /** Of the container that there is; null: there is none, or it is stopped. */
  runningExposure: Exposure | null;
  runId: string | null;
  /** Its own, whoever serves it. */
  port: number | null;
  /** Whether a password can be right: by its own word and its customer's. */
  passwordLogin: boolean;
  wake: boolean;
  forwarding: Forwarding;
  /** When a person stopped it last. */
  stopAskedAt: Date | null;
  /** Sealed; purpose `environment-password:<id>`. */
  password: string;
  /** Sealed; purpose `host-key:<id>`. */
  hostKey: string;
  /** As in a .pub file. */
  hostKeyPublic: string;
  /** CIDR blocks of its own; those of its customer hold too. */
  allowlist: string[];
}

export interface KnownCustomer {
  id: number;
  /** CIDR blocks. */
  allowlist: string[];
  /** By fingerprint (`SHA256:...`), with the account whose it is. Public keys are lines as in a .pub file. */
  keys: Map<string, { name: string; account: string; publicKey: string }>;
  /** By fingerprint; none when what they have revoked cannot be read. */
  authorities: Map<string, { name: string; publicKey: string }>;
  revocations: RevocationList | null;
}

export interface KnownAccount {
  id: number;
  name: string;
  customerId: number;
  /** Fingerprints of its own keys. */
  keys: Set<string>;
}

export type DirectoryChange =
  | { kind: 'environment'; id: string }
  | { kind: 'customer'; id: number }
  | { kind: 'account'; name: string }
  | { kind: 'lockout'; target: string; source: string }
  | { kind: 'ban'; source: string }
  /** Live connections that shall end; after the changes that it follows from. */
  | { kind: 'end'; which: Which; sentence: string };

type Listener = (change: DirectoryChange) => void;

/** What was announced and is to be read again. */
interface Batch {
  everything: boolean;
  environments: Set<string>;
  customers: Set<number>;
  accounts: Set<string>;
  lockouts: Map<string, { target: string; source: string }>;
  bans: Set<string>;
  ends: { which: Which; sentence: string }[];
}

export interface Lockout {
  target: string;
  source: string;
  until: Date;
}

export interface Ban {
  source: string;
  until: Date;
}

/** The embedded database may be busy with somebody else, or PostgreSQL away: the picture before it stays. */
const readAgainMs = 500;
/** How often entries whose time is over are forgotten. */
const sweepMs = 60_000;

export class Directory {
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #environments = new Map<string, KnownEnvironment>();
  readonly #ownPasswordLogin = new Map<string, boolean>();
  readonly #customers = new Map<number, KnownCustomer>();
  readonly #customersPasswordLogin = new Map<number, boolean>();
  readonly #environmentsOf = new Map<number, Set<string>>();
  readonly #accounts = new Map<string, KnownAccount>();
  readonly #lockouts = new Map<string, Lockout>();
  readonly #bans = new Map<string, Ban>();
  readonly #listeners = new Set<Listener>();
  readonly #undo: (() => void)[] = [];
  #batch = emptyBatch();
  #reading: Promise<void> | null = null;
  #closed = false;

  private constructor(database: Database, notices: Notices, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
    this.#undo.push(
      notices.onAny(
        ({ id }) => {
          this.#batch.environments.add(id);
          this.#soon();
        },
        () => {
          this.#batch.everything = true;
          this.#soon();
        },
      ),
      notices.onAnnouncement((announcement) => {
        note(this.#batch, announcement);
        this.#soon();
      }),
    );
    const sweep = setInterval(() => this.#forget(), sweepMs);
    this.#undo.push(() => clearInterval(sweep));
  }

  /** @throws an error of the database */
  static async open({
    database,
    notices,
    logger,
  }: {
    database: Database;
    notices: Notices;
    logger: Logger;
  }): Promise<Directory> {
    const directory = new Directory(database, notices, logger);
    const first = directory.#readEverything(database);
    // What is announced meanwhile is read after it.
    directory.#reading = first.catch(() => undefined);
    try {
      await first;
    } catch (error) {
      directory.#reading = null;
      await directory.close();
      throw error;
    }
    directory.#reading = null;
    directory.#soon();
    return directory;
  }

  environment(id: string): KnownEnvironment | undefined {
    return this.#environments.get(id);
  }

  customer(id: number): KnownCustomer | undefined {
    return this.#customers.get(id);
  }

  account(name: string): KnownAccount | undefined {
    return this.#accounts.get(name);
  }

  environments(): Iterable<KnownEnvironment> {
    return this.#environments.values();
  }

  *environmentsOf(customerId: number): Iterable<KnownEnvironment> {
    for (const id of this.#environmentsOf.get(customerId) ?? []) {
      const environment = this.#environments.get(id);
      if (environment) yield environment;
    }
  }

  customers(): Iterable<KnownCustomer> {
    return this.#customers.values();
  }

  accounts(): Iterable<KnownAccount> {
    return this.#accounts.values();
  }

  lockouts(): Iterable<Lockout> {
    return this.#lockouts.values();
  }

  bans(): Iterable<Ban> {
    return this.#bans.values();
  }

  /** Whether it is a user name on the shared port: an environment's id or an account's name. */
  exists(name: string): boolean {
    return this.#environments.has(name) || this.#accounts.has(name);
  }

  /** @param target an environment's id, an account's name, or an unknown name */
  lockedUntil(target: string, source: string): Date | null {
    return inFuture(this.#lockouts.get(pairOf(target, source)));
  }

  bannedUntil(source: string): Date | null {
    return inFuture(this.#bans.get(source));
  }

  /** Called after the picture has changed, once for each entry that is not what it was. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Reads all of it again. Resolves when it is read, and all that was announced before with it.
   *
   * @param session what to read with, at once, for whoever holds the embedded database's only one
   */
  async reload(session?: Session): Promise<void> {
    if (session !== undefined) return this.#readEverything(session);
    this.#batch.everything = true;
    await this.#reading;
    this.#soon();
    await this.#reading;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const step of this.#undo.splice(0)) step();
    await this.#reading;
  }

  #soon(): void {
    this.#reading ??= this.#readBatches().finally(() => (this.#reading = null));
  }

  async #readBatches(): Promise<void> {
    // What else the same transaction announced comes right after.
    await Promise.resolve();
    while (!this.#closed && !isEmpty(this.#batch)) {
      const batch = this.#batch;
      this.#batch = emptyBatch();
      try {
        if (batch.everything) await this.#readEverything(this.#database);
        else await this.#read(batch);
        for (const { which, sentence } of batch.ends) this.#tell({ kind: 'end', which, sentence });
      } catch (error) {
        if (this.#closed) return;
        this.#logger.warn(
          { error: (error as Error).message },
          'what changed could not be read; trying again',
        );
        this.#batch = merged(batch, this.#batch);
        await new Promise((resolve) => setTimeout(resolve, readAgainMs));
      }
    }
  }

  async #readEverything(database: Session): Promise<void> {
    // Nothing is changed before all of it is there.
    const [customers, environments, accounts, lockouts, bans] = await Promise.all([
      readCustomers(database, null),
      readEnvironments(database, null),
      readAccounts(database, null),
      readLockouts(database, null),
      readBans(database, null),
    ]);
    this.#setCustomers(customers, [...this.#customers.keys()]);
    this.#setEnvironments(environments, [...this.#environments.keys()]);
    this.#setAccounts(accounts, [...this.#accounts.values()]);
    this.#setLockouts(lockouts, [...this.#lockouts.values()]);
    this.#setBans(bans, [...this.#bans.keys()]);
  }

  async #read(batch: Batch): Promise<void> {
    const database = this.#database;
    const ids = { environments: [...batch.environments], customers: [...batch.customers] };
    const names = [...batch.accounts];
    const pairs = [...batch.lockouts.values()];
    const sources = [...batch.bans];
    const some = <T>(wanted: boolean, read: () => Promise<T[]>) => (wanted ? read() : Promise.resolve([]));
    const [customers, environments, accounts, lockouts, bans] = await Promise.all([
      some(ids.customers.length > 0, () => readCustomers(database, ids.customers)),
      some(ids.environments.length > 0, () => readEnvironments(database, ids.environments)),
      some(names.length + ids.customers.length > 0, () =>
        readAccounts(database, { names, customers: ids.customers }),
      ),
      some(pairs.length > 0, () => readLockouts(database, pairs)),
      some(sources.length > 0, () => readBans(database, sources)),
    ]);
    this.#setCustomers(customers, ids.customers);
    this.#setEnvironments(environments, ids.environments);
    this.#setAccounts(
      accounts,
      [...this.#accounts.values()].filter(
        ({ name, customerId }) => batch.accounts.has(name) || batch.customers.has(customerId),
      ),
    );
    this.#setLockouts(lockouts, pairs);
    this.#setBans(bans, sources);
  }

  /** `before`: the ids that were read; those without facts are gone. */
  #setCustomers(facts: CustomerFacts[], before: number[]): void {
    const found = new Set(facts.map(({ id }) => id));
    for (const id of before) {
      if (found.has(id) || !this.#customers.delete(id)) continue;
      this.#customersPasswordLogin.delete(id);
      this.#tell({ kind: 'customer', id });
    }
    for (const fact of facts) {
      const { id, password_login } = fact;
      this.#customers.set(id, this.#knownCustomer(fact));
      this.#tell({ kind: 'customer', id });
      if (this.#customersPasswordLogin.get(id) === password_login) continue;
      this.#customersPasswordLogin.set(id, password_login);
      for (const each of this.#environmentsOf.get(id) ?? []) {
        const environment = this.#environments.get(each);
        if (!environment) continue;
        const passwordLogin = password_login && this.#ownPasswordLogin.get(each) === true;
        this.#environments.set(each, { ...environment, passwordLogin });
        this.#tell({ kind: 'environment', id: each });
      }
    }
  }

  #knownCustomer({ id, allowlist, keys, authorities, revocations }: CustomerFacts): KnownCustomer {
    const known: KnownCustomer = {
      id,
      allowlist,
      keys: new Map(
        keys.map(({ fingerprint, name, account, public_key }) => [
          fingerprint,
          { name, account, publicKey: public_key },
        ]),
      ),
      authorities: new Map(
        authorities.map(({ fingerprint, name, public_key }) => [
          fingerprint,
          { name, publicKey: public_key },
        ]),
      ),
      revocations: null,
    };
    try {
      if (revocations !== null) known.revocations = new RevocationList(Buffer.from(revocations, 'base64'));
    } catch (error) {
      // What may be revoked opens nothing.
      known.authorities.clear();
      this.#logger.error(
        { error: (error as Error).message, customer: id },
        'a revocation list cannot be read',
      );
    }
    return known;
  }

  #setEnvironments(facts: EnvironmentFacts[], before: string[]): void {
    const found = new Set(facts.map(({ id }) => id));
    for (const id of before) {
      const environment = this.#environments.get(id);
      if (found.has(id) || !environment) continue;
      this.#environments.delete(id);
      this.#ownPasswordLogin.delete(id);
      this.#environmentsOf.get(environment.customerId)?.delete(id);
      this.#tell({ kind: 'environment', id });
    }
    for (const fact of facts) {
      const { id, customer_id } = fact;
      const ofCustomer = this.#environmentsOf.get(customer_id) ?? new Set();
      this.#environmentsOf.set(customer_id, ofCustomer.add(id));
      this.#ownPasswordLogin.set(id, fact.password_login);
      // A customer that is not here yet is read right after, by its own notice.
      const passwordLogin = fact.password_login && this.#customersPasswordLogin.get(customer_id) !== false;
      this.#environments.set(id, knownEnvironment(fact, passwordLogin));
      this.#tell({ kind: 'environment', id });
    }
  }

  #setAccounts(facts: { id: number; name: string; customer_id: number }[], before: KnownAccount[]): void {
    const found = new Set(facts.map(({ name }) => name));
    for (const { name } of before) {
      if (found.has(name) || !this.#accounts.delete(name)) continue;
      this.#tell({ kind: 'account', name });
    }
    for (const { id, name, customer_id } of facts) {
      const keys = new Set<string>();
      for (const [fingerprint, key] of this.#customers.get(customer_id)?.keys ?? []) {
        if (key.account === name) keys.add(fingerprint);
      }
      this.#accounts.set(name, { id, name, customerId: customer_id, keys });
      this.#tell({ kind: 'account', name });
    }
  }

  #setLockouts(
    facts: { target: string; source: string; until: string }[],
    before: { target: string; source: string }[],
  ): void {
    const found = new Set(facts.map(({ target, source }) => pairOf(target, source)));
    for (const { target, source } of before) {
      const pair = pairOf(target, source);
      if (!found.has(pair) && this.#lockouts.delete(pair)) this.#tell({ kind: 'lockout', target, source });
    }
    for (const { target, source, until } of facts) {
      this.#lockouts.set(pairOf(target, source), { target, source, until: new Date(until) });
      this.#tell({ kind: 'lockout', target, source });
    }
  }

  #setBans(facts: { source: string; until: string }[], before: string[]): void {
    const found = new Set(facts.map(({ source }) => source));
    for (const source of before) {
      if (!found.has(source) && this.#bans.delete(source)) this.#tell({ kind: 'ban', source });
    }
    for (const { source, until } of facts) {
      this.#bans.set(source, { source, until: new Date(until) });
      this.#tell({ kind: 'ban', source });
    }
  }

  #tell(change: DirectoryChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** Whoever asks was told so already, by the time in the entry. */
  #forget(): void {
    for (const [pair, lockout] of this.#lockouts) if (!inFuture(lockout)) this.#lockouts.delete(pair);
    for (const [source, ban] of this.#bans) if (!inFuture(ban)) this.#bans.delete(source);
  }
}

function knownEnvironment(fact: EnvironmentFacts, passwordLogin: boolean): KnownEnvironment {
  return {
    id: fact.id,
    customerId: fact.customer_id,
    username: fact.username,
    status: fact.status,
    wanted: fact.wanted,
    exposure: fact.exposure,
    runningExposure: fact.running_exposure,
    runId: fact.run_id,
    port: fact.port,
    passwordLogin,
    wake: fact.wake,
    forwarding: fact.forwarding,
    stopAskedAt: fact.stop_asked_at === null ? null : new Date(fact.stop_asked_at),
    password: fact.password,
    hostKey: fact.host_key,
    hostKeyPublic: fact.host_key_public,
    allowlist: fact.allowlist,
  };
}

function emptyBatch(): Batch {
  return {
    everything: false,
    environments: new Set(),
    customers: new Set(),
    accounts: new Set(),
    lockouts: new Map(),
    bans: new Set(),
    ends: [],
  };
}

function isEmpty({ everything, environments, customers, accounts, lockouts, bans, ends }: Batch): boolean {
  const size = environments.size + customers.size + accounts.size + lockouts.size + bans.size + ends.length;
  return !everything && size === 0;
}

function note(batch: Batch, announcement: Announcement): void {
  if (announcement.topic === 'customer') batch.customers.add(announcement.id);
  else if (announcement.topic === 'account') batch.accounts.add(announcement.name);
  else if (announcement.topic === 'ban') batch.bans.add(announcement.source);
  else if (announcement.topic === 'secrets') batch.everything = true;
  else if (announcement.topic === 'end') {
    const { which, sentence } = announcement;
    batch.ends.push({ which, sentence });
  } else {
    const { target, source } = announcement;
    batch.lockouts.set(pairOf(target, source), { target, source });
  }
}

/** `before` could not be read, `since` came meanwhile. */
function merged(before: Batch, since: Batch): Batch {
  return {
    everything: before.everything || since.everything,
    environments: before.environments.union(since.environments),
    customers: before.customers.union(since.customers),
    accounts: before.accounts.union(since.accounts),
    lockouts: new Map([...before.lockouts, ...since.lockouts]),
    bans: before.bans.union(since.bans),
    ends: [...before.ends, ...since.ends],
  };
}

/** No text in the database holds a zero character. */
function pairOf(target: string, source: string): string {
  return `${target}\0${source}`;
}

function inFuture(entry: { until: Date } | undefined): Date | null {
  return entry !== undefined && entry.until.getTime() > Date.now() ? entry.until : null;
}
