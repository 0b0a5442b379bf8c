/** Queries on public keys. */
import type { Session } from '../database/database.ts';
import type { SshKeyRow } from '../database/schema.ts';

export async function listKeys(session: Session, customerId: number): Promise<SshKeyRow[]> {
  return session
    .selectFrom('ssh_keys')
    .selectAll()
    .where('customer_id', '=', customerId)
    .orderBy('id')
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

export async function deleteKey(session: Session, customerId: number, id: number): Promise<boolean> {
  const row = await session
    .deleteFrom('ssh_keys')
    .where('id', '=', id)
    .where('customer_id', '=', customerId)
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}
