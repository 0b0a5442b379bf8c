/** Queries on files that were kept of deleted environments. They are rows of environments. */
import { sql } from 'kysely';
import type { InferResult } from 'kysely';
import type { Session } from '../database/database.ts';

const kept = (session: Session) =>
  session
    .selectFrom('environments')
    .select(['id', 'name', 'customer_id', 'storage', 'storage_id', 'storage_kept_since'])
    .where('status', '=', 'deleted')
    .where('storage_kept_since', 'is not', null)
    .where('keep_storage', '=', true)
    .$narrowType<{ storage_kept_since: Date }>();

export type KeptRow = InferResult<ReturnType<typeof kept>>[number];

/** By id. */
export async function listKept(
  session: Session,
  options: {
    /** null: everybody's. */
    visibleTo: number | null;
    customerId: number | undefined;
    search: string | undefined;
    after: string | undefined;
    limit: number;
  },
): Promise<KeptRow[]> {
  const { visibleTo, customerId, search, after, limit } = options;
  let query = kept(session).orderBy('id').limit(limit);
  if (visibleTo !== null) query = query.where('customer_id', '=', visibleTo);
  if (customerId !== undefined) query = query.where('customer_id', '=', customerId);
  if (search !== undefined)
    query = query.where(
      sql<boolean>`position(lower(${search}) in lower(name)) + position(lower(${search}) in id) > 0`,
    );
  if (after !== undefined) query = query.where('id', '>', after);
  return query.execute();
}

/** Locks the row, so that files are taken over or removed once. `customerId` null: whoever's. */
export async function lockKept(
  session: Session,
  id: string,
  customerId: number | null,
): Promise<KeptRow | undefined> {
  let query = kept(session).where('id', '=', id);
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.forUpdate().executeTakeFirst();
}

/** The environment that has taken over the files of another, which is deleted. */
export async function adopterOf(
  session: Session,
  id: string,
  customerId: number,
): Promise<string | undefined> {
  const row = await session
    .selectFrom('environments as e')
    .innerJoin('environments as was', 'was.storage_id', 'e.storage_id')
    .select('e.id')
    .where('was.id', '=', id)
    .where('was.customer_id', '=', customerId)
    .where('was.status', '=', 'deleted')
    .where('e.status', '<>', 'deleted')
    .executeTakeFirst();
  return row?.id;
}

/** The files are no longer the deleted environment's. */
export async function handOver(session: Session, id: string): Promise<void> {
  await session
    .updateTable('environments')
    .set({ storage_kept_since: null, keep_storage: false })
    .where('id', '=', id)
    .execute();
}

/** Has the reconciler remove the files. From now on nobody can take them over. @returns the new generation */
export async function drop(session: Session, id: string): Promise<number> {
  const row = await session
    .updateTable('environments')
    .set({
      keep_storage: false,
      generation: sql<number>`generation + 1`,
      due_at: sql<Date>`now()`,
      attempts: 0,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return row.generation;
}
