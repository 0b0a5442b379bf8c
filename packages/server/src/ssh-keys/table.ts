/** Queries on public keys. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { SshKeyRow } from '../database/schema.ts';

/** By id; `page` null: all of them. */
export async function listKeys(
  session: Session,
  customerId: number,
  page: { after: number; limit: number } | null = null,
): Promise<SshKeyRow[]> {
  const query = session
    .selectFrom('ssh_keys')
    .selectAll()
    .where('customer_id', '=', customerId)
    .orderBy('id');
  return page === null
    ? query.execute()
    : query
        .where(sql<boolean>`id > ${page.after}::bigint`)
        .limit(page.limit)
        .execute();
}

export async function insertKey(
  session: Session,
  key: Omit<SshKeyRow, 'id' | 'created_at' | 'last_used_at'>,
): Promise<SshKeyRow | undefined> {
  return session
    .insertInto('ssh_keys')
    .values(key)
    .onConflict((conflict) => conflict.columns(['customer_id', 'fingerprint']).doNothing())
    .returningAll()
    .executeTakeFirst();
}

/** `customerId` null: whoever's. */
export async function deleteKey(
  session: Session,
  customerId: number | null,
  id: number,
): Promise<SshKeyRow | undefined> {
  let query = session.deleteFrom('ssh_keys').where('id', '=', id);
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.returningAll().executeTakeFirst();
}

/** Each key at its last use. One that was used less than `restMs` before stays as it is. */
export async function markKeysUsed(
  session: Session,
  uses: { customer_id: number; fingerprint: string; at: string }[],
  restMs: number,
): Promise<void> {
  if (uses.length === 0) return;
  await sql`
    update ssh_keys k set last_used_at = u.at
    from (select customer_id, fingerprint, least(max(at), clock_timestamp()) as at
      from json_to_recordset(${JSON.stringify(uses)}::json)
        as r(customer_id integer, fingerprint text, at timestamptz)
      group by customer_id, fingerprint) u
    where k.customer_id = u.customer_id and k.fingerprint = u.fingerprint
      and (k.last_used_at is null
        or k.last_used_at < u.at - make_interval(secs => ${restMs / 1000}::double precision))`.execute(
    session,
  );
}
