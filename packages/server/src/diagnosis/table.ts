/** Queries of the diagnosis that no other resource has. */
import type { Refusal } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';

/** `visibleTo` null: whoever's. */
export async function readEnvironment(
  session: Session,
  id: string,
  visibleTo: number | null,
): Promise<(EnvironmentRow & { port: number | null; customer_password_login: boolean }) | undefined> {
  let query = session
    .selectFrom('environments as e')
    .innerJoin('customers as k', 'k.id', 'e.customer_id')
    .leftJoin('port_mappings as p', (on) => on.onRef('p.env_id', '=', 'e.id').on('p.status', '=', 'active'))
    .selectAll('e')
    .select(['p.external_port as port', 'k.password_login as customer_password_login'])
    .where('e.id', '=', id)
    .where('e.status', '<>', 'deleted');
  if (visibleTo !== null) query = query.where('e.customer_id', '=', visibleTo);
  return query.executeTakeFirst();
}

/** Workers that were heard of within the seconds and take newcomers, and on which machines. */
export async function servingGateways(session: Session, withinSeconds: number): Promise<{ host: string }[]> {
  return session
    .selectFrom('gateways')
    .select('host')
    .where('ended_at', 'is', null)
    .where('draining', '=', false)
    .where('seen_at', '>', sql<Date>`now() - make_interval(secs => ${withinSeconds}::double precision)`)
    .execute();
}

/**
 * The port that was the environment's until it got the one that it has, in one go, as when another program has it; and
 * nobody has logged in since. undefined: it is not so.
 */
export async function unnoticedMove(
  session: Session,
  id: string,
): Promise<{ old_port: number; since: Date } | undefined> {
  const { rows } = await sql<{ old_port: number; since: Date }>`
    select old.external_port as old_port, now.allocated_at as since
    from port_mappings now
    join port_mappings old on old.env_id = now.env_id and old.status = 'released'
      and old.external_port <> now.external_port
      and old.released_at between now.allocated_at - interval '5 seconds' and now.allocated_at + interval '5 seconds'
    where now.env_id = ${id} and now.status = 'active'
      and not exists (
        select from audit a where a.action = 'ssh.login' and a.target = ${id} and a.outcome = 'done'
          and a.at > now.allocated_at
      )
    order by old.released_at desc limit 1`.execute(session);
  return rows[0];
}

/** What is counted of an address at the environment, as for its next failure: within the window, since the last lockout. */
export async function countFailures(
  session: Session,
  pair: { target: string; source: string },
  windowMinutes: number,
): Promise<number> {
  const { target, source } = pair;
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from login_failures
    where target = ${target} and source = ${source}
      and at > greatest(
        now() - make_interval(mins => ${windowMinutes}::integer),
        (select max(locked_at) from lockouts where target = ${target} and source = ${source})
      )`.execute(session);
  return rows[0]?.count ?? 0;
}

/** Customers that have this key, beside one. */
export async function otherCustomersWithKey(
  session: Session,
  fingerprint: string,
  except: number,
): Promise<string[]> {
  const rows = await session
    .selectFrom('ssh_keys as s')
    .innerJoin('customers as k', 'k.id', 's.customer_id')
    .select('k.name')
    .where('s.fingerprint', '=', fingerprint)
    .where('s.customer_id', '<>', except)
    .orderBy('k.name')
    .execute();
  return rows.map(({ name }) => name);
}

export interface Refused {
  reason: Refusal | null;
  user: string;
  count: number;
  at: Date;
}

/**
 * Of the logins from an address to the environment within the minutes: those that were refused since the last one that
 * was not, if any, for the same reason as the latest of them.
 */
export async function refusedLately(
  session: Session,
  pair: { target: string; source: string },
  withinMinutes: number,
): Promise<Refused | undefined> {
  const { target, source } = pair;
  const { rows } = await sql<Refused>`
    with tried as (
      select id, at, outcome, detail->>'reason' as reason, detail->>'user' as user_name,
        coalesce((detail->>'count')::integer, 1) as count
      from audit
      where action = 'ssh.login' and target = ${target} and source = ${source}
        and at > now() - make_interval(mins => ${withinMinutes}::integer)
    ), refused as (
      select * from tried where outcome = 'refused'
        and at > coalesce((select max(at) from tried where outcome = 'done'), '-infinity')
    ), latest as (select reason, user_name from refused order by at desc, id desc limit 1)
    select latest.reason, latest.user_name as "user", sum(refused.count)::integer as count, max(refused.at) as at
    from refused join latest on refused.reason is not distinct from latest.reason
      and refused.user_name is not distinct from latest.user_name
    group by 1, 2`.execute(session);
  return rows[0];
}
