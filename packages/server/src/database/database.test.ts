/** What becomes of the server's work when PostgreSQL ends its connections. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { databases } from '../../../../test/harness/databases.ts';
import { openDatabase } from './database.ts';
import type { OpenDatabase } from './database.ts';

const postgres = databases.find(({ name }) => name === 'PostgreSQL');

describe('a connection that PostgreSQL ends', { skip: postgres?.skip ?? 'needs PostgreSQL' }, () => {
  let opened: OpenDatabase;
  before(async () => {
    const url = (await postgres?.create()) ?? null;
    opened = await openDatabase({ url, folder: '', logger: pino({ level: 'silent' }) });
  });
  after(() => opened?.close());

  test('between two statements of a transaction fails that transaction, and nothing else', async () => {
    const { database } = opened;
    const transaction = database.transaction().execute(async (session) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(session);
      await sql`select pg_terminate_backend(${rows[0]?.pid}, 10000)`.execute(database);
      // The end is read from the socket while no statement of ours waits for anything.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      await sql`select 1`.execute(session);
    });
    await assert.rejects(transaction);
    const { rows } = await sql<{ one: number }>`select 1 as one`.execute(database);
    assert.deepEqual(rows, [{ one: 1 }]);
  });
});
