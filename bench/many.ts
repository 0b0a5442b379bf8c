/**
 * What 10,000 environments cost: a page of the list, the server at rest, and 100 requests a second of reading and
 * writing, on each database. The floor is the same server with 100 environments, in the same run.
 *
 * The environments are stopped: rows as a year of use leaves them, with nothing in the runtime, since one machine
 * cannot run so many containers.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract';
import { generateHostKey } from '@berth/ssh';
import { sql } from 'kysely';
import { pino } from 'pino';
import { openDatabase } from '../packages/server/src/database/database.ts';
import { TestBerth } from '../test/harness/berth.ts';
import { startPostgres } from '../test/harness/postgres.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const few = 100;
const many = 10_000;
const restSeconds = 60;
const mixedSeconds = 60;
const requestsPerSecond = 100;

export async function manyEnvironments(): Promise<Figure[]> {
  const postgres = await startPostgres();
  try {
    const figures = await measure('PGlite', null);
    if (postgres === null) progress('PostgreSQL is not installed; only the embedded database was measured');
    else figures.push(...(await measure('PostgreSQL', postgres.url)));
    return figures;
  } finally {
    await postgres?.stop();
  }
}

async function measure(kind: string, databaseUrl: string | null): Promise<Figure[]> {
  const berth = await TestBerth.start({ databaseUrl, settings: { BERTH_LOG_LEVEL: 'warn' } });
  try {
    const seed = async (first: number, last: number) => {
      await berth.kill('SIGTERM');
      await insertStopped(databaseUrl, join(berth.dataDir, 'database'), first, last);
      await berth.up();
    };
    await seed(1, few);
    const listFew = await timeList(berth, kind, few);
    const restFew = await atRest(berth);
    await seed(few + 1, many);
    const listMany = await timeList(berth, kind, many);
    const restMany = await atRest(berth);
    const mixed = await mixedLoad(berth, kind);
    const figures: Figure[] = [
      { name: `${kind}: a page of ${few} environments, p50`, value: quantile(listFew, 0.5), unit: 'ms' },
      { name: `${kind}: a page of ${few} environments, p99`, value: quantile(listFew, 0.99), unit: 'ms' },
      { name: `${kind}: a page of ${many}, p50`, value: quantile(listMany, 0.5), unit: 'ms' },
      {
        name: `${kind}: a page of ${many}, p99`,
        value: quantile(listMany, 0.99),
        unit: 'ms',
        target: '<= 20',
      },
      {
        name: `${kind}: ratio of the p50, ${many} to ${few}`,
        value: quantile(listMany, 0.5) / quantile(listFew, 0.5),
        unit: 'x',
      },
      { name: `${kind}: CPU at rest a minute, ${few}`, value: restFew.cpuMs, unit: 'ms' },
      { name: `${kind}: CPU at rest a minute, ${many}`, value: restMany.cpuMs, unit: 'ms' },
    ];
    figures.push(
      { name: `${kind}: queries at rest a minute, ${few}`, value: restFew.queries, unit: '' },
      { name: `${kind}: queries at rest a minute, ${many}`, value: restMany.queries, unit: '' },
    );
    figures.push(
      { name: `${kind}: requests in ${mixedSeconds} s`, value: mixed.answered, unit: '' },
      { name: `${kind}: errors among them`, value: mixed.errors, unit: '', target: '0' },
      { name: `${kind}: under that load, p50`, value: quantile(mixed.tookMs, 0.5), unit: 'ms' },
      { name: `${kind}: under that load, p99`, value: quantile(mixed.tookMs, 0.99), unit: 'ms' },
    );
    return figures;
  } finally {
    await berth.remove();
  }
}

/** Every third has a port, as far as the range goes; credentials are those of the first, whom nobody asks for them. */
async function insertStopped(url: string | null, folder: string, first: number, last: number): Promise<void> {
  const opened = await openDatabase({ url, folder, logger: pino({ level: 'silent' }) });
  try {
    const { database } = opened;
    const hostKey = generateHostKey();
    await sql`
      insert into environments (id, customer_id, name, image, cpu, memory, gpu, storage, exposure, own_port, sudo,
        username, wanted, status, created_at, status_since, first_started_at, started_at, storage_id)
      select 'bench-' || n, 1, 'Bench ' || n, 'default', 2, 4, 0, 20, 'direct', 'auto', true,
        'developer', 'stopped', 'stopped', now() - n * interval '1 minute', now(), now(), now(), 'bench-' || n
      from generate_series(${first}::integer, ${last}::integer) n`.execute(database);
    await sql`
      insert into ssh_credentials (env_id, password, password_hash, host_key, host_key_public)
      select 'bench-' || n, '', '', '', ${hostKey.publicLine}
      from generate_series(${first}::integer, ${last}::integer) n`.execute(database);
    await sql`
      insert into port_mappings (env_id, customer_id, external_port, status)
      select 'bench-' || n, 1, 40000 + n / 3, 'active'
      from generate_series(${first}::integer, ${last}::integer) n where n % 3 = 0`.execute(database);
    await sql`
      insert into environment_events (env_id, kind, message)
      select 'bench-' || n, 'note', 'Line ' || line
      from generate_series(${first}::integer, ${last}::integer) n, generate_series(1, 10) line`.execute(
      database,
    );
    await opened.maintain();
    if (url !== null) await sql`vacuum (analyze)`.execute(database);
  } finally {
    await opened.close();
  }
}

/** A client with a connection of its own that it keeps, as a browser's or a program's is. */
class Client {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 20 });

  constructor(berth: TestBerth) {
    this.#socketPath = berth.socketPath;
  }

  /** @returns the status and how long the whole answer took */
  ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; tookMs: number; text: string }> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          socketPath: this.#socketPath,
          agent: this.#agent,
          method,
          path,
          headers:
            text === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, tookMs: performance.now() - began, text: answer }),
          );
        },
      );
      asked.once('error', reject);
      asked.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function timeList(berth: TestBerth, kind: string, count: number): Promise<number[]> {
  progress(`${kind}: pages of ${count} environments`);
  const client = new Client(berth);
  const tookMs: number[] = [];
  for (let turn = -100; turn < 1000; turn += 1) {
    const answer = await client.ask('GET', routes.environments);
    if (answer.status !== 200) throw new Error(`the list answered ${answer.status}: ${answer.text}`);
    if (turn >= 0) tookMs.push(answer.tookMs);
  }
  client.close();
  return tookMs;
}

async function atRest(berth: TestBerth): Promise<{ cpuMs: number; queries: number }> {
  progress(`resting ${restSeconds} s`);
  await pause(5000);
  const before = await countQueries(berth);
  const cpuBefore = cpuTicks(berth.pid);
  await pause(restSeconds * 1000);
  const cpuAfter = cpuTicks(berth.pid);
  const after = await countQueries(berth);
  return { cpuMs: (cpuAfter - cpuBefore) * 10, queries: after - before };
}

/** Asking runs a few queries itself, which are counted too. */
async function countQueries(berth: TestBerth): Promise<number> {
  const { body } = await berth.call<string>('GET', routes.metrics);
  return Number(/^berth_database_queries_total (\d+)$/m.exec(body)?.[1]);
}

/** User and system time in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** Requests begin at their times, whether or not earlier ones were answered. */
async function mixedLoad(
  berth: TestBerth,
  kind: string,
): Promise<{ answered: number; errors: number; tookMs: number[] }> {
  progress(`${kind}: ${requestsPerSecond} requests a second for ${mixedSeconds} s`);
  const client = new Client(berth);
  const tookMs: number[] = [];
  let errors = 0;
  const underway: Promise<void>[] = [];
  const fail = (what: string) => {
    errors += 1;
    progress(what);
  };
  const take = async (index: number) => {
    try {
      const { status, tookMs: ms, text } = await oneOfMany(client, index);
      tookMs.push(ms);
      if (status >= 400) fail(`${status}: ${text.slice(0, 200)}`);
    } catch (error) {
      fail((error as Error).message);
    }
  };
  const began = performance.now();
  for (let index = 0; index < requestsPerSecond * mixedSeconds; index += 1) {
    await pause(Math.max(0, began + (index * 1000) / requestsPerSecond - performance.now()));
    underway.push(take(index));
  }
  await Promise.all(underway);
  client.close();
  return { answered: tookMs.length, errors, tookMs };
}

/** Of twenty requests: twelve read lists, four one environment, two rename, one gives a new password, one adds a key. */
function oneOfMany(client: Client, index: number): ReturnType<Client['ask']> {
  // Each environment is written to by few requests, as it would be.
  const id = `bench-${((index * 7919) % many) + 1}`;
  const environment = pathOf(routes.environment, { id });
  switch (index % 20) {
    case 0:
    case 10:
      return client.ask('PATCH', environment, { name: `Renamed ${index}` });
    case 1:
      return client.ask('POST', pathOf(routes.environmentResetPassword, { id }));
    case 2:
      return client.ask('POST', routes.sshKeys, {
        name: `key ${index}`,
        public_key: generateHostKey().publicLine,
      });
    case 3:
    case 8:
    case 13:
      return client.ask('GET', environment);
    case 18:
      return client.ask('GET', pathOf(routes.environmentEvents, { id }));
    case 4:
    case 14:
      return client.ask('GET', `${routes.environments}?search=bench-${index % 97}`);
    case 5:
    case 15:
      return client.ask('GET', `${routes.environments}?status=stopped&sort=name`);
    case 6:
      return client.ask('GET', routes.quotas);
    case 7:
      return client.ask('GET', routes.ports);
    default:
      return client.ask('GET', routes.environments);
  }
}
