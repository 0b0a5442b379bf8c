/**
 * What of the audit log has served its time: whole links of the chain, the oldest first, so that what stays can still be
 * verified. The last link that went stays as the place where the chain now begins, and a record says that it was Berth
 * that let it go; without that record the verification takes the rows for stolen. Housekeeping calls it.
 */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import { audit } from './audit.ts';

/** Links of one turn. */
const mostLinks = 5000;
const mostRows = 5000;

export const pruneAction = 'audit.prune';

/**
 * Days begin at midnight UTC, so that there is one such record a day where there is anything to let go.
 *
 * @param session a transaction
 * @returns how many records went; there may be more
 */
export async function pruneAudit(session: Session, days: number): Promise<number> {
  const { rows: aged } = await sql<{ some: boolean }>`
    select exists (select from audit where at < ${midnight(days)}) as some`.execute(session);
  if (aged[0]?.some !== true) return 0;
  // A link goes when its youngest row may, and only if all links before it do.
  const { rows: links } = await sql<{ id: number; rows: number; hash: string }>`
    select s.id, encode(s.hash, 'hex') as hash, count(a.id) as rows
    from (select id, hash, rows, sum(rows) over (order by id) as upto
      from (select id, hash, rows from audit_seals order by id limit ${sql.lit(mostLinks)}) oldest) s
    left join audit a on a.seal_id = s.id
    where s.upto - s.rows < ${sql.lit(mostRows)}
    group by s.id, s.hash
    having bool_and(coalesce(a.at < ${midnight(days)}, true))
    order by s.id`.execute(session);
  const { rows: oldest } = await sql<{ id: number | null }>`select min(id) as id from audit_seals`.execute(
    session,
  );
  let next = oldest[0]?.id ?? 0;
  let count = 0;
  let last: (typeof links)[number] | undefined;
  for (const link of links) {
    if (link.id !== next || (count > 0 && count + link.rows > mostRows)) break;
    count += link.rows;
    last = link;
    next += 1;
  }
  if (last === undefined || count === 0) return 0;
  await sql`set local berth.audit = 'retention'`.execute(session);
  await sql`delete from audit where seal_id <= ${last.id}`.execute(session);
  await sql`delete from audit_seals where id < ${last.id}`.execute(session);
  await sql`set local berth.audit = ''`.execute(session);
  await audit(
    session,
    { principal: null, source: null },
    {
      action: pruneAction,
      detail: { records: count, up_to_link: last.id, hash: last.hash },
    },
  );
  return count;
}

function midnight(days: number) {
  return sql<Date>`((date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')
    - make_interval(days => ${days}::integer))`;
}
