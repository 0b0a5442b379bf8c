/**
 * The database: PGlite in the data folder, or PostgreSQL by URL, behind one Kysely dialect.
 *
 * PGlite is PostgreSQL with one session, so its connection is handed from holder to holder; whoever holds it in a
 * transaction keeps it until the end. It has no autovacuum: `maintain` does that work.
 */
import { PGlite, types as pgliteTypes } from '@electric-sql/pglite';
import { Kysely, PostgresDialect, sql } from 'kysely';
import type { LogEvent, PostgresPool, PostgresPoolClient, Transaction } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';
import { makeEmbedded } from './make-embedded.ts';
import type { Tables } from './schema.ts';

export type Database = Kysely<Tables>;
/** What a query runs on: the database, or a transaction in it. */
export type Session = Kysely<Tables> | Transaction<Tables>;

/** Connections by what they do; the embedded database has one. */
export interface PoolUse {
  busy: number;
  idle: number;
  waiting: number;
}

export interface OpenDatabase {
  kind: 'PGlite' | 'PostgreSQL';
  database: Database;
  /** Calls back for each notification of `notify`; `onReconnect` when some may have been missed. */
  listen(onMessage: (message: string) => void, onReconnect: () => void): Promise<void>;
  /** The embedded database's vacuum; PostgreSQL does that by itself. */
  maintain(): Promise<void>;
  poolUse(): PoolUse;
  /** How many queries were run since it was opened. */
  queriesRun(): number;
  close(): Promise<void>;
}

const channel = 'berth';

/** Pages that PGlite keeps in memory; its own 160 MB are more than a whole database of Berth's has. */
const embeddedBuffers = '32MB';

/**
 * What a page out of order costs beside one in order, PostgreSQL's word for whether indexes are worth their while: all
 * is in memory. With the usual 4, a page of a long list is sorted out of all rows until the first `maintain`.
 */
const embeddedPageCost = '1.1';

/** Sent when the transaction commits, to every server on this database. At most 8000 bytes. */
export async function notify(session: Session, message: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${message})`.execute(session);
}

/** Whether a query failed since a unique index has the value already. */
export function isTaken(error: unknown): boolean {
  return (error as { code?: string }).code === '23505';
}

/** @throws Error with a sentence for people when PostgreSQL does not answer */
export async function openDatabase(options: {
  url: string | null;
  folder: string;
  logger: Logger;
}): Promise<OpenDatabase> {
  return options.url === null ? openPGlite(options.folder) : openPostgres(options.url, options.logger);
}

async function openPGlite(folder: string): Promise<OpenDatabase> {
  await makeEmbedded(folder);
  const engine = await PGlite.create({
    dataDir: folder,
    parsers: { [pgliteTypes.INT8]: Number },
    startParams: [
      ...PGlite.defaultStartParams,
      ...['-c', `shared_buffers=${embeddedBuffers}`],
      ...['-c', `random_page_cost=${embeddedPageCost}`],
    ],
  });
  const pool = new SingleSessionPool(engine);
  let queries = 0;
  const database = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    log: () => {
      queries += 1;
    },
  });
  return {
    kind: 'PGlite',
    database,
    async listen(onMessage) {
      await engine.listen(channel, onMessage);
    },
    async maintain() {
      for (const table of [
        'environments',
        'environment_events',
        'port_mappings',
        'tokens',
        'ssh_credentials',
        'repeatable_requests',
        'ssh_keys',
        'device_logins',
        'audit',
        'connections',
        'gateways',
        'login_failures',
      ]) {
        await sql`vacuum (analyze) ${sql.table(table)}`.execute(database);
      }
    },
    poolUse: () => pool.use,
    queriesRun: () => queries,
    close: () => database.destroy(),
  };
}

/** Lets one holder at a time use PGlite's session, first come first served. */
class SingleSessionPool implements PostgresPool {
  readonly options = {};
  readonly #engine: PGlite;
  #turn: Promise<void> = Promise.resolve();
  #holders = 0;

  constructor(engine: PGlite) {
    this.#engine = engine;
  }

  async connect(): Promise<PostgresPoolClient> {
    const before = this.#turn;
    let release!: () => void;
    this.#turn = new Promise((resolve) => (release = resolve));
    this.#holders += 1;
    await before;
    const engine = this.#engine;
    return {
      query: async (text: string, parameters: readonly unknown[] = []) => {
        const result = await engine.query(text, [...parameters]);
        return {
          command: /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? '',
          rowCount: result.affectedRows ?? result.rows.length,
          rows: result.rows,
        };
      },
      release: () => {
        this.#holders -= 1;
        release();
      },
    } as unknown as PostgresPoolClient;
  }

  get use(): PoolUse {
    const busy = Math.min(this.#holders, 1);
    return { busy, idle: 1 - busy, waiting: this.#holders - busy };
  }

  async end(): Promise<void> {
    await this.#turn;
    await this.#engine.close();
  }
}

async function openPostgres(url: string, logger: Logger): Promise<OpenDatabase> {
  const config = { connectionString: url, application_name: 'berth', connectionTimeoutMillis: 10_000 };
  const pool = new pg.Pool({ ...config, max: 10, types: postgresTypes });
  const lose = (error: Error) => logger.warn({ error: error.message }, 'a database connection was lost');
  pool.on('error', lose);
  // One that is lost in the middle of a transaction, between two statements, tells nobody else.
  pool.on('connect', (client) => client.on('error', lose));
  let queries = 0;
  const database = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    log: (event: LogEvent) => {
      queries += 1;
      if (event.level === 'error')
        logger.debug({ sql: event.query.sql, error: String(event.error) }, 'a query failed');
    },
  });
  try {
    const version = await sql<{ server_version_num: string }>`show server_version_num`.execute(database);
    const number = Number(version.rows[0]?.server_version_num);
    if (number < 150_000)
      throw new Error(`it is version ${Math.floor(number / 10_000)}; Berth needs 15 or later`);
  } catch (error) {
    await database.destroy();
    throw new Error(`the database at databaseUrl does not answer as needed: ${(error as Error).message}`, {
      cause: error,
    });
  }

  let closing = false;
  let listener: pg.Client | null = null;
  const connectListener = async (
    onMessage: (message: string) => void,
    onReconnect: () => void,
  ): Promise<void> => {
    const client = new pg.Client(config);
    client.on('notification', ({ payload }) => onMessage(payload ?? ''));
    const lost = () => {
      if (closing || listener !== client) return;
      listener = null;
      const again = () => {
        if (closing) return;
        connectListener(onMessage, onReconnect).then(onReconnect, () => setTimeout(again, 1000).unref());
      };
      again();
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    await client.query(`listen ${channel}`);
    listener = client;
  };

  return {
    kind: 'PostgreSQL',
    database,
    listen: connectListener,
    maintain: () => Promise.resolve(),
    poolUse: () => ({
      busy: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    queriesRun: () => queries,
    async close() {
      closing = true;
      await listener?.end();
      await database.destroy();
    },
  };
}

/** bigint columns are counters here, far below 2^53. */
const postgresTypes: pg.CustomTypesConfig = {
  getTypeParser: (id: number, format?: 'text' | 'binary') =>
    id === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(id, format as 'text'),
};
