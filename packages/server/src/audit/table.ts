/** Queries on the audit log. */
import type { AuditOutcome } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { AuditRow } from '../database/schema.ts';
import { sealedColumns } from './canonical.ts';
import type { SealedFields } from './canonical.ts';

export interface AuditFilters {
  /** An action, or its part before the dot. */
  action: string | undefined;
  account: string | undefined;
  customerId: number | undefined;
  target: string | undefined;
  source: string | undefined;
  outcome: AuditOutcome | undefined;
  /** From this moment on, and before that one. */
  since: Date | undefined;
  until: Date | undefined;
}

/** Newest first. */
export async function listAudit(
  session: Session,
  filters: AuditFilters,
  before: number | undefined,
  limit: number,
): Promise<ListedAudit[]> {
  let query = filtered(session, filters).select(listedColumns).orderBy('id', 'desc').limit(limit);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.execute();
}

/** Oldest first, beyond `after`: what the seal covers, to the microsecond, and the seal. */
export async function exportAudit(
  session: Session,
  filters: AuditFilters,
  after: number,
  limit: number,
): Promise<(SealedFields & { seal_id: number | null })[]> {
  const { rows } = await sql<SealedFields & { seal_id: number | null }>`
    select ${sealedColumns}, seal_id
    from ${filtered(session, filters).selectAll().where('id', '>', after).orderBy('id').limit(limit)} as audit
    order by id`.execute(session);
  return rows;
}

const listedColumns = [
  'id',
  'at',
  'action',
  'outcome',
  'account',
  'customer_id',
  'source',
  'target',
  'detail',
] as const;
export type ListedAudit = Pick<AuditRow, (typeof listedColumns)[number]>;

function filtered(session: Session, filters: AuditFilters) {
  const { action, account, customerId, target, source, outcome, since, until } = filters;
  let query = session.selectFrom('audit');
  if (action !== undefined)
    query = query.where((e) =>
      e.or([e('action', '=', action), e(sql<string>`split_part(action, '.', 1)`, '=', action)]),
    );
  if (account !== undefined) query = query.where('account', '=', account);
  if (customerId !== undefined) query = query.where('customer_id', '=', customerId);
  if (target !== undefined) query = query.where('target', '=', target);
  if (source !== undefined) query = query.where('source', '=', source);
  if (outcome !== undefined) query = query.where('outcome', '=', outcome);
  if (since !== undefined) query = query.where('at', '>=', since);
  if (until !== undefined) query = query.where('at', '<', until);
  return query;
}
