/**
 * Migrations: run on start, in order, each in a transaction of its own, once also when several servers start.
 *
 * A database that a newer Berth has migrated is refused, since what this program would write to it may be wrong.
 */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import * as firstLine from './migrations/001-first-line.ts';
import * as peopleAndCatalogues from './migrations/002-people-and-catalogues.ts';
import * as gateway from './migrations/003-gateway.ts';
import type { Session } from './database.ts';
import type { Tables } from './schema.ts';

const migrations: { name: string; up(session: Session): Promise<void> }[] = [
  { name: '001-first-line', up: firstLine.up },
  { name: '002-people-and-catalogues', up: peopleAndCatalogues.up },
  { name: '003-gateway', up: gateway.up },
];

export const knownMigrations = migrations.map(({ name }) => name);

/** Any number: names the lock among servers that migrate. */
const migrationLock = 7_203_551;

/** @throws Error when the database knows a migration that this program does not */
export async function migrate(database: Kysely<Tables>): Promise<string[]> {
  return database.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${migrationLock})`.execute(connection);
    try {
      await sql`create table if not exists migrations (
        name text primary key, at timestamptz not null default now()
      )`.execute(connection);
      const done = await sql<{ name: string }>`select name from migrations order by name`.execute(connection);
      const names = done.rows.map(({ name }) => name);
      const newer = names.filter((name) => !knownMigrations.includes(name));
      if (newer.length > 0) {
        throw new Error(
          `the database was written by a newer Berth (it has ${newer.join(', ')}). Start that version, or restore a backup made by this one.`,
        );
      }
      const pending = knownMigrations.filter((name) => !names.includes(name));
      for (const name of pending) {
        await connection.transaction().execute((transaction) => runMigrations(transaction, [name]));
      }
      return pending;
    } finally {
      await sql`select pg_advisory_unlock(${migrationLock})`.execute(connection);
    }
  });
}

/** Runs these in the transaction of the caller, and writes down that they were. */
export async function runMigrations(session: Session, names: readonly string[]): Promise<void> {
  for (const { name, up } of migrations.filter((each) => names.includes(each.name))) {
    await up(session);
    await sql`insert into migrations (name) values (${name})`.execute(session);
  }
}
