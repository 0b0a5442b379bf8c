/**
 * Turns what a container's sshd says into what the gateway says of its own: attempts in the audit log, connections with
 * their bytes, failures that lock. Fed by followed-logs.ts.
 *
 * The container says these things of itself, so they are believed of itself only: a line counts for keys and lockouts of
 * its own environment, and whoever is root in there can at most falsify what is recorded of it.
 */
import { randomBytes } from 'node:crypto';
import { countedSource } from '@berth/contract';
import type { AttemptRecord } from '@berth/contract';
import { takeRecords } from '../control/records.ts';
import type { Services } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { Pair } from '../lockouts/login-failures.ts';
import type { DirectTraffic } from '../runtime/runtime.ts';
import type { Followed, LogListener } from './followed-logs.ts';
import { readSshdLine } from './sshd-log.ts';
import type { Peer, SshdFact } from './sshd-log.ts';
import { endConnections, insertConnection, openConnections, writeNumbers } from './table.ts';

/** How often the bytes of open connections are looked at, while there are any. */
const numbersMs = 1500;

type Login = Extract<SshdFact, { kind: 'accepted' }>;

export class DirectLogins implements LogListener {
  readonly #services: Services;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | null = null;
  /** Whether a connection may be open: then its bytes are looked at. */
  #mayBeOpen = true;

  constructor(services: Services) {
    this.#services = services;
    this.#timer = setInterval(() => {
      if (this.#mayBeOpen) this.#looking ??= this.#look().finally(() => (this.#looking = null));
    }, numbersMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async onLine(environment: Followed, line: string): Promise<void> {
    const fact = readSshdLine(line);
    if (fact === undefined) return;
    try {
      if (fact.kind === 'accepted') await this.#accepted(environment, fact);
      else if (fact.kind === 'failed') await this.#failed(environment, fact.user, fact.peer);
      else await this.#ended(environment, fact.peer);
    } catch (error) {
      this.#services.logger.warn(
        { error: (error as Error).message, environment: environment.id },
        'what its sshd said could not be recorded',
      );
    }
  }

  async onEnd({ id }: Followed): Promise<void> {
    const { database } = this.#services;
    const open = await openConnections(database, id);
    await endConnections(
      database,
      open.map((each) => each.id),
      'its environment stopped',
    );
  }

  async #accepted(environment: Followed, { method, user, fingerprint, peer }: Login): Promise<void> {
    const { database, directory } = this.#services;
    const key =
      fingerprint === null ? undefined : directory.customer(environment.customerId)?.keys.get(fingerprint);
    const connection = newId();
    const attempt = {
      ...attemptOf(environment, user, peer),
      connection,
      method,
      accepted: true,
      reason: null,
      fingerprint,
      account: key?.account ?? null,
    };
    await takeRecords(this.#services, [attempt]);
    this.#services.loginFailures.forgetSoon(pairOf(environment, peer));
    await insertConnection(database, {
      id: connection,
      gateway: null,
      env_id: environment.id,
      customer_id: environment.customerId,
      account: attempt.account,
      method,
      fingerprint,
      key_name: key?.name ?? null,
      way: 'own-port',
      source: peer.source,
      source_port: peer.port,
      client: '',
      started_at: new Date(),
    });
    this.#mayBeOpen = true;
  }

  async #failed(environment: Followed, user: string, peer: Peer): Promise<void> {
    const attempt: AttemptRecord = {
      ...attemptOf(environment, user, peer),
      connection: null,
      method: 'password',
      accepted: false,
      reason: 'wrong_password',
      fingerprint: null,
      account: null,
    };
    await takeRecords(this.#services, [attempt]);
    const { loginFailures, settings } = this.#services;
    const pair = pairOf(environment, peer);
    await loginFailures.follow(pair, await loginFailures.reserve(attempt.id, pair, settings), settings);
  }

  async #ended({ id }: Followed, { source, port }: Peer): Promise<void> {
    const { database } = this.#services;
    const open = await openConnections(database, id);
    const over = open.filter((each) => each.source === source && each.source_port === port);
    if (over.length === 0) return;
    // Its last bytes are counted by now, also where the kernel still waits for its last word.
    await this.#writeNumbers(over);
    await endConnections(
      database,
      over.map((each) => each.id),
      'the client left',
    );
  }

  async #look(): Promise<void> {
    const { database, logger } = this.#services;
    try {
      const open = await openConnections(database, null);
      this.#mayBeOpen = open.length > 0;
      if (open.length > 0) await this.#writeNumbers(open);
    } catch (error) {
      logger.warn({ error: (error as Error).message }, 'the bytes of direct connections could not be read');
    }
  }

  async #writeNumbers(open: Awaited<ReturnType<typeof openConnections>>): Promise<void> {
    const { database, runtime } = this.#services;
    let traffic: DirectTraffic[];
    try {
      traffic = await runtime.directTraffic();
    } catch (error) {
      // An engine that is away counts later.
      if (error instanceof RuntimeError) return;
      throw error;
    }
    const keyOf = (id: string, source: string, port: number) => `${id} ${source} ${port}`;
    const moved = new Map(traffic.map((each) => [keyOf(each.id, each.source, each.sourcePort), each]));
    const numbers = open.flatMap((row) => {
      const found = moved.get(keyOf(row.env_id, row.source, row.source_port));
      const isNew = found && (found.bytesIn !== row.bytes_in || found.bytesOut !== row.bytes_out);
      return isNew ? [{ id: row.id, bytesIn: found.bytesIn, bytesOut: found.bytesOut }] : [];
    });
    await writeNumbers(database, numbers);
  }
}

function attemptOf({ id, customerId }: Followed, user: string, { source, port }: Peer) {
  return {
    type: 'attempt' as const,
    id: newId(),
    at: new Date().toISOString(),
    way: 'own-port' as const,
    target: id,
    jumper: null,
    user: user.slice(0, 255),
    source,
    source_port: port,
    client: '',
    customer: customerId,
    count: 1,
  };
}

/** What failures are counted of. */
function pairOf({ id, customerId }: Followed, { source }: Peer): Pair {
  return { target: id, source: countedSource(source), envId: id, customerId };
}

function newId(): string {
  return randomBytes(12).toString('hex');
}
