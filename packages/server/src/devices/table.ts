/** Queries on sign-ins of the command that wait for a browser. */
import type { Scope } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { DeviceLoginRow } from '../database/schema.ts';

/** Those that have expired go on this occasion. @returns false when the user code is in use */
export async function insertDevice(
  session: Session,
  device: {
    device_code_hash: Buffer;
    user_code: string;
    name: string;
    source: string | null;
    expires_at: Date;
  },
): Promise<boolean> {
  await session
    .deleteFrom('device_logins')
    .where('expires_at', '<', sql<Date>`now()`)
    .execute();
  const row = await session
    .insertInto('device_logins')
    .values(device)
    .onConflict((conflict) => conflict.column('user_code').doNothing())
    .returning('user_code')
    .executeTakeFirst();
  return row !== undefined;
}

/** Locks the row, so that of two questions one gets the token. */
export async function lockDevice(
  session: Session,
  hash: Buffer,
): Promise<(DeviceLoginRow & { asked_seconds_ago: number | null }) | undefined> {
  return session
    .selectFrom('device_logins')
    .selectAll()
    .select(
      sql<number | null>`extract(epoch from now() - asked_at)::double precision`.as('asked_seconds_ago'),
    )
    .where('device_code_hash', '=', hash)
    .where('expires_at', '>', sql<Date>`now()`)
    .forUpdate()
    .executeTakeFirst();
}

export async function noteAsked(session: Session, hash: Buffer): Promise<void> {
  await session
    .updateTable('device_logins')
    .set({ asked_at: sql<Date>`now()` })
    .where('device_code_hash', '=', hash)
    .execute();
}

export async function deleteDevice(session: Session, hash: Buffer): Promise<void> {
  await session.deleteFrom('device_logins').where('device_code_hash', '=', hash).execute();
}

/** One about which nobody has decided yet. */
export async function findUndecided(session: Session, userCode: string): Promise<DeviceLoginRow | undefined> {
  return session
    .selectFrom('device_logins')
    .selectAll()
    .where('user_code', '=', userCode)
    .where('account_id', 'is', null)
    .where('denied', '=', false)
    .where('expires_at', '>', sql<Date>`now()`)
    .executeTakeFirst();
}

/** @returns undefined when there is none about which nobody has decided yet */
export async function decide(
  session: Session,
  userCode: string,
  decision: { denied: true } | { account_id: number; scopes: Scope[] },
): Promise<DeviceLoginRow | undefined> {
  return session
    .updateTable('device_logins')
    .set(decision)
    .where('user_code', '=', userCode)
    .where('account_id', 'is', null)
    .where('denied', '=', false)
    .where('expires_at', '>', sql<Date>`now()`)
    .returningAll()
    .executeTakeFirst();
}
