/** Queries on environments, those of requests. The reconciler's are in reconciler/table.ts. */
import type { Status } from '@berth/contract';
import { sql } from 'kysely';
import type { Updateable } from 'kysely';
import { notify } from '../database/database.ts';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow, EnvironmentsTable, NewEnvironmentRow } from '../database/schema.ts';

/** A row with the port that is the environment's now, and the age of its password. */
export type EnvironmentWithPort = EnvironmentRow & {
  port: number | null;
  password_changed_at: Date | null;
  password_notice_at: Date | null;
};

const rows = (session: Session) =>
  session
    .selectFrom('environments as e')
    .leftJoin('port_mappings as p', (join) =>
      join.onRef('p.env_id', '=', 'e.id').on('p.status', '=', 'active'),
    )
    .leftJoin('ssh_credentials as c', 'c.env_id', 'e.id')
    .selectAll('e')
    .select(['p.external_port as port', 'c.password_changed_at', 'c.password_notice_at'])
    .where('e.status', '<>', 'deleted');

/** `customerId` null: whoever's. */
export async function findEnvironment(
  session: Session,
  id: string,
  customerId: number | null,
): Promise<EnvironmentWithPort | undefined> {
  let query = rows(session).where('e.id', '=', id);
  if (customerId !== null) query = query.where('e.customer_id', '=', customerId);
  return query.executeTakeFirst();
}

/** Locks the row, so that requests and the reconciler decide one after the other. */
export async function lockEnvironment(
  session: Session,
  id: string,
  customerId: number | null,
): Promise<EnvironmentRow | undefined> {
  let query = session
    .selectFrom('environments')
    .selectAll()
    .where('id', '=', id)
    .where('status', '<>', 'deleted');
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.forUpdate().executeTakeFirst();
}

export async function listEnvironments(
  session: Session,
  options: {
    customerId: number | null;
    name: string | undefined;
    status: Status | undefined;
    /** Position of the last row of the page before: its time of creation in microseconds, and its id. */
    after: { createdAt: string; id: string } | undefined;
    limit: number;
  },
): Promise<(EnvironmentWithPort & { created_micros: string })[]> {
  let query = rows(session)
    .select(sql<string>`(extract(epoch from e.created_at) * 1000000)::bigint::text`.as('created_micros'))
    .orderBy('e.created_at', 'desc')
    .orderBy('e.id', 'desc')
    .limit(options.limit);
  if (options.customerId !== null) query = query.where('e.customer_id', '=', options.customerId);
  if (options.status !== undefined) query = query.where('e.status', '=', options.status);
  if (options.name !== undefined) {
    const name = options.name;
    query = query.where((e) => e.or([e('e.name', '=', name), e('e.id', '=', name)]));
  }
  if (options.after !== undefined) {
    const { createdAt, id } = options.after;
    query = query.where(
      sql<boolean>`(e.created_at, e.id) < (timestamptz 'epoch' + ${createdAt}::bigint * interval '1 microsecond', ${id})`,
    );
  }
  return query.execute();
}

export async function insertEnvironment(session: Session, row: NewEnvironmentRow): Promise<void> {
  await session
    .insertInto('environments')
    .values({ ...row, due_at: sql<Date>`now()` })
    .execute();
}

export async function idExists(session: Session, id: string): Promise<boolean> {
  return (
    (await session.selectFrom('environments').select('id').where('id', '=', id).executeTakeFirst()) !==
    undefined
  );
}

/** Writes down what is wanted from now on, and wakes the reconciler. @returns the new generation */
export async function request(
  session: Session,
  id: string,
  change: Updateable<EnvironmentsTable>,
): Promise<number> {
  const row = await session
    .updateTable('environments')
    .set({
      ...change,
      ...(change.status === undefined ? {} : { status_since: sql<Date>`clock_timestamp()`, step: null }),
      generation: sql<number>`generation + 1`,
      due_at: sql<Date>`now()`,
      attempts: 0,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return row.generation;
}

/** Has the files of credentials written again for each environment of the customer that runs or is about to. */
export async function renewSecrets(session: Session, customerId: number): Promise<void> {
  const changed = await session
    .updateTable('environments')
    .set({ generation: sql<number>`generation + 1`, due_at: sql<Date>`now()` })
    .where('customer_id', '=', customerId)
    .where('wanted', '=', 'running')
    .where('status', '<>', 'failed')
    .returning(['id', 'generation'])
    .execute();
  for (const { id, generation } of changed) await notify(session, JSON.stringify({ id, generation }));
}
