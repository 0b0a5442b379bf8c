/** Queries on environments that are reached directly, and on the connections of their sshd. */
import { sql } from 'kysely';
import type { Insertable } from 'kysely';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow, Tables } from '../database/schema.ts';

/** `ids` null: all whose container runs and has its port itself. */
export async function directEnvironments(
  session: Session,
  ids: string[] | null,
): Promise<Pick<EnvironmentRow, 'id' | 'customer_id'>[]> {
  let query = session
    .selectFrom('environments')
    .select(['id', 'customer_id'])
    .where('status', '=', 'running')
    .where('running_exposure', '=', 'direct');
  if (ids !== null) query = query.where(sql<boolean>`id = any(${sql.val(ids)}::text[])`);
  return query.execute();
}

/** Connections of an environment's sshd that are not known to be over; `id` null: of all. */
export async function openConnections(
  session: Session,
  id: string | null,
): Promise<
  { id: string; env_id: string; source: string; source_port: number; bytes_in: number; bytes_out: number }[]
> {
  let query = session
    .selectFrom('connections')
    .select(['id', 'env_id', 'source', 'source_port', 'bytes_in', 'bytes_out'])
    .where('gateway', 'is', null)
    .where('ended_at', 'is', null);
  if (id !== null) query = query.where('env_id', '=', id);
  return query.execute();
}

export async function writeNumbers(
  session: Session,
  numbers: { id: string; bytesIn: number; bytesOut: number }[],
): Promise<void> {
  if (numbers.length === 0) return;
  await sql`
    update connections set bytes_in = given.bytes_in, bytes_out = given.bytes_out, seen_at = clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(
      numbers.map(({ id, bytesIn, bytesOut }) => ({ id, bytes_in: bytesIn, bytes_out: bytesOut })),
    )}::jsonb) as given (id text, bytes_in bigint, bytes_out bigint)
    where connections.id = given.id`.execute(session);
}

export async function endConnections(session: Session, ids: string[], reason: string): Promise<void> {
  if (ids.length === 0) return;
  await session
    .updateTable('connections')
    .set({ ended_at: sql<Date>`clock_timestamp()`, end_reason: reason, open_channels: 0 })
    .where('id', 'in', ids)
    .where('ended_at', 'is', null)
    .execute();
}

export async function insertConnection(
  session: Session,
  row: Insertable<Tables['connections']>,
): Promise<void> {
  await session.insertInto('connections').values(row).execute();
}
