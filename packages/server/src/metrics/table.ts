/** What the metrics count in the database. */
import type { Status, WayIn } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';

export interface Work {
  byStatus: Partial<Record<Status, number>>;
  byFailure: Record<string, number>;
  waiting: number;
  working: number;
}

export async function readWork(session: Session): Promise<Work> {
  const { rows } = await sql<{
    status: Status;
    code: string | null;
    count: number;
    waiting: number;
    working: number;
  }>`
    select status, case when status = 'failed' then failure_code end as code, count(*) as count,
      count(*) filter (where due_at <= now() and (lease_until is null or lease_until < now())) as waiting,
      count(*) filter (where lease_until >= now()) as working
    from environments where status <> 'deleted' group by 1, 2`.execute(session);
  const work: Work = { byStatus: {}, byFailure: {}, waiting: 0, working: 0 };
  for (const { status, code, count, waiting, working } of rows) {
    work.byStatus[status] = (work.byStatus[status] ?? 0) + count;
    if (code !== null) work.byFailure[code] = (work.byFailure[code] ?? 0) + count;
    work.waiting += waiting;
    work.working += working;
  }
  return work;
}

export interface Controls {
  /** Connections that are open now, by way in. */
  byWay: Partial<Record<WayIn, number>>;
  lockouts: number;
  bans: number;
  gateways: { serving: number; draining: number };
  unsealed: number;
}

export async function readControls(session: Session): Promise<Controls> {
  const { rows: ways } = await sql<{ way: WayIn; count: number }>`
    select way, count(*) as count from connections where ended_at is null group by way`.execute(session);
  const { rows } = await sql<{
    lockouts: number;
    bans: number;
    serving: number;
    draining: number;
    unsealed: number;
  }>`
    select
      (select count(*) from lockouts where cleared_at is null and until > now()) as lockouts,
      (select count(*) from bans where cleared_at is null and until > now()) as bans,
      (select count(*) from gateways where ${gatewayLives} and not draining) as serving,
      (select count(*) from gateways where ${gatewayLives} and draining) as draining,
      (select count(*) from audit where seal_id is null) as unsealed`.execute(session);
  const { lockouts = 0, bans = 0, serving = 0, draining = 0, unsealed = 0 } = rows[0] ?? {};
  return {
    byWay: Object.fromEntries(ways.map(({ way, count }) => [way, count])),
    lockouts,
    bans,
    gateways: { serving, draining },
    unsealed,
  };
}

/** Workers report every five seconds. */
const gatewayLives = sql`ended_at is null and seen_at > now() - interval '30 seconds'`;
