/** Queries on allowlists. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { AllowlistEntryRow } from '../database/schema.ts';

/** By id. `customerId` null: whoever's; `envId` undefined: of the customer and of all of its environments. */
export async function listEntries(
  session: Session,
  options: {
    customerId: number | null;
    /** What holds for this environment: its own, and its customer's. */
    envId: string | undefined;
    after: number;
    limit: number;
  },
): Promise<AllowlistEntryRow[]> {
  const { customerId, envId, after, limit } = options;
  let query = session
    .selectFrom('allowlist_entries as a')
    .selectAll('a')
    .where('a.id', '>', sql<number>`${after}::bigint`)
    .orderBy('a.id')
    .limit(limit);
  if (customerId !== null) query = query.where('a.customer_id', '=', customerId);
  if (envId !== undefined) {
    query = query.where((e) =>
      e.or([
        e('a.env_id', '=', envId),
        e.and([
          e('a.env_id', 'is', null),
          e(
            'a.customer_id',
            'in',
            e.selectFrom('environments').select('customer_id').where('id', '=', envId),
          ),
        ]),
      ]),
    );
  }
  return query.execute();
}

/** The networks that decide: the customer's, and with an environment its own too. */
export async function networksFor(
  session: Session,
  customerId: number,
  envId: string | null,
): Promise<string[]> {
  const rows = await session
    .selectFrom('allowlist_entries')
    .select('network')
    .distinct()
    .where('customer_id', '=', customerId)
    .where((e) => e.or([e('env_id', 'is', null), e('env_id', '=', envId)]))
    .orderBy('network')
    .execute();
  return rows.map(({ network }) => network);
}

/** How many entries the environment has, or the customer in all. */
export async function countEntries(
  session: Session,
  of: { customerId: number } | { envId: string },
): Promise<number> {
  const query = session.selectFrom('allowlist_entries').select((e) => e.fn.countAll<number>().as('count'));
  const { count } = await (
    'envId' in of ? query.where('env_id', '=', of.envId) : query.where('customer_id', '=', of.customerId)
  ).executeTakeFirstOrThrow();
  return Number(count);
}

/** @returns undefined when the list has the network already */
export async function insertEntry(
  session: Session,
  entry: Pick<AllowlistEntryRow, 'customer_id' | 'env_id' | 'network' | 'note'>,
): Promise<AllowlistEntryRow | undefined> {
  return session
    .insertInto('allowlist_entries')
    .values(entry)
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** `customerId` null: whoever's. */
export async function deleteEntry(
  session: Session,
  customerId: number | null,
  id: number,
): Promise<AllowlistEntryRow | undefined> {
  let query = session.deleteFrom('allowlist_entries').where('id', '=', id);
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.returningAll().executeTakeFirst();
}

/** With the customer, or with the environment, that they are of. */
export async function deleteEntriesOf(
  session: Session,
  of: { customerId: number } | { envId: string },
): Promise<void> {
  const query = session.deleteFrom('allowlist_entries');
  await (
    'envId' in of ? query.where('env_id', '=', of.envId) : query.where('customer_id', '=', of.customerId)
  ).execute();
}
