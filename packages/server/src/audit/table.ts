/** Queries on the audit log. */
import type { AuditOutcome } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { AuditRow } from '../database/schema.ts';

export interface AuditFilters {
  /** An action, or its part before the dot. */
  action: string | undefined;
  account: string | undefined;
  customerId: number | undefined;
  target: string | undefined;
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
): Promise<AuditRow[]> {
  const { action, account, customerId, target, outcome, since, until } = filters;
  let query = session.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(limit);
  if (action !== undefined)
    query = query.where((e) =>
      e.or([e('action', '=', action), e(sql<string>`split_part(action, '.', 1)`, '=', action)]),
    );
  if (account !== undefined) query = query.where('account', '=', account);
  if (customerId !== undefined) query = query.where('customer_id', '=', customerId);
  if (target !== undefined) query = query.where('target', '=', target);
  if (outcome !== undefined) query = query.where('outcome', '=', outcome);
  if (since !== undefined) query = query.where('at', '>=', since);
  if (until !== undefined) query = query.where('at', '<', until);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.execute();
}
