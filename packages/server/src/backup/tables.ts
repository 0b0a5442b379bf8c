/** What a backup holds, in an order in which rows can be put in: what is referred to comes first. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { Tables } from '../database/schema.ts';

export const backedUpTables = [
  'installation',
  'customers',
  'quotas',
  'accounts',
  'tokens',
  'device_logins',
  'images',
  'datasets',
  'environments',
  'port_mappings',
  'ssh_credentials',
  'ssh_keys',
  'environment_events',
  'repeatable_requests',
  'audit',
  'login_names',
  'gateway_host_keys',
  'allowlist_entries',
  'ssh_authorities',
  'ssh_revocations',
  'login_failures',
  'lockouts',
  'bans',
  'gateways',
  'connections',
  'audit_seals',
] as const satisfies (keyof Tables)[];

const rowsAtOnce = 500;

/**
 * Each row as the database's own JSON text, in pieces: to the microsecond, and without this program taking the values
 * apart. Only inside a transaction.
 */
export async function* rowsAsJson(session: Session, table: string): AsyncGenerator<string[]> {
  const select = sql`select to_json(t)::text as row from ${sql.table(table)} t`;
  await sql`declare backup_rows no scroll cursor for ${select}`.execute(session);
  for (;;) {
    const { rows } = await sql<{ row: string }>`fetch ${sql.lit(rowsAtOnce)} from backup_rows`.execute(
      session,
    );
    if (rows.length === 0) break;
    yield rows.map(({ row }) => row);
  }
  await sql`close backup_rows`.execute(session);
}

/** @param rows JSON texts as `rowsAsJson` gave them */
export async function insertJson(session: Session, table: string, rows: string[]): Promise<void> {
  await sql`insert into ${sql.table(table)}
    select * from json_populate_recordset(null::${sql.table(table)}, ${`[${rows.join(',')}]`}::json)`.execute(
    session,
  );
}

/** Nobody else reads or writes until the transaction ends; then the tables are gone, and with them what they held. */
export async function dropTables(session: Session): Promise<void> {
  const all = sql.join(backedUpTables.map((table) => sql.table(table)));
  await sql`set local lock_timeout = '30s'`.execute(session);
  await sql`lock table ${all} in access exclusive mode`.execute(session);
  await sql`drop table ${all} cascade`.execute(session);
  await sql`delete from migrations`.execute(session);
}

/** Ids go on after the greatest there is. */
export async function setSequences(session: Session): Promise<void> {
  const { rows } = await sql<{ table_name: string; column_name: string }>`
    select table_name, column_name from information_schema.columns
    where table_schema = current_schema() and is_identity = 'YES'`.execute(session);
  for (const { table_name, column_name } of rows) {
    await sql`select setval(pg_get_serial_sequence(${table_name}, ${column_name}),
      (select coalesce(max(${sql.ref(column_name)}), 0) + 1 from ${sql.table(table_name)}), false)`.execute(
      session,
    );
  }
}

/** Environments, and files that are kept for one. */
export async function countEnvironments(session: Session): Promise<number> {
  const { count } = await session
    .selectFrom('environments')
    .select((e) => e.fn.countAll<number>().as('count'))
    .where((e) => e.or([e('status', '<>', 'deleted'), e('storage_kept_since', 'is not', null)]))
    .executeTakeFirstOrThrow();
  return count;
}

/**
 * What the server at the time of the backup was working on is this server's when it starts; until then nobody takes
 * it, also no other server that has not heard yet which installation it is now.
 */
export async function leaseAll(session: Session, owner: string): Promise<void> {
  await session
    .updateTable('environments')
    .set({ lease_owner: owner, lease_until: sql<Date>`clock_timestamp() + interval '30 seconds'` })
    .where('status', '<>', 'deleted')
    .execute();
}
