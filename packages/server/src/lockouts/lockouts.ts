/** Lockouts and bans as people see and end them. Setting them is login-failures.ts. */
import { BerthError, countedSource } from '@berth/contract';
import type { Ban, ListBans, ListLockouts, Lockout } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import type { Database } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { clearBan, clearLockout, listBans, listLockouts } from './table.ts';
import type { BanRow, Filter, LockoutRow } from './table.ts';

/** Those of the asking account's customer; an administrator's are all, those of unknown names too. */
export async function lockoutsPage(
  database: Database,
  principal: Principal,
  query: ListLockouts,
): Promise<Page<Lockout>> {
  const { limit = 100, env_id: envId } = query;
  const visibleTo = visibleCustomer(principal);
  const rows = await listLockouts(database, { ...filterOf(query, limit), visibleTo, envId });
  return pageOf(rows, limit, ({ id }) => [id], presentLockout);
}

export async function bansPage(database: Database, query: ListBans): Promise<Page<Ban>> {
  const { limit = 100 } = query;
  return pageOf(await listBans(database, filterOf(query, limit)), limit, ({ id }) => [id], presentBan);
}

/** Each gateway hears of it at once. @throws BerthError `not_found` when there is none in force */
export async function endLockout(database: Database, asker: Asker, id: number): Promise<void> {
  const { principal } = asker;
  await database.transaction().execute(async (transaction) => {
    const row = await clearLockout(transaction, id, visibleCustomer(principal), principal.account);
    if (!row) throw new BerthError('not_found', `There is no lockout ${id} in force.`);
    const { target, source } = row;
    await announce(transaction, { topic: 'lockout', target, source });
    await audit(transaction, asker, {
      action: 'lockout.clear',
      target,
      ...(row.customer_id === null ? {} : { customerId: row.customer_id }),
      detail: { id, locked_source: source },
    });
  });
}

/** Each gateway hears of it at once. @throws BerthError `not_found` when there is none in force */
export async function endBan(database: Database, asker: Asker, id: number): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await clearBan(transaction, id, asker.principal.account);
    if (!row) throw new BerthError('not_found', `There is no ban ${id} in force.`);
    await announce(transaction, { topic: 'ban', source: row.source });
    await audit(transaction, asker, { action: 'ban.clear', target: row.source, detail: { id } });
  });
}

function filterOf(query: ListBans, limit: number): Filter {
  return {
    all: query.all ?? false,
    source: query.source === undefined ? undefined : networkOrCounted(query.source),
    before: readCursor(query.cursor, ['number'])?.[0] as number | undefined,
    limit: limit + 1,
  };
}

/** A list shows networks, and people type addresses. */
function networkOrCounted(source: string): string {
  return source.includes('/') ? source : countedSource(source);
}

function presentLockout({ locked_at, until, cleared_at, ...row }: LockoutRow): Lockout {
  return { ...row, locked_at: locked_at.toISOString(), until: until.toISOString(), ...clearedAt(cleared_at) };
}

function presentBan({ banned_at, until, cleared_at, ...row }: BanRow): Ban {
  return { ...row, banned_at: banned_at.toISOString(), until: until.toISOString(), ...clearedAt(cleared_at) };
}

function clearedAt(at: Date | null): { cleared_at: string | null } {
  return { cleared_at: at?.toISOString() ?? null };
}
