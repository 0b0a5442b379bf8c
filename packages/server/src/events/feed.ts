/**
 * Changes of environments for everybody who watches: what a notice says to have changed is read once, however many clients
 * there are, and each gets those that it may see.
 *
 * Each change has a number, which is the id of its message. A client that comes again within the last changes gets the
 * environments that changed meanwhile, as they are now; one that was away for longer, or comes from another server, is told
 * to load all anew. Both need no more memory than the ids of these changes.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { presentEnvironment } from '../environments/present.ts';
import type { Addresses } from '../environments/present.ts';
import { environmentsOf, ownersOfDeleted } from '../environments/table.ts';
import { longestBacklogBytes } from '../http/server-sent-events.ts';
import type { Platform } from '../platform/platform.ts';
import type { Notices } from './notices.ts';

/** Changes that a client may have missed and still go on. */
const mostRemembered = 1000;
const mostAtOnce = 500;
/** Between two queries: what a busy platform's notices, several for each start, cost at most. */
const pauseMs = 100;

interface Client {
  stream: ServerResponse;
  /** null: it sees everybody's. */
  visibleTo: number | null;
  /** Environments that changed while it was away, and of which it has not heard yet. */
  missing: Set<string>;
}

interface Parts {
  database: Database;
  notices: Notices;
  addresses: Addresses;
  platform: Platform;
  logger: Logger;
}

export class EnvironmentFeed {
  readonly #parts: Parts;
  readonly #clients = new Map<ServerResponse, Client>();
  /** Environments to be read: those that changed just now, and those that only somebody who was away has not heard of. */
  readonly #changed = new Set<string>();
  readonly #missed = new Set<string>();
  /** Differs from server to server and from start to start. */
  readonly #name = randomBytes(6).toString('hex');
  /** Of the last change that was told; those before it that are remembered have the numbers before it. */
  #number = 0;
  #remembered: string[] = [];
  #busy = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    parts.notices.onAny(
      ({ id }) => {
        if (this.#clients.size === 0) return this.#remember(id);
        this.#changed.add(id);
        void this.#work();
      },
      () => this.#forget(),
    );
    // Then much is otherwise, of all at once.
    parts.notices.onRuntime(() => this.#forget());
  }

  /** Until the stream closes. @param lastSeen the id of the message that the client saw last */
  add(stream: ServerResponse, visibleTo: number | null, lastSeen: string | undefined): void {
    const missing = this.#changesAfter(lastSeen);
    const client: Client = { stream, visibleTo, missing: missing ?? new Set() };
    this.#clients.set(stream, client);
    stream.once('close', () => {
      this.#clients.delete(stream);
      if (this.#clients.size === 0) this.#rememberChanged();
    });
    // What changes from here on is told, so a client that loads all now misses nothing.
    if (missing === undefined) this.#tell(client, 'reload', '{}');
    for (const id of client.missing) this.#missed.add(id);
    void this.#work();
  }

  /** Says up to where the client has everything, though nothing of it may have been the client's to see. */
  heartbeat(stream: ServerResponse): string {
    const client = this.#clients.get(stream);
    return client?.missing.size === 0 ? `id: ${this.#id()}\n\n` : ': still here\n\n';
  }

  #id(): string {
    return `${this.#name}-${this.#number}`;
  }

  /** undefined: not known. */
  #changesAfter(lastSeen: string | undefined): Set<string> | undefined {
    const [name, text = ''] = lastSeen?.split('-') ?? [];
    const missed = /^\d{1,15}$/.test(text) ? this.#number - Number(text) : NaN;
    if (name !== this.#name || !(missed >= 0 && missed <= this.#remembered.length)) return undefined;
    return new Set(missed === 0 ? [] : this.#remembered.slice(-missed));
  }

  #remember(id: string): void {
    this.#number += 1;
    this.#remembered.push(id);
    if (this.#remembered.length > mostRemembered) this.#remembered.shift();
  }

  /** For nobody who is there. */
  #rememberChanged(): void {
    for (const id of this.#changed) this.#remember(id);
    this.#changed.clear();
    this.#missed.clear();
  }

  /** This server may itself have missed something. */
  #forget(): void {
    this.#changed.clear();
    this.#missed.clear();
    this.#remembered = [];
    this.#number += 1;
    for (const client of this.#clients.values()) {
      client.missing.clear();
      this.#tell(client, 'reload', '{}');
    }
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#changed.size + this.#missed.size > 0) {
      const ids = [...new Set([...this.#changed, ...this.#missed])].slice(0, mostAtOnce);
      const changed = new Set(ids.filter((id) => this.#changed.delete(id)));
      for (const id of ids) this.#missed.delete(id);
      try {
        await this.#send(ids, changed);
      } catch (error) {
        const { message } = error as Error;
        this.#parts.logger.warn({ error: message }, 'changes of environments could not be read');
        this.#forget();
      }
      await pause(pauseMs);
    }
    this.#busy = false;
  }

  async #send(ids: string[], changed: Set<string>): Promise<void> {
    const { database, addresses, platform } = this.#parts;
    const found = await environmentsOf(database, ids);
    const there = new Set(found.map(({ id }) => id));
    const others = ids.filter((id) => !there.has(id));
    const gone = others.length === 0 ? [] : await ownersOfDeleted(database, others);
    const events = new Map<string, { customerId: number; event: string; data: string }>();
    for (const row of found) {
      const data = JSON.stringify(presentEnvironment(row, addresses, platform));
      events.set(row.id, { customerId: row.customer_id, event: 'environment', data });
    }
    for (const { id, customer_id: customerId } of gone)
      events.set(id, { customerId, event: 'gone', data: JSON.stringify({ env_id: id }) });
    for (const id of ids) {
      const isNew = changed.has(id);
      if (isNew) this.#remember(id);
      const told = events.get(id);
      for (const client of this.#clients.values()) {
        const isMissing = client.missing.delete(id);
        if (told === undefined || !(isNew || isMissing)) continue;
        if (client.visibleTo === null || client.visibleTo === told.customerId)
          this.#tell(client, told.event, told.data);
      }
    }
  }

  /** One that does not read is let go; it may come again. */
  #tell({ stream, missing }: Client, event: string, data: string): void {
    if (stream.writableEnded || stream.destroyed) return;
    const id = missing.size === 0 ? `id: ${this.#id()}\n` : '';
    stream.write(`${id}event: ${event}\ndata: ${data}\n\n`);
    if (stream.writableLength > longestBacklogBytes) stream.destroy();
  }
}
