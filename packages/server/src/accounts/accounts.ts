/** Signing in: a password for a token; a token for a principal. Tokens are stored as SHA-256 only. */
import { createHash, randomBytes } from 'node:crypto';
import { BerthError } from '@berth/contract';
import type { LoginToken } from '@berth/contract';
import type { Session } from '../database/database.ts';
import { accountHash, accountPasswordMatches } from '../secrets/password.ts';
import type { Principal } from './principal.ts';
import { insertToken, passwordHashOf, principalOfAccount, principalOfToken } from './table.ts';

const tokenLifeMs = 12 * 60 * 60 * 1000;
const tokenPattern = /^berth_[A-Za-z0-9_-]{43}$/;

/** Checked when the account is unknown, so that an answer takes as long as for a known one. */
const nobodysHash = accountHash(randomBytes(16).toString('hex'));

/** @throws BerthError `wrong_password` */
export async function login(session: Session, account: string, password: string): Promise<LoginToken> {
  const found = await passwordHashOf(session, account);
  const matches = await accountPasswordMatches(password, found?.password_hash ?? (await nobodysHash));
  if (!found || !matches) throw new BerthError('wrong_password', 'No account has this name and password.');
  const token = `berth_${randomBytes(32).toString('base64url')}`;
  const expires = new Date(Date.now() + tokenLifeMs);
  await insertToken(session, { account_id: found.id, hash: tokenHash(token), expires_at: expires });
  return { token, expires_at: expires.toISOString() };
}

/** @throws BerthError `unauthorized` */
export async function authenticate(session: Session, authorization: string | undefined): Promise<Principal> {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) throw new BerthError('unauthorized', 'The request carries no bearer token.');
  const principal = tokenPattern.test(token) ? await principalOfToken(session, tokenHash(token)) : undefined;
  if (!principal) throw new BerthError('unauthorized', 'The bearer token is unknown or has expired.');
  return principal;
}

/** Who uses the Unix socket in the data folder: only its owner can open that. */
export async function localPrincipal(session: Session): Promise<Principal> {
  const principal = await principalOfAccount(session, 'admin');
  if (!principal) throw new BerthError('unauthorized', 'There is no account "admin".');
  return principal;
}

function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
