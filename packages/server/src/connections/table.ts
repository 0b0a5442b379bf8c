/** Queries on connections, and on the gateway workers that hold them. */
import type { ConnectionRecord, GatewayRecord, LoginMethod, WayIn } from '@berth/contract';
import { sql } from 'kysely';
import { wellFormed } from '../audit/audit.ts';
import type { Session } from '../database/database.ts';
import type { ConnectionRow } from '../database/schema.ts';

/** Why a connection ended whose gateway did not live to tell. */
const gatewayGone = 'gateway gone';

/**
 * One statement for all. Records may come more than once and late: numbers only grow, and an end stays, but for one that
 * was written down since nothing was heard of the gateway.
 */
export async function upsertConnections(session: Session, records: ConnectionRecord[]): Promise<void> {
  if (records.length === 0) return;
  await sql`
    insert into connections as c (id, gateway, env_id, customer_id, account, method, fingerprint, key_name, way, source,
      source_port, client, started_at, seen_at, bytes_in, bytes_out, channels, open_channels, ended_at, end_reason)
    select id, gateway, environment, customer, account, method, fingerprint, key_name, way, source, source_port,
      client, started_at, clock_timestamp(), bytes_in, bytes_out, channels,
      case when ended_at is null then open_channels else 0 end, ended_at, end_reason
    from json_to_recordset(${JSON.stringify(lastOfEach(records), wellFormed)}::json) as r(id text, gateway text,
      environment text, customer integer, account text, method text, fingerprint text, key_name text, way text,
      source text, source_port integer, client text, started_at timestamptz, bytes_in bigint, bytes_out bigint,
      channels integer, open_channels integer, ended_at timestamptz, end_reason text)
    on conflict (id) do update set
      gateway = excluded.gateway,
      seen_at = excluded.seen_at,
      bytes_in = greatest(c.bytes_in, excluded.bytes_in),
      bytes_out = greatest(c.bytes_out, excluded.bytes_out),
      channels = greatest(c.channels, excluded.channels),
      open_channels = case
        when c.ended_at is not null and c.end_reason is distinct from ${gatewayGone} then 0
        when excluded.bytes_in + excluded.bytes_out >= c.bytes_in + c.bytes_out then excluded.open_channels
        else c.open_channels end,
      ended_at = case when c.end_reason = ${gatewayGone} then excluded.ended_at
        else coalesce(c.ended_at, excluded.ended_at) end,
      end_reason = case when c.end_reason = ${gatewayGone} or c.ended_at is null then excluded.end_reason
        else c.end_reason end`.execute(session);
}

/** A statement changes a row once. An end is the last record of a connection, wherever it stands. */
function lastOfEach(records: ConnectionRecord[]): ConnectionRecord[] {
  const last = new Map<string, ConnectionRecord>();
  for (const record of records) {
    const before = last.get(record.id);
    if (before === undefined || before.ended_at === null || record.ended_at !== null)
      last.set(record.id, record);
  }
  return [...last.values()];
}

/** @returns those that were thought to be gone */
export async function upsertGateways(session: Session, records: GatewayRecord[]): Promise<string[]> {
  if (records.length === 0) return [];
  const last = [...new Map(records.map((record) => [record.id, record])).values()];
  const alive = last.filter(({ ended }) => !ended).map(({ id }) => id);
  const gone = await session
    .selectFrom('gateways')
    .select('id')
    .where(sql<boolean>`id = any(${alive}::text[])`)
    .where((e) => e.or([e('ended_at', 'is not', null), e('seen_at', '<', secondsAgo(silenceSeconds))]))
    .execute();
  await sql`
    insert into gateways (id, host, version, started_at, seen_at, connections, draining, ended_at)
    select id, host, version, started_at, clock_timestamp(), connections, draining,
      case when ended then clock_timestamp() end
    from json_to_recordset(${JSON.stringify(last, wellFormed)}::json) as r(id text, host text, version text,
      started_at timestamptz, connections integer, draining boolean, ended boolean)
    on conflict (id) do update set host = excluded.host, version = excluded.version, seen_at = excluded.seen_at,
      connections = excluded.connections, draining = excluded.draining, ended_at = excluded.ended_at`.execute(
    session,
  );
  return gone.map(({ id }) => id);
}

/** What was written down as over only since nothing was heard of its gateway. */
export async function reopenConnections(session: Session, gateways: string[]): Promise<void> {
  await session
    .updateTable('connections')
    .set({ ended_at: null, end_reason: null })
    .where('gateway', 'in', gateways)
    .where('end_reason', '=', gatewayGone)
    .execute();
}

/** How long a gateway may be silent until its connections count as over; it speaks every five seconds. */
export const silenceSeconds = 60;

/**
 * Those of gateways that have ended are over, and with `silentToo` of those that are silent: since something was heard of
 * either last.
 *
 * @returns how many
 */
export async function closeLost(session: Session, silentToo: boolean): Promise<number> {
  const silent = sql`(c.seen_at < ${secondsAgo(silenceSeconds)} and not exists
    (select from gateways g where g.id = c.gateway and g.seen_at >= ${secondsAgo(silenceSeconds)}))`;
  const { numAffectedRows } = await sql`
    update connections c set end_reason = ${gatewayGone}, open_channels = 0,
      ended_at = greatest(c.seen_at, (select g.seen_at from gateways g where g.id = c.gateway))
    where c.ended_at is null and c.gateway is not null
      and (exists (select from gateways g where g.id = c.gateway and g.ended_at is not null)
        ${silentToo ? sql`or ${silent}` : sql``})`.execute(session);
  return Number(numAffectedRows ?? 0);
}

function secondsAgo(seconds: number) {
  return sql<Date>`clock_timestamp() - make_interval(secs => ${sql.lit(seconds)})`;
}

export interface ConnectionFilter {
  /** null: everybody's. */
  visibleTo: number | null;
  customerId: number | undefined;
  envId: string | undefined;
  account: string | undefined;
  source: string | undefined;
  fingerprint: string | undefined;
  method: LoginMethod | undefined;
  way: WayIn | undefined;
  live: boolean | undefined;
  /** Those that were there at some moment from this one on, and that began before that one. */
  since: Date | undefined;
  until: Date | undefined;
}

const micros = sql<string>`(extract(epoch from started_at) * 1000000)::bigint::text`;

/** Newest first. `after`: position of the last row of the page before. */
export async function listConnections(
  session: Session,
  filter: ConnectionFilter,
  after: { startedAt: string; id: string } | undefined,
  limit: number,
): Promise<(ConnectionRow & { position: string })[]> {
  let query = session
    .selectFrom('connections')
    .selectAll()
    .select(micros.as('position'))
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit);
  if (filter.visibleTo !== null) query = query.where('customer_id', '=', filter.visibleTo);
  if (filter.customerId !== undefined) query = query.where('customer_id', '=', filter.customerId);
  if (filter.envId !== undefined) query = query.where('env_id', '=', filter.envId);
  if (filter.account !== undefined) query = query.where('account', '=', filter.account);
  if (filter.source !== undefined) query = query.where('source', '=', filter.source);
  if (filter.fingerprint !== undefined) query = query.where('fingerprint', '=', filter.fingerprint);
  if (filter.method !== undefined) query = query.where('method', '=', filter.method);
  if (filter.way !== undefined) query = query.where('way', '=', filter.way);
  if (filter.live !== undefined) query = query.where('ended_at', filter.live ? 'is' : 'is not', null);
  if (filter.until !== undefined) query = query.where('started_at', '<', filter.until);
  if (filter.since !== undefined) {
    const { since } = filter;
    query = query.where((e) => e.or([e('ended_at', 'is', null), e('ended_at', '>=', since)]));
  }
  if (after !== undefined) {
    query = query.where(
      sql<boolean>`(started_at, id) < (timestamptz 'epoch' + ${after.startedAt}::bigint * interval '1 microsecond', ${after.id})`,
    );
  }
  return query.execute();
}

export async function findConnection(
  session: Session,
  id: string,
  visibleTo: number | null,
): Promise<ConnectionRow | undefined> {
  let query = session.selectFrom('connections').selectAll().where('id', '=', id);
  if (visibleTo !== null) query = query.where('customer_id', '=', visibleTo);
  return query.executeTakeFirst();
}
