/** What the health of the platform is read from. */
import { sql } from 'kysely';
import { silenceSeconds } from '../connections/table.ts';
import type { Session } from '../database/database.ts';

export interface GatewayWorker {
  id: string;
  host: string;
  version: string;
  started_at: Date;
  seen_at: Date;
  connections: number;
  draining: boolean;
}

/** Those that were heard of a short while ago, by host. */
export async function liveGateways(session: Session): Promise<GatewayWorker[]> {
  return session
    .selectFrom('gateways')
    .select(['id', 'host', 'version', 'started_at', 'seen_at', 'connections', 'draining'])
    .where('ended_at', 'is', null)
    .where('seen_at', '>', sql<Date>`now() - make_interval(secs => ${sql.lit(silenceSeconds)})`)
    .orderBy('host')
    .orderBy('started_at')
    .execute();
}

/** Environments that wait for somebody to work on them. */
export async function queueOf(session: Session): Promise<{ waiting: number; oldestDueAt: Date | null }> {
  const { rows } = await sql<{ waiting: number; oldest: Date | null }>`
    select count(*) as waiting, min(due_at) as oldest from environments
    where due_at <= now() and (lease_until is null or lease_until < now())`.execute(session);
  return { waiting: rows[0]?.waiting ?? 0, oldestDueAt: rows[0]?.oldest ?? null };
}

export async function unsealedOf(session: Session): Promise<{ rows: number; oldestAt: Date | null }> {
  const { rows } = await sql<{ count: number; oldest: Date | null }>`
    select count(*) as count, min(at) as oldest from audit where seal_id is null`.execute(session);
  return { rows: rows[0]?.count ?? 0, oldestAt: rows[0]?.oldest ?? null };
}

/** By the audit log, as long as that keeps it. */
export async function lastBackupAt(session: Session): Promise<Date | null> {
  const row = await session
    .selectFrom('audit')
    .select('at')
    .where('action', '=', 'backup.make')
    .where('outcome', '=', 'done')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.at ?? null;
}
