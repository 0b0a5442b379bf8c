/**
 * Tokens: what a program, a login of the command or a browser's session shows instead of a password.
 *
 * 32 random bytes behind `berth_`, shown once and stored as SHA-256 only: there is nothing to guess, so a slow hash
 * would protect nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import { BerthError } from '@berth/contract';
import type { CreatedToken, CreateToken, Role, Scope, Token, TokenKind } from '@berth/contract';
import { findAccount } from '../accounts/table.ts';
import { scopesWithin } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import type { Database, Session } from '../database/database.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { deleteToken, findToken, insertToken, listTokens } from './table.ts';
import type { TokenView } from './table.ts';

const dayMs = 24 * 60 * 60 * 1000;
const defaultLifeDays = 90;
const hintLength = 12;
const tokenPattern = /^berth_[A-Za-z0-9_-]{43}$/;

/** @returns the SHA-256 by which it is found; undefined when it has not the form of a token */
export function hashOf(token: string): Buffer | undefined {
  return tokenPattern.test(token) ? createHash('sha256').update(token).digest() : undefined;
}

/** Makes a token. What it may do is the caller's to decide. */
export async function issueToken(
  session: Session,
  made: { account_id: number; kind: TokenKind; name: string; scopes: Scope[]; expires_at: Date | null },
): Promise<{ id: number; token: string }> {
  const token = `berth_${randomBytes(32).toString('base64url')}`;
  const hash = createHash('sha256').update(token).digest();
  const id = await insertToken(session, { ...made, hash, hint: token.slice(0, hintLength) });
  return { id, token };
}

/** A member's own; an administrator's all, or one account's. */
export async function tokensPage(
  database: Database,
  principal: Principal,
  query: { limit?: number; cursor?: string; account_id?: number; kind?: TokenKind },
): Promise<Page<Token>> {
  const { limit = 100 } = query;
  const own = administers(principal) ? undefined : principal.accountId;
  if (own !== undefined && query.account_id !== undefined && query.account_id !== own)
    return { items: [], next_cursor: null };
  const rows = await listTokens(database, {
    accountId: own ?? query.account_id,
    kind: query.kind,
    after: readCursor(query.cursor, ['number'])?.[0] as number | undefined,
    limit: limit + 1,
  });
  return pageOf(
    rows,
    limit,
    ({ id }) => [id],
    (row) => presentToken(row, principal),
  );
}

/**
 * A token for oneself; for another account, where an administrator asks.
 *
 * @throws BerthError `forbidden` when it could do more than its account or the token that asks,
 *   `unknown_reference` when there is no such account
 */
export async function createToken(
  database: Database,
  principal: Principal,
  actor: Actor,
  { name, account_id, scopes = ['read', 'write'], expires_in_days = defaultLifeDays }: CreateToken,
): Promise<CreatedToken> {
  return database.transaction().execute(async (transaction) => {
    const id = account_id ?? principal.accountId;
    const mayName = id === principal.accountId || administers(principal);
    const account = mayName ? await findAccount(transaction, id, null) : undefined;
    if (!account)
      throw new BerthError('unknown_reference', `account_id: there is no account ${id}.`, {
        field: 'account_id',
      });
    mustBeWithin(scopes, principal.scopes, 'the token that asks may');
    mustBeWithin(
      scopes,
      scopesWithin(account.role, scopes),
      `${account.name} is ${withArticle(account.role)} and may`,
    );
    const expires = expires_in_days === null ? null : new Date(Date.now() + expires_in_days * dayMs);
    const made = await issueToken(transaction, {
      account_id: id,
      kind: 'api',
      name,
      scopes,
      expires_at: expires,
    });
    const row = await findToken(transaction, made.id, null);
    if (!row) throw new Error('the token was just made');
    await audit(transaction, actor, {
      action: 'token.create',
      target: account.name,
      customerId: account.customer_id,
      detail: { id: made.id, name, scopes, expires_at: expires?.toISOString() ?? null },
    });
    return { ...presentToken(row, principal), token: made.token };
  });
}

/** @throws BerthError `not_found` */
export async function removeToken(
  database: Database,
  principal: Principal,
  actor: Actor,
  id: number,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await findToken(transaction, id, administers(principal) ? null : principal.accountId);
    if (!row || !(await deleteToken(transaction, id)))
      throw new BerthError('not_found', `There is no token ${id}.`);
    await audit(transaction, actor, {
      action: 'token.delete',
      target: row.account,
      customerId: row.customer_id,
      detail: { id, name: row.name, kind: row.kind },
    });
  });
}

/** An administrator's token without that scope is as good as a member's for others' tokens. */
function administers({ role, scopes }: Principal): boolean {
  return role === 'admin' && scopes.includes('admin');
}

function mustBeWithin(wanted: Scope[], allowed: readonly Scope[], whose: string): void {
  const more = wanted.filter((scope) => !allowed.includes(scope));
  if (more.length === 0) return;
  throw new BerthError(
    'forbidden',
    `scopes: ${whose} ${allowed.join(' and ') || 'nothing of that'}, so the new one cannot have ${more.join(' and ')}.`,
    { field: 'scopes', cure: 'Ask for fewer scopes.' },
  );
}

function withArticle(role: Role): string {
  return role === 'admin' ? 'an administrator' : 'a member';
}

function presentToken(row: TokenView, principal: Principal): Token {
  const { id, kind, name, account_id, account, role, hint, created_at, expires_at, last_used_at } = row;
  return {
    id,
    kind,
    name,
    account_id,
    account,
    scopes: scopesWithin(role, row.scopes),
    hint,
    created_at: created_at.toISOString(),
    expires_at: expires_at?.toISOString() ?? null,
    last_used_at: last_used_at?.toISOString() ?? null,
    current: id === principal.tokenId,
  };
}
