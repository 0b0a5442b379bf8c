/**
 * Loaded into the server process by the crash tests (`node --import`): kills it right after a chosen operation.
 *
 * A boundary is a moment between two operations on what outlives the process: after an SQL statement, after a request
 * to Docker was sent and again when its answer arrived, after a change of a secret's file, after an HTTP answer left.
 * Each has a name and counts its occurrences, so that a statement of the reconciler's timer, which comes when it
 * comes, shifts no other boundary. The test arms it through the IPC channel; each boundary passed since then is a line
 * in the file BERTH_TEST_BOUNDARIES. Requests with the header `watchHeader` are the test's own looks and count nothing.
 *
 * With BERTH_TEST_KILL_AT (an `At` as JSON) it is armed from the start of the process.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import fs from 'node:fs';
import http from 'node:http';
import { flushCompileCache, syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';

const watchHeader = 'x-berth-test-watch';

export interface At {
  name: string;
  occurrence: number;
}

/** `at` null: only write down what is passed. */
export interface Arm {
  at: At | null;
}

const file = process.env['BERTH_TEST_BOUNDARIES'] ?? '/dev/null';
const watching = new AsyncLocalStorage<true>();
let armed: Arm | null = null; // Nothing is counted before.
let passed = new Map<string, number>();

const fromStart = process.env['BERTH_TEST_KILL_AT'];
if (fromStart !== undefined) armed = { at: JSON.parse(fromStart) as At | null };

process.on('message', (message: Arm) => {
  armed = message;
  passed = new Map();
  fs.writeFileSync(file, '');
  // Written at a process's end otherwise, which a killed one does not come to.
  flushCompileCache();
  process.send?.('armed');
});

function boundary(name: string): void {
  if (armed === null || watching.getStore()) return;
  const occurrence = (passed.get(name) ?? 0) + 1;
  passed.set(name, occurrence);
  fs.appendFileSync(file, `${JSON.stringify({ name, occurrence } satisfies At)}\n`);
  if (armed.at?.name === name && armed.at.occurrence === occurrence) process.kill(process.pid, 'SIGKILL');
}

// ---- The database ---------------------------------------------------------------------------------------------

function statement(text: string): string {
  return `sql ${text.replaceAll('"', '').replace(/\s+/g, ' ').trim().slice(0, 100)}`;
}

const { query: pgliteQuery } = PGlite.prototype;
PGlite.prototype.query = async function <T>(
  this: PGlite,
  ...input: Parameters<typeof pgliteQuery>
): ReturnType<typeof pgliteQuery<T>> {
  const result = await pgliteQuery.apply<PGlite, typeof input, ReturnType<typeof pgliteQuery<T>>>(
    this,
    input,
  );
  boundary(statement(input[0]));
  return result;
};

type Query = (this: pg.Client, text: unknown, values?: unknown) => Promise<unknown> | undefined;
const postgresQuery = pg.Client.prototype.query as unknown as Query;
const query: Query = function (text, values) {
  const result = postgresQuery.call(this, text, values);
  if (typeof text !== 'string' || result === undefined) return result;
  if (text.startsWith('commit')) {
    // Sent, and not known how it ended: PostgreSQL has it, the server has not heard.
    const { stream } = (this as unknown as { connection: { stream: NodeJS.WritableStream } }).connection;
    stream.write('', () => boundary(`sql ${text} sent`));
  }
  return result.then((answer) => {
    boundary(statement(text));
    return answer;
  });
};
pg.Client.prototype.query = query as unknown as typeof pg.Client.prototype.query;

// ---- Docker: the server's only HTTP requests ------------------------------------------------------------------

function call({ method, path }: http.ClientRequest): string {
  const place = (path.split('?')[0] ?? '')
    .replace(/^(\/(?:containers|networks|images))\/(?!create|json)[^/]+(\/json)?/, '$1/ID$2')
    .replace(/^(\/volumes)\/(?!create)[^/]*?([^-/]+)$/, '$1/ID-$2');
  return `docker ${method} ${place}`;
}

subscribe('http.client.request.start', (message) => {
  const { request } = message as { request: http.ClientRequest };
  request.once('finish', () => boundary(`${call(request)} sent`));
});
subscribe('http.client.response.finish', (message) => {
  const { request } = message as { request: http.ClientRequest };
  boundary(`${call(request)} answered`);
});

// ---- Files of secrets -----------------------------------------------------------------------------------------

const change = fs.promises as unknown as Record<string, (...input: unknown[]) => Promise<unknown>>;
for (const name of ['mkdir', 'writeFile', 'rename', 'rm']) {
  const original = change[name];
  if (!original) throw new Error(`node:fs/promises has no ${name}`);
  change[name] = async (...input) => {
    const result = await original(...input);
    const path = String(input[name === 'rename' ? 1 : 0]);
    if (path.includes('/environments/')) {
      boundary(`file ${name} ${/\/environments\/[^/]+$/.test(path) ? 'the folder' : basename(path)}`);
    }
    return result;
  };
}
syncBuiltinESMExports();

// ---- Requests to the server -----------------------------------------------------------------------------------

type Emit = (this: http.Server, event: string, ...input: unknown[]) => boolean;
const emit = http.Server.prototype.emit as Emit;
http.Server.prototype.emit = function (this: http.Server, event: string, ...input: unknown[]): boolean {
  if (event !== 'request') return emit.call(this, event, ...input);
  const [request, answer] = input as [http.IncomingMessage, http.ServerResponse];
  if (request.headers[watchHeader] !== undefined) {
    return watching.run(true, () => emit.call(this, event, ...input));
  }
  answer.once('finish', () => boundary(`answer to ${request.method} sent`));
  return emit.call(this, event, ...input);
} as typeof http.Server.prototype.emit;
