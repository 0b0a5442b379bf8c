/** Queries on accounts. */
import type { Role } from '@berth/contract';
import { scopes } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { SshKeyRow } from '../database/schema.ts';
import { releaseLoginNames } from '../login-names/table.ts';
import type { Principal } from './principal.ts';

/** Who uses the socket in the data folder: the account "admin", or the oldest administrator where that is none. */
export async function firstAdministrator(session: Session): Promise<Principal | undefined> {
  const account = await principals(session)
    .where('accounts.role', '=', 'admin')
    .orderBy(sql`accounts.name = 'admin'`, 'desc')
    .orderBy('accounts.id')
    .limit(1)
    .executeTakeFirst();
  return account && { ...account, tokenId: null, scopes };
}

export async function principalOfAccount(session: Session, name: string): Promise<Principal | undefined> {
  const account = await principals(session).where('accounts.name', '=', name).executeTakeFirst();
  return account && { ...account, tokenId: null, scopes };
}

const principals = (session: Session) =>
  session
    .selectFrom('accounts')
    .innerJoin('customers', 'customers.id', 'accounts.customer_id')
    .select([
      'accounts.id as accountId',
      'accounts.name as account',
      'accounts.role as role',
      'accounts.customer_id as customerId',
      'customers.name as customer',
    ]);

export interface AccountView {
  id: number;
  name: string;
  role: Role;
  customer_id: number;
  customer: string;
  created_at: Date;
  last_login_at: Date | null;
  has_password: boolean;
}

const views = (session: Session) =>
  session
    .selectFrom('accounts')
    .innerJoin('customers', 'customers.id', 'accounts.customer_id')
    .select([
      'accounts.id',
      'accounts.name',
      'accounts.role',
      'accounts.customer_id',
      'customers.name as customer',
      'accounts.created_at',
      'accounts.last_login_at',
      sql<boolean>`accounts.password_hash is not null`.as('has_password'),
    ]);

export async function listAccounts(
  session: Session,
  options: {
    visibleTo: number | null;
    customerId: number | undefined;
    role: Role | undefined;
    search: string | undefined;
    after: number | undefined;
    limit: number;
  },
): Promise<AccountView[]> {
  let query = views(session).orderBy('accounts.id').limit(options.limit);
  if (options.visibleTo !== null) query = query.where('accounts.customer_id', '=', options.visibleTo);
  if (options.customerId !== undefined) query = query.where('accounts.customer_id', '=', options.customerId);
  if (options.role !== undefined) query = query.where('accounts.role', '=', options.role);
  if (options.search !== undefined)
    query = query.where(sql<boolean>`strpos(accounts.name, lower(${options.search})) > 0`);
  if (options.after !== undefined)
    query = query.where('accounts.id', '>', sql<number>`${options.after}::bigint`);
  return query.execute();
}

/** `visibleTo` null: whoever's. */
export async function findAccount(
  session: Session,
  id: number,
  visibleTo: number | null,
): Promise<AccountView | undefined> {
  let query = views(session).where('accounts.id', '=', id);
  if (visibleTo !== null) query = query.where('accounts.customer_id', '=', visibleTo);
  return query.executeTakeFirst();
}

export async function passwordOf(
  session: Session,
  name: string,
): Promise<{ id: number; customer_id: number; password_hash: string | null } | undefined> {
  return session
    .selectFrom('accounts')
    .select(['id', 'customer_id', 'password_hash'])
    .where('name', '=', name)
    .executeTakeFirst();
}

/** @returns its id */
export async function insertAccount(
  session: Session,
  account: { customer_id: number; name: string; role: Role; password_hash: string | null },
): Promise<number> {
  const { id } = await session
    .insertInto('accounts')
    .values(account)
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

export async function setRole(session: Session, id: number, role: Role): Promise<void> {
  await session.updateTable('accounts').set({ role }).where('id', '=', id).execute();
}

/** null: only its tokens get in. */
export async function setPassword(session: Session, id: number, hash: string | null): Promise<void> {
  await session
    .updateTable('accounts')
    .set({ password_hash: hash, password_changed_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute();
}

/** @param hash the password's that was checked, if one was; @returns false when it is another by now */
export async function noteLogin(session: Session, id: number, hash?: string | null): Promise<boolean> {
  let query = session
    .updateTable('accounts')
    .set({ last_login_at: sql<Date>`now()` })
    .where('id', '=', id);
  if (hash !== undefined) query = query.where('password_hash', 'is not distinct from', hash);
  return (await query.returning('id').executeTakeFirst()) !== undefined;
}

/** Its tokens, public keys and login name go with it. @returns the public keys that it had */
export async function deleteAccounts(
  session: Session,
  ids: number[],
): Promise<Pick<SshKeyRow, 'customer_id' | 'fingerprint'>[]> {
  if (ids.length === 0) return [];
  const keys = await session
    .deleteFrom('ssh_keys')
    .where('account_id', 'in', ids)
    .returning(['customer_id', 'fingerprint'])
    .execute();
  // Before the account, in the order in which a device that gets its token locks the two.
  await session.deleteFrom('device_logins').where('account_id', 'in', ids).execute();
  const gone = await session.deleteFrom('accounts').where('id', 'in', ids).returning('name').execute();
  await releaseLoginNames(
    session,
    gone.map(({ name }) => name),
  );
  return keys;
}

/** Locks them, so that of two requests that take away administrators the second sees what the first left. */
export async function lockAdministrators(session: Session): Promise<number[]> {
  const rows = await session
    .selectFrom('accounts')
    .select('id')
    .where('role', '=', 'admin')
    .orderBy('id')
    .forUpdate()
    .execute();
  return rows.map(({ id }) => id);
}

export async function accountIdsOf(session: Session, customerId: number): Promise<number[]> {
  const rows = await session
    .selectFrom('accounts')
    .select('id')
    .where('customer_id', '=', customerId)
    .orderBy('id')
    .execute();
  return rows.map(({ id }) => id);
}
