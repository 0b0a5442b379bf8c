/** Queries on tokens: those made by hand, those of logins, and browsers' sessions. */
import type { Role, Scope, TokenKind } from '@berth/contract';
import { sql } from 'kysely';
import type { Principal } from '../accounts/principal.ts';
import { scopesWithin } from '../accounts/principal.ts';
import type { Session } from '../database/database.ts';

/** How exactly `last_used_at` is kept, so that a busy token is not written at each request. */
const useNotedSeconds = 60;

/** `useIsOld`: that it is used has not been written down for a minute. */
export async function principalOfToken(
  session: Session,
  hash: Buffer,
): Promise<{ principal: Principal; useIsOld: boolean } | undefined> {
  const row = await session
    .selectFrom('tokens')
    .innerJoin('accounts', 'accounts.id', 'tokens.account_id')
    .innerJoin('customers', 'customers.id', 'accounts.customer_id')
    .select([
      'tokens.id as tokenId',
      'tokens.scopes as scopes',
      'accounts.id as accountId',
      'accounts.name as account',
      'accounts.role as role',
      'accounts.customer_id as customerId',
      'customers.name as customer',
      isOld.as('useIsOld'),
    ])
    .where('tokens.hash', '=', hash)
    .where((e) => e.or([e('tokens.expires_at', 'is', null), e('tokens.expires_at', '>', sql<Date>`now()`)]))
    .executeTakeFirst();
  if (!row) return undefined;
  const { useIsOld, ...principal } = row;
  return { principal: { ...principal, scopes: scopesWithin(row.role, row.scopes) }, useIsOld };
}

const isOld = sql<boolean>`coalesce(tokens.last_used_at < now() - ${sql.lit(useNotedSeconds)} * interval '1 second', true)`;

export async function noteUse(session: Session, id: number): Promise<void> {
  await session
    .updateTable('tokens')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', id)
    .where(isOld)
    .execute();
}

export interface NewTokenRow {
  account_id: number;
  kind: TokenKind;
  name: string;
  scopes: Scope[];
  hash: Buffer;
  hint: string;
  expires_at: Date | null;
}

/** Those that have expired go on this occasion. */
export async function insertToken(session: Session, token: NewTokenRow): Promise<number> {
  await session
    .deleteFrom('tokens')
    .where('expires_at', '<', sql<Date>`now()`)
    .execute();
  const { id } = await session.insertInto('tokens').values(token).returning('id').executeTakeFirstOrThrow();
  return id;
}

export interface TokenView {
  id: number;
  kind: TokenKind;
  name: string;
  account_id: number;
  account: string;
  role: Role;
  customer_id: number;
  scopes: Scope[];
  hint: string;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
}

const views = (session: Session) =>
  session
    .selectFrom('tokens')
    .innerJoin('accounts', 'accounts.id', 'tokens.account_id')
    .select([
      'tokens.id',
      'tokens.kind',
      'tokens.name',
      'tokens.account_id',
      'accounts.name as account',
      'accounts.role',
      'accounts.customer_id',
      'tokens.scopes',
      'tokens.hint',
      'tokens.created_at',
      'tokens.expires_at',
      'tokens.last_used_at',
    ]);

export async function listTokens(
  session: Session,
  options: {
    /** undefined: everybody's. */
    accountId: number | undefined;
    kind: TokenKind | undefined;
    after: number | undefined;
    limit: number;
  },
): Promise<TokenView[]> {
  let query = views(session)
    .where((e) => e.or([e('tokens.expires_at', 'is', null), e('tokens.expires_at', '>', sql<Date>`now()`)]))
    .orderBy('tokens.id')
    .limit(options.limit);
  if (options.accountId !== undefined) query = query.where('tokens.account_id', '=', options.accountId);
  if (options.kind !== undefined) query = query.where('tokens.kind', '=', options.kind);
  if (options.after !== undefined)
    query = query.where('tokens.id', '>', sql<number>`${options.after}::bigint`);
  return query.execute();
}

/** `accountId` null: whoever's. */
export async function findToken(
  session: Session,
  id: number,
  accountId: number | null,
): Promise<TokenView | undefined> {
  let query = views(session).where('tokens.id', '=', id);
  if (accountId !== null) query = query.where('tokens.account_id', '=', accountId);
  return query.executeTakeFirst();
}

export async function deleteToken(session: Session, id: number): Promise<boolean> {
  const row = await session.deleteFrom('tokens').where('id', '=', id).returning('id').executeTakeFirst();
  return row !== undefined;
}

/** A session or a login's token; one that was made by hand stays. */
export async function deleteSignIn(session: Session, id: number): Promise<boolean> {
  const row = await session
    .deleteFrom('tokens')
    .where('id', '=', id)
    .where('kind', '<>', 'api')
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Ends all that the account's password opened, but for one. */
export async function deleteSignIns(
  session: Session,
  accountId: number,
  exceptId: number | null,
): Promise<void> {
  let query = session.deleteFrom('tokens').where('account_id', '=', accountId).where('kind', '<>', 'api');
  if (exceptId !== null) query = query.where('id', '<>', exceptId);
  await query.execute();
  await session.deleteFrom('device_logins').where('account_id', '=', accountId).execute();
}
