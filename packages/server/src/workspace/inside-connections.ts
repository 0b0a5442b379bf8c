/**
 * Berth's own connections into environments while they live: their numbers are recorded as a gateway records its own,
 * and they end when a gateway's would (a kill, an allowlist, a deletion), and when the session or token that they were
 * opened with does. One of a server; inside.ts enters them.
 */
import { BerthError } from '@berth/contract';
import type { AttemptRecord, ConnectionRecord, Which } from '@berth/contract';
import type { Logger } from 'pino';
import { mayComeFrom } from '../attempts/allowed.ts';
import { closeConnectionsOf } from '../connections/table.ts';
import type { Directory, DirectoryChange } from '../control/directory.ts';
import { takeRecords } from '../control/records.ts';
import type { RecordParts } from '../control/records.ts';
import type { DataFolder } from '../data-folder.ts';
import type { SignedIn } from '../sign-in/signed-in.ts';
import type { Inside } from './inside.ts';

const recordMs = 1000;
/** Also where nothing moves, so that nobody takes them for lost (connections/lost.ts). */
const recordAgainMs = 15_000;

export interface InsideParts extends RecordParts {
  directory: Directory;
  signedIn: SignedIn;
  folder: Pick<DataFolder, 'serverId'>;
  logger: Logger;
}

interface Live {
  inside: Inside;
  /** As it was recorded last. */
  recorded: string;
  recordedAt: number;
}

export class InsideConnections {
  readonly #parts: InsideParts;
  readonly #live = new Map<string, Live>();
  /** The last record of each, until it is written. */
  #over: ConnectionRecord[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #recording: Promise<void> | null = null;

  private constructor(parts: InsideParts) {
    this.#parts = parts;
    this.#unsubscribe = parts.directory.onChange((change) => this.#follow(change));
    this.#timer = setInterval(() => void this.#record(), recordMs);
  }

  /** Those of this server's last run are over. @throws an error of the database */
  static async open(parts: InsideParts): Promise<InsideConnections> {
    await closeConnectionsOf(parts.database, parts.folder.serverId, 'The server was restarted.');
    return new InsideConnections(parts);
  }

  /** Ends all of them, and resolves when that is written. */
  async close(): Promise<void> {
    this.#unsubscribe();
    clearInterval(this.#timer);
    const all = [...this.#live.values()].map(({ inside }) => inside);
    for (const inside of all) inside.end('Berth is about to end.');
    await Promise.all(all.map(({ ended }) => ended));
    await this.#recording;
    await this.#record();
  }

  /**
   * From here on it is ended like others. Nothing is used before it stands in the records.
   *
   * @throws BerthError `unavailable` when it cannot be recorded; whatever has ended it meanwhile
   */
  async admit(inside: Inside, attempt: AttemptRecord): Promise<void> {
    const first = inside.record(this.#server, null);
    const live: Live = { inside, recorded: JSON.stringify(first), recordedAt: Date.now() };
    this.#live.set(inside.id, live);
    void this.#untilEnd(live);
    this.#endOutsider(inside);
    try {
      await takeRecords(this.#parts, [attempt, first]);
    } catch (error) {
      inside.end('It could not be recorded.');
      throw new BerthError('unavailable', 'The login could not be recorded.', { cause: error });
    }
  }

  /** An attempt that did not get in. */
  async refused(attempt: AttemptRecord): Promise<void> {
    try {
      await takeRecords(this.#parts, [attempt]);
    } catch (error) {
      this.#parts.logger.error(
        { error: (error as Error).message, attempt },
        'an attempt could not be recorded',
      );
    }
  }

  get #server(): string {
    return this.#parts.folder.serverId;
  }

  async #untilEnd({ inside }: Live): Promise<void> {
    const unfollow = this.#parts.signedIn.follow(inside.principal, () =>
      inside.end('The session that it was opened with has ended.', true),
    );
    const reason = await inside.ended;
    unfollow();
    this.#live.delete(inside.id);
    this.#over.push(inside.record(this.#server, reason));
    await this.#record();
  }

  #follow(change: DirectoryChange): void {
    for (const { inside } of this.#live.values()) {
      if (change.kind === 'end') {
        if (fits(inside, change.which)) inside.end(change.sentence, true);
      } else if (
        (change.kind === 'environment' && change.id === inside.environment) ||
        (change.kind === 'customer' && change.id === inside.grant.customer)
      ) {
        this.#endOutsider(inside);
      }
    }
  }

  /** Where the environment is there no more, or lets nobody in from where this comes. */
  #endOutsider(inside: Inside): void {
    const { directory } = this.#parts;
    const { environment: id, source } = inside;
    const environment = directory.environment(id);
    if (!environment) inside.end(`The environment ${id} was deleted.`, true);
    else if (environment.status === 'stopped' || environment.status === 'failed')
      inside.end(`The environment ${id} was stopped.`);
    else if (!mayComeFrom(directory, environment, source))
      inside.end(`The allowlist of ${id} was changed and does not have ${source} any more.`, true);
  }

  #record(): Promise<void> {
    this.#recording ??= this.#write().finally(() => (this.#recording = null));
    return this.#recording;
  }

  async #write(): Promise<void> {
    const over = this.#over.splice(0);
    const records: ConnectionRecord[] = [];
    const now = Date.now();
    for (const live of this.#live.values()) {
      const record = live.inside.record(this.#server, null);
      const text = JSON.stringify(record);
      if (text === live.recorded && now - live.recordedAt < recordAgainMs) continue;
      Object.assign(live, { recorded: text, recordedAt: now });
      records.push(record);
    }
    if (records.length + over.length === 0) return;
    try {
      await takeRecords(this.#parts, [...records, ...over]);
    } catch (error) {
      this.#over.unshift(...over);
      this.#parts.logger.warn({ error: (error as Error).message }, 'connections could not be recorded');
    }
  }
}

function fits({ id, environment, grant }: Inside, which: Which): boolean {
  return (
    (which.connection === undefined || which.connection === id) &&
    (which.environment === undefined || which.environment === environment) &&
    (which.customer === undefined || which.customer === grant.customer) &&
    // Logins by a key or a password are others'.
    which.fingerprint === undefined &&
    which.method === undefined
  );
}
