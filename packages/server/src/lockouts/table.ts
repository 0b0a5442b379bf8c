/** Queries on failed logins, and on the lockouts and bans that follow from them. */
import { sql } from 'kysely';
import type { RawBuilder, Selectable } from 'kysely';
import type { Session } from '../database/database.ts';
import type { Tables } from '../database/schema.ts';

export type LockoutRow = Selectable<Tables['lockouts']>;
export type BanRow = Selectable<Tables['bans']>;

/** As in the function `reserve_login_failure`: what one address tries is counted one after the other. */
const sourceLock = 7_203_555;

export interface Reservation {
  /** Failures within the window since the last lockout of the pair, and the last ban of the source; with this one. */
  pairFailures: number;
  sourceFailures: number;
  /** Nothing was counted where one of these is set. */
  lockedUntil: Date | null;
  bannedUntil: Date | null;
  /** What opens the environment at this moment, sealed; null: there is none, or its password opens nothing. */
  password: string | null;
}

/** Counts an attempt as failed, before anything is compared. One statement, whatever the target is. */
export async function reserveFailure(
  session: Session,
  attempt: { id: string; target: string; source: string; windowMinutes: number },
): Promise<Reservation> {
  const { id, target, source, windowMinutes } = attempt;
  const { rows } = await sql<Reservation>`
    select pair_failures as "pairFailures", source_failures as "sourceFailures",
      locked_until as "lockedUntil", banned_until as "bannedUntil", password
    from reserve_login_failure(
      ${id}, ${target}, ${source}, make_interval(mins => ${windowMinutes}::integer))`.execute(session);
  const [row] = rows;
  if (!row) throw new Error('the function answers with one row');
  return row;
}

/** It was no failure, but a fault of this server. */
export async function takeBackFailure(session: Session, attempt: string): Promise<void> {
  await session.deleteFrom('login_failures').where('attempt', '=', attempt).execute();
}

export async function forgetPair(session: Session, target: string, source: string): Promise<void> {
  await session
    .deleteFrom('login_failures')
    .where('target', '=', target)
    .where('source', '=', source)
    .execute();
}

export interface Success {
  target: string;
  source: string;
  /** How long ago it was: what failed since stays. */
  ageMs: number;
}

export async function forgetFailures(session: Session, successes: Success[]): Promise<void> {
  await sql`delete from login_failures f using unnest(
      ${successes.map(({ target }) => target)}::text[], ${successes.map(({ source }) => source)}::text[],
      ${successes.map(({ ageMs }) => ageMs / 1000)}::double precision[]) s (target, source, age)
    where f.target = s.target and f.source = s.source
      and f.at <= clock_timestamp() - make_interval(secs => s.age)`.execute(session);
}

interface Limits {
  failures: number;
  windowMinutes: number;
  minutes: number;
}

/**
 * Only in a transaction.
 *
 * @returns the one that there is now, and whether it is new; undefined when there are not that many failures any more
 */
export async function insertLockout(
  session: Session,
  pair: { target: string; source: string; envId: string | null; customerId: number | null },
  { failures, windowMinutes, minutes }: Limits,
): Promise<{ row: LockoutRow; isNew: boolean } | undefined> {
  const { target, source, envId, customerId } = pair;
  await lockSource(session, source);
  const ofPair = sql`target = ${target} and source = ${source}`;
  await sql`update lockouts set cleared_at = until
    where ${ofPair} and cleared_at is null and until <= clock_timestamp()`.execute(session);
  const last = sql`(select max(locked_at) from lockouts where ${ofPair})`;
  const { rows } = await sql<LockoutRow>`
    insert into lockouts (target, env_id, customer_id, source, failures, until)
    select ${target}, ${envId}, ${customerId}::integer, ${source}, count(*), ${fromNow(minutes)}
    from login_failures where ${ofPair} and at > greatest(${fromNow(-windowMinutes)}, ${last})
    having count(*) >= ${failures}::integer
    on conflict (target, source) where cleared_at is null do nothing
    returning *`.execute(session);
  const [inserted] = rows;
  if (inserted) return { row: inserted, isNew: true };
  const row = await session
    .selectFrom('lockouts')
    .selectAll()
    .where('target', '=', target)
    .where('source', '=', source)
    .where('cleared_at', 'is', null)
    .executeTakeFirst();
  return row && { row, isNew: false };
}

/** Only in a transaction; as `insertLockout`. */
export async function insertBan(
  session: Session,
  source: string,
  { failures, windowMinutes, minutes }: Limits,
): Promise<{ row: BanRow; isNew: boolean } | undefined> {
  await lockSource(session, source);
  await sql`update bans set cleared_at = until
    where source = ${source} and cleared_at is null and until <= clock_timestamp()`.execute(session);
  const last = sql`(select max(banned_at) from bans where source = ${source})`;
  const { rows } = await sql<BanRow>`
    insert into bans (source, failures, until)
    select ${source}, count(*), ${fromNow(minutes)}
    from login_failures where source = ${source} and at > greatest(${fromNow(-windowMinutes)}, ${last})
    having count(*) >= ${failures}::integer
    on conflict (source) where cleared_at is null do nothing
    returning *`.execute(session);
  const [inserted] = rows;
  if (inserted) return { row: inserted, isNew: true };
  const row = await session
    .selectFrom('bans')
    .selectAll()
    .where('source', '=', source)
    .where('cleared_at', 'is', null)
    .executeTakeFirst();
  return row && { row, isNew: false };
}

async function lockSource(session: Session, source: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sourceLock}::integer, hashtext(${source}))`.execute(session);
}

function fromNow(minutes: number): RawBuilder<Date> {
  return sql<Date>`clock_timestamp() + make_interval(mins => ${minutes}::integer)`;
}

export interface Filter {
  /** Those that are over too. */
  all: boolean;
  source: string | undefined;
  /** The id of the last row of the page before. */
  before: number | undefined;
  limit: number;
}

/** Newest first. `visibleTo` null: everybody's, also those of unknown names. */
export async function listLockouts(
  session: Session,
  filter: Filter & { visibleTo: number | null; envId: string | undefined },
): Promise<LockoutRow[]> {
  let query = session.selectFrom('lockouts').selectAll().orderBy('id', 'desc').limit(filter.limit);
  const { all, source, before, visibleTo, envId } = filter;
  if (visibleTo !== null) query = query.where('customer_id', '=', visibleTo);
  if (envId !== undefined) query = query.where('env_id', '=', envId);
  if (source !== undefined) query = query.where('source', '=', source);
  if (!all) query = query.where('cleared_at', 'is', null).where('until', '>', sql<Date>`clock_timestamp()`);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.execute();
}

export async function listBans(session: Session, filter: Filter): Promise<BanRow[]> {
  const { all, source, before } = filter;
  let query = session.selectFrom('bans').selectAll().orderBy('id', 'desc').limit(filter.limit);
  if (source !== undefined) query = query.where('source', '=', source);
  if (!all) query = query.where('cleared_at', 'is', null).where('until', '>', sql<Date>`clock_timestamp()`);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.execute();
}

/** Ends it, and forgets what it was set for. @returns undefined when there is none in force; `visibleTo` null: whoever's */
export async function clearLockout(
  session: Session,
  id: number,
  visibleTo: number | null,
  by: string,
): Promise<LockoutRow | undefined> {
  let query = session
    .updateTable('lockouts')
    .set({ cleared_at: sql<Date>`clock_timestamp()`, cleared_by: by })
    .where('id', '=', id)
    .where('cleared_at', 'is', null)
    .where('until', '>', sql<Date>`clock_timestamp()`);
  if (visibleTo !== null) query = query.where('customer_id', '=', visibleTo);
  const row = await query.returningAll().executeTakeFirst();
  if (row) await forgetPair(session, row.target, row.source);
  return row;
}

/** Ends it, and forgets what it was set for. @returns undefined when there is none in force */
export async function clearBan(session: Session, id: number, by: string): Promise<BanRow | undefined> {
  const row = await session
    .updateTable('bans')
    .set({ cleared_at: sql<Date>`clock_timestamp()`, cleared_by: by })
    .where('id', '=', id)
    .where('cleared_at', 'is', null)
    .where('until', '>', sql<Date>`clock_timestamp()`)
    .returningAll()
    .executeTakeFirst();
  if (row) await session.deleteFrom('login_failures').where('source', '=', row.source).execute();
  return row;
}
