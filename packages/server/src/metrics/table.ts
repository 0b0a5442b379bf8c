/** What the metrics count in the database. */
import type { Status } from '@berth/contract';
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
