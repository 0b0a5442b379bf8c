/** Housekeeping's queries: what has served its time. */
import { sql } from 'kysely';
import { pruneAudit } from '../audit/retention.ts';
import type { Session } from '../database/database.ts';
import { keptHours } from '../http/repeatable.ts';
import { releaseLoginNames } from '../login-names/table.ts';
import type { Settings } from '../settings.ts';

/** Any number: names the lock among servers that keep house. */
const housekeepingLock = 7_203_554;
const rowsAtOnce = 1000;
/** How long a gateway worker that is gone stays known. */
const goneGatewayDays = 7;

/** Held until the transaction ends. @returns false when another server has it */
export async function lockHousekeeping(session: Session): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(${housekeepingLock}) as locked`.execute(session);
  return rows[0]?.locked === true;
}

type Retention = Pick<
  Settings,
  'retention.events' | 'retention.audit' | 'retention.history' | 'lockout.windowMinutes'
>;

/** Deletes at most a thousand rows of each kind. @returns how many of which */
export async function deleteExpired(session: Session, settings: Retention): Promise<Record<string, number>> {
  const {
    'retention.events': eventDays,
    'retention.audit': auditDays,
    'retention.history': historyDays,
    'lockout.windowMinutes': windowMinutes,
  } = settings;
  const limit = sql`limit ${sql.lit(rowsAtOnce)}`;
  const before = (days: number) => sql`now() - make_interval(days => ${days}::integer)`;
  const deleted: Record<string, number> = {};
  const remove = async (what: string, statement: ReturnType<typeof sql>) => {
    const { numAffectedRows } = await statement.execute(session);
    deleted[what] = Number(numAffectedRows ?? 0);
  };

  await remove(
    'tokens',
    sql`delete from tokens where id in
    (select id from tokens where expires_at < now() ${limit})`,
  );
  await remove(
    'device logins',
    sql`delete from device_logins where device_code_hash in
    (select device_code_hash from device_logins where expires_at < now() ${limit})`,
  );
  await remove(
    'repeatable requests',
    sql`delete from repeatable_requests where (account_id, key) in
    (select account_id, key from repeatable_requests
     where created_at < now() - make_interval(hours => ${keptHours}::integer) ${limit})`,
  );
  await remove(
    'gateways',
    sql`delete from gateways where id in
    (select id from gateways where seen_at < ${before(goneGatewayDays)} ${limit})`,
  );
  const windowStart = sql`now() - make_interval(mins => ${windowMinutes}::integer)`;
  await remove(
    'failed logins',
    sql`delete from login_failures where id in
    (select id from login_failures where at < ${windowStart} ${limit})`,
  );
  if (eventDays > 0) {
    await remove(
      'events',
      sql`delete from environment_events where id in
      (select v.id from environments e join environment_events v on v.env_id = e.id
       where e.status = 'deleted' and e.deleted_at < ${before(eventDays)} ${limit})`,
    );
  }
  if (auditDays > 0) {
    deleted['audit records'] = await pruneAudit(session, auditDays);
    // Within the window they still say which failures count no more.
    for (const [table, setAt] of [
      ['lockouts', 'locked_at'],
      ['bans', 'banned_at'],
    ] as const) {
      const over = sql`least(until, cleared_at) < ${before(auditDays)} and ${sql.ref(setAt)} < ${windowStart}`;
      await remove(
        table,
        sql`delete from ${sql.table(table)} where id in
        (select id from ${sql.table(table)} where ${over} ${limit})`,
      );
    }
  }
  if (historyDays > 0) {
    await remove(
      'port mappings',
      sql`delete from port_mappings where id in
      (select id from port_mappings where status = 'released' and released_at < ${before(historyDays)} ${limit})`,
    );
    await remove(
      'connections',
      sql`delete from connections where id in
      (select id from connections where ended_at < ${before(historyDays)} ${limit})`,
    );
    await remove('environments', await forgetEnvironments(session, before(historyDays), limit));
  }
  return deleted;
}

/** An id whose files are kept or were adopted stays known, so that no new environment can get it. */
async function forgetEnvironments(
  session: Session,
  before: ReturnType<typeof sql>,
  limit: ReturnType<typeof sql>,
): Promise<ReturnType<typeof sql>> {
  const { rows } = await sql<{ id: string }>`select id from environments e
    where status = 'deleted' and deleted_at < ${before} and storage_kept_since is null
      and not exists (select from port_mappings p where p.env_id = e.id and p.released_at >= ${before})
      and not exists (select from environments o where o.storage_id = e.id and o.id <> e.id
        and (o.status <> 'deleted' or o.storage_kept_since is not null))
    ${limit}`.execute(session);
  const ids = sql`${rows.map(({ id }) => id)}::text[]`;
  for (const table of ['environment_events', 'port_mappings', 'ssh_credentials', 'allowlist_entries']) {
    await sql`delete from ${sql.table(table)} where env_id = any(${ids})`.execute(session);
  }
  await sql`update lockouts set env_id = null where env_id = any(${ids})`.execute(session);
  await releaseLoginNames(
    session,
    rows.map(({ id }) => id),
  );
  return sql`delete from environments where id = any(${ids})`;
}

export interface PasswordAge {
  id: string;
  changedAt: Date;
}

const agedPasswords = (session: Session) =>
  session
    .selectFrom('ssh_credentials as c')
    .innerJoin('environments as e', 'e.id', 'c.env_id')
    .select(['e.id as id', 'c.password_changed_at as changedAt'])
    .where('e.wanted', '<>', 'deleted')
    .orderBy('c.password_changed_at')
    .limit(rowsAtOnce);

/** Passwords that will be too old within the days of notice, and whose owners were not told; or that of `id`. */
export async function passwordsToNotice(
  session: Session,
  days: { maxAge: number; notice: number },
  id?: string,
): Promise<PasswordAge[]> {
  let query = agedPasswords(session)
    .where('c.password_notice_at', 'is', null)
    .where('c.password_changed_at', '<=', daysAgo(days.maxAge - days.notice));
  if (id !== undefined) query = query.where('e.id', '=', id);
  return query.execute();
}

/** Passwords that are too old, and whose owners have known for the days of notice; or that of `id`. */
export async function passwordsToReplace(
  session: Session,
  days: { maxAge: number; notice: number },
  id?: string,
): Promise<PasswordAge[]> {
  let query = agedPasswords(session).where('c.password_changed_at', '<=', daysAgo(days.maxAge));
  if (days.notice > 0) query = query.where('c.password_notice_at', '<=', daysAgo(days.notice));
  if (id !== undefined) query = query.where('e.id', '=', id);
  return query.execute();
}

export async function setNoticed(session: Session, id: string): Promise<void> {
  await session
    .updateTable('ssh_credentials')
    .set({ password_notice_at: sql<Date>`now()` })
    .where('env_id', '=', id)
    .execute();
}

function daysAgo(days: number) {
  return sql<Date>`now() - make_interval(days => ${days}::integer)`;
}
