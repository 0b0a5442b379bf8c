/** Queries on the port table. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { PortMappingRow } from '../database/schema.ts';
import type { PortRange, Settings } from '../settings.ts';

/** One allocation at a time, among all servers; held until the transaction ends. */
export async function lockPorts(session: Session): Promise<void> {
  await sql`select pg_advisory_xact_lock(7203552)`.execute(session);
}

/**
 * Ports that nobody has, best first: those that rest from nobody in the order asked for, then the others, the one
 * that has rested longest first.
 */
export async function freePorts(
  session: Session,
  options: Pick<Settings, 'portRange' | 'portOrder' | 'portRestSeconds'> & {
    except: number[];
    limit: number;
  },
): Promise<number[]> {
  const { portRange, portOrder, portRestSeconds, except, limit } = options;
  const order = portOrder === 'random' ? sql`random()` : sql`p.port`;
  const result = await sql<{ port: number }>`
    select p.port
    from generate_series(${portRange.first}::integer, ${portRange.last}::integer) p(port)
    left join (
      select external_port, max(released_at) as released_at from port_mappings
      where status = 'released' and released_at > now() - make_interval(secs => ${portRestSeconds}::double precision)
      group by external_port
    ) resting on resting.external_port = p.port
    where not exists (select from port_mappings m where m.external_port = p.port and m.status = 'active')
      and p.port <> all (${sql.val(except)}::integer[])
    order by resting.released_at nulls first, ${order}
    limit ${limit}::integer
  `.execute(session);
  return result.rows.map(({ port }) => port);
}

export async function insertMapping(
  session: Session,
  environmentId: string,
  customerId: number,
  port: number,
): Promise<void> {
  await session
    .insertInto('port_mappings')
    .values({ env_id: environmentId, customer_id: customerId, external_port: port, status: 'active' })
    .execute();
}

/** @returns the port that was the environment's; undefined when it had none */
export async function releaseMapping(session: Session, environmentId: string): Promise<number | undefined> {
  const row = await session
    .updateTable('port_mappings')
    .set({ status: 'released', released_at: sql<Date>`clock_timestamp()` })
    .where('env_id', '=', environmentId)
    .where('status', '=', 'active')
    .returning('external_port')
    .executeTakeFirst();
  return row?.external_port;
}

export async function activePort(session: Session, environmentId: string): Promise<number | null> {
  const row = await session
    .selectFrom('port_mappings')
    .select('external_port')
    .where('env_id', '=', environmentId)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return row?.external_port ?? null;
}

/** The port that the environment had last, if nobody has it now. */
export async function lastPort(session: Session, environmentId: string): Promise<number | undefined> {
  const row = await session
    .selectFrom('port_mappings as m')
    .select('external_port')
    .where('env_id', '=', environmentId)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('port_mappings as o')
            .select('o.id')
            .whereRef('o.external_port', '=', 'm.external_port')
            .where('o.status', '=', 'active'),
        ),
      ),
    )
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.external_port;
}

export async function countPorts(
  session: Session,
  range: PortRange,
  restSeconds: number,
): Promise<{ used: number; resting: number; free: number }> {
  const result = await sql<{ used: number; resting: number }>`
    select
      count(distinct external_port) filter (where status = 'active') as used,
      count(distinct external_port) filter (
        where status = 'released'
          and released_at > now() - make_interval(secs => ${restSeconds}::double precision)
          and not exists (
            select from port_mappings o where o.external_port = m.external_port and o.status = 'active')
      ) as resting
    from port_mappings m
    where external_port between ${range.first} and ${range.last}
  `.execute(session);
  const { used = 0, resting = 0 } = result.rows[0] ?? {};
  return { used, resting, free: range.last - range.first + 1 - used - resting };
}

export async function listMappings(
  session: Session,
  options: {
    /** null: everybody's. */
    visibleTo: number | null;
    customerId: number | undefined;
    envId: string | undefined;
    port: number | undefined;
    status: 'active' | 'released' | undefined;
    /** Ids grow with the time of allocation. */
    by: 'id' | 'external_port';
    descending: boolean;
    /** Position of the last row of the page before. */
    after: { value: number; id: number } | undefined;
    limit: number;
  },
): Promise<PortMappingRow[]> {
  const { by, descending, after } = options;
  const direction = descending ? 'desc' : 'asc';
  let query = session
    .selectFrom('port_mappings')
    .selectAll()
    .orderBy(by, direction)
    .orderBy('id', direction)
    .limit(options.limit);
  if (options.visibleTo !== null) query = query.where('customer_id', '=', options.visibleTo);
  if (options.customerId !== undefined) query = query.where('customer_id', '=', options.customerId);
  if (options.envId !== undefined) query = query.where('env_id', '=', options.envId);
  if (options.port !== undefined) query = query.where('external_port', '=', options.port);
  if (options.status !== undefined) query = query.where('status', '=', options.status);
  if (after !== undefined) {
    const beyond = sql.raw(descending ? '<' : '>');
    query = query.where(
      sql<boolean>`(${sql.ref(by)}, id) ${beyond} (${after.value}::bigint, ${after.id}::bigint)`,
    );
  }
  return query.execute();
}
