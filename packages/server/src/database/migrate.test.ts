import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { notify, openDatabase } from './database.ts';
import type { OpenDatabase } from './database.ts';
import { migrate } from './migrate.ts';

const logger = pino({ level: 'silent' });

for (const on of databases) {
  describe(`a database on ${on.name}`, { skip: on.skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-migrate-'));
    let url: string | null;
    let opened: OpenDatabase;
    before(async () => {
      url = await on.create();
      opened = await openDatabase({ url, folder: join(folder, 'database'), logger });
    });
    after(async () => {
      await opened.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test('is made from nothing, once', async () => {
      const made = await migrate(opened.database);
      assert.ok(made.length > 0);
      assert.deepEqual(await migrate(opened.database), []);
      const { rows } = await sql<{ name: string }>`select name from migrations order by name`.execute(
        opened.database,
      );
      assert.deepEqual(
        rows.map(({ name }) => name),
        made,
      );
    });

    test('has its indexes arbitrate: no port twice, no two ports of one environment', async () => {
      const { database } = opened;
      const { id } = await database
        .insertInto('customers')
        .values({ name: 'indexes' })
        .returning('id')
        .executeTakeFirstOrThrow();
      await database.insertInto('images').values({ name: 'default', reference: 'x' }).execute();
      for (const environment of ['a-2222', 'b-2222']) {
        await database
          .insertInto('environments')
          .values({
            id: environment,
            customer_id: id,
            name: environment,
            image: 'default',
            cpu: 1,
            memory: 1,
            gpu: 0,
            storage: 1,
            exposure: 'direct',
            own_port: 'auto',
            sudo: true,
            username: 'developer',
            storage_id: environment,
            wanted: 'running',
            status: 'creating',
          })
          .execute();
      }
      const map = (env_id: string, external_port: number) =>
        database
          .insertInto('port_mappings')
          .values({ env_id, customer_id: id, external_port, status: 'active' })
          .execute();
      await map('a-2222', 30000);
      await assert.rejects(map('b-2222', 30000), { code: '23505' });
      await assert.rejects(map('a-2222', 30001), { code: '23505' });
    });

    test('numbers read as numbers, times as dates, lists as lists', async () => {
      const { rows } = await sql<{ big: unknown; at: unknown; list: unknown; count: unknown }>`
        select 9007199254740991::bigint as big, now() as at, '["a"]'::jsonb as list, count(*) as count from accounts
      `.execute(opened.database);
      assert.equal(rows[0]?.big, 9007199254740991);
      assert.ok(rows[0].at instanceof Date);
      assert.deepEqual(rows[0].list, ['a']);
      assert.equal(rows[0].count, 0);
    });

    test('tells its listeners when a transaction commits, and not when it does not', async () => {
      const heard: string[] = [];
      await opened.listen(
        (message) => heard.push(message),
        () => undefined,
      );
      const failed = opened.database.transaction().execute(async (transaction) => {
        await notify(transaction, 'rolled back');
        throw new Error('no');
      });
      await assert.rejects(failed, /no/);
      await opened.database.transaction().execute(async (transaction) => {
        await notify(transaction, 'committed');
        assert.deepEqual(heard, []);
      });
      await eventually(
        () => heard.length,
        (count) => count > 0,
      );
      assert.deepEqual(heard, ['committed']);
    });

    test('is vacuumed while it is used', async () => {
      await Promise.all([opened.maintain(), sql`select 1`.execute(opened.database), opened.maintain()]);
    });

    test('that a newer Berth has written is refused, with what to do', async () => {
      await sql`insert into migrations (name) values ('999-from-the-future')`.execute(opened.database);
      await assert.rejects(migrate(opened.database), {
        message:
          'the database was written by a newer Berth (it has 999-from-the-future). ' +
          'Start that version, or restore a backup made by this one.',
      });
      await sql`delete from migrations where name like '999%'`.execute(opened.database);
      assert.deepEqual(await migrate(opened.database), [], 'the lock was given back');
    });
  });
}

const postgres = databases.find(({ name }) => name === 'PostgreSQL');

describe('on PostgreSQL', { skip: postgres?.skip ?? 'no PostgreSQL' }, () => {
  test('servers that start at once migrate once', async () => {
    const url = (await postgres?.create()) ?? null;
    const servers = await Promise.all(
      Array.from({ length: 4 }, () => openDatabase({ url, folder: '', logger })),
    );
    const made = await Promise.all(servers.map(({ database }) => migrate(database)));
    assert.equal(made.filter((each) => each.length > 0).length, 1);
    for (const server of servers) await server.close();
  });

  test('a database that does not answer is said in a sentence without its password', async () => {
    await assert.rejects(
      openDatabase({ url: 'postgres://berth:geheim123@127.0.0.1:1/berth', folder: '', logger }),
      (error: Error) => {
        assert.match(error.message, /^the database at databaseUrl does not answer as needed: /);
        assert.doesNotMatch(error.message, /geheim123/);
        return true;
      },
    );
  });

  test('a listener whose connection is cut connects again and says that something may be missing', async () => {
    const url = (await postgres?.create()) ?? null;
    const opened = await openDatabase({ url, folder: '', logger });
    let gaps = 0;
    const heard: string[] = [];
    await opened.listen(
      (message) => heard.push(message),
      () => (gaps += 1),
    );
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and query like 'listen%'`.execute(
      opened.database,
    );
    await eventually(
      () => gaps,
      (count) => count === 1,
    );
    await notify(opened.database, 'after the gap');
    await eventually(
      () => heard,
      (messages) => messages.includes('after the gap'),
    );
    await opened.close();
  });
});
