/** Queries on authorities and on what they have revoked. */
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import type { Session } from '../database/database.ts';
import type { Tables } from '../database/schema.ts';

export type SshAuthorityRow = Selectable<Tables['ssh_authorities']>;
export type SshRevocationsRow = Selectable<Tables['ssh_revocations']>;

/** By id. */
export async function listAuthorities(
  session: Session,
  customerId: number,
  { after, limit }: { after: number; limit: number },
): Promise<SshAuthorityRow[]> {
  return session
    .selectFrom('ssh_authorities')
    .selectAll()
    .where('customer_id', '=', customerId)
    .where(sql<boolean>`id > ${after}::bigint`)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** @returns undefined when the customer has it already */
export async function insertAuthority(
  session: Session,
  authority: Omit<SshAuthorityRow, 'id' | 'created_at'>,
): Promise<SshAuthorityRow | undefined> {
  return session
    .insertInto('ssh_authorities')
    .values(authority)
    .onConflict((conflict) => conflict.columns(['customer_id', 'fingerprint']).doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** `customerId` null: whoever's. */
export async function deleteAuthority(
  session: Session,
  customerId: number | null,
  id: number,
): Promise<SshAuthorityRow | undefined> {
  let query = session.deleteFrom('ssh_authorities').where('id', '=', id);
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.returningAll().executeTakeFirst();
}

export async function findRevocations(
  session: Session,
  customerId: number,
): Promise<SshRevocationsRow | undefined> {
  return session
    .selectFrom('ssh_revocations')
    .selectAll()
    .where('customer_id', '=', customerId)
    .executeTakeFirst();
}

export async function upsertRevocations(
  session: Session,
  customerId: number,
  list: Buffer,
): Promise<SshRevocationsRow> {
  const updated = { list, updated_at: sql<Date>`clock_timestamp()` };
  return session
    .insertInto('ssh_revocations')
    .values({ customer_id: customerId, ...updated })
    .onConflict((conflict) => conflict.column('customer_id').doUpdateSet(updated))
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** @returns false when there are none */
export async function deleteRevocations(session: Session, customerId: number): Promise<boolean> {
  const { numDeletedRows } = await session
    .deleteFrom('ssh_revocations')
    .where('customer_id', '=', customerId)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** When their customer goes. */
export async function deleteAllOf(session: Session, customerId: number): Promise<void> {
  await session.deleteFrom('ssh_authorities').where('customer_id', '=', customerId).execute();
  await deleteRevocations(session, customerId);
}
