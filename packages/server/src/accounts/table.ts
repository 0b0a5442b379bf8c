/** Queries on accounts and tokens. */
import { scopes } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { Principal } from './principal.ts';

const accounts = (session: Session) =>
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

export async function principalOfToken(session: Session, hash: Buffer): Promise<Principal | undefined> {
  return accounts(session)
    .innerJoin('tokens', 'tokens.account_id', 'accounts.id')
    .select(['tokens.id as tokenId', 'tokens.scopes as scopes'])
    .where('tokens.hash', '=', hash)
    .where((e) => e.or([e('tokens.expires_at', 'is', null), e('tokens.expires_at', '>', sql<Date>`now()`)]))
    .executeTakeFirst();
}

export async function principalOfAccount(session: Session, name: string): Promise<Principal | undefined> {
  const account = await accounts(session).where('accounts.name', '=', name).executeTakeFirst();
  return account && { ...account, tokenId: null, scopes };
}

export async function passwordHashOf(
  session: Session,
  name: string,
): Promise<{ id: number; password_hash: string | null } | undefined> {
  return session
    .selectFrom('accounts')
    .select(['id', 'password_hash'])
    .where('name', '=', name)
    .executeTakeFirst();
}

export async function insertToken(
  session: Session,
  token: { account_id: number; hash: Buffer; expires_at: Date },
): Promise<void> {
  await session
    .deleteFrom('tokens')
    .where('expires_at', '<', sql<Date>`now()`)
    .execute();
  await session.insertInto('tokens').values(token).execute();
}
