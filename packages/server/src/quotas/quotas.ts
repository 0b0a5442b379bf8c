/**
 * The rules of quotas: what each customer may use, and whether what is asked for fits in.
 *
 * Environments and storage count for as long as they are there, kept files included; cores, memory and devices count
 * for the environments that shall run.
 */
import { BerthError, quotaLimits } from '@berth/contract';
import type { Limits, Quota, QuotaLimit, SetLimits } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import type { Database, Session } from '../database/database.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { lockCustomer } from '../customers/table.ts';
import { listQuotas, readLimits, useBeside, writeLimits } from './table.ts';
import type { QuotaRow, Use } from './table.ts';

const units: Record<QuotaLimit, string> = {
  environments: 'environments',
  cpu: 'cores',
  memory: 'GiB',
  gpu: 'devices',
  storage: 'GiB',
};

/** What a request will have an environment use, in all. */
export interface Change extends Use {
  /** The environment that it changes, or the one whose kept files it takes over; null: it makes a new one. */
  excludeId: string | null;
}

/**
 * Call it in the transaction of the request, with the customer's row locked: then of many requests at once only as
 * many get through as fit. What uses no more than before is let through, even where the limit was lowered since.
 *
 * @throws BerthError `quota_exceeded`
 */
export async function mustFit(session: Session, customerId: number, change: Change): Promise<void> {
  const limits = await readLimits(session, customerId);
  if (quotaLimits.every((name) => limits[name] === null)) return;
  const { others, own } = await useBeside(session, customerId, change.excludeId);
  for (const name of quotaLimits) {
    const limit = limits[name];
    const asked = change[name];
    if (limit === null || asked <= own[name] || others[name] + asked <= limit + tolerance) continue;
    const unit = limit === 1 ? units[name].replace(/s$/, '') : units[name];
    throw new BerthError(
      'quota_exceeded',
      `${name}: the limit of ${limit} ${unit} is reached: ${others[name]} in use, ${asked} asked for.`,
      name === 'environments' ? {} : { field: `resources.${name}` },
    );
  }
}

/** Far below what anybody can ask for, far above what adding up gets wrong. */
const tolerance = 1e-6;

export async function quotasOf(
  database: Database,
  principal: Principal,
  { limit = 100, cursor }: { limit?: number; cursor?: string },
): Promise<Page<Quota>> {
  const rows = await listQuotas(database, {
    customerId: visibleCustomer(principal),
    after: (readCursor(cursor, ['number'])?.[0] as number | undefined) ?? 0,
    limit: limit + 1,
  });
  return pageOf(rows, limit, ({ id }) => [id], presentQuota);
}

/** @throws BerthError `not_found` */
export async function quotaOf(database: Database, principal: Principal, customerId: number): Promise<Quota> {
  const visible = visibleCustomer(principal);
  if (visible !== null && visible !== customerId) throw noSuchCustomer(customerId);
  return readQuota(database, customerId);
}

/** Limits that are left out stay as they are. @throws BerthError `not_found` */
export async function setLimits(
  database: Database,
  actor: Actor,
  customerId: number,
  change: SetLimits,
): Promise<Quota> {
  return database.transaction().execute(async (transaction) => {
    // With the customer's lock no request is measured by the old limits while these are written.
    await lockCustomer(transaction, customerId);
    const { customer, limits: before } = await readQuota(transaction, customerId);
    const after: Limits = { ...before, ...change };
    await writeLimits(transaction, customerId, after);
    await audit(transaction, actor, {
      action: 'quota.set',
      target: customer,
      customerId,
      detail: { before, after },
    });
    return readQuota(transaction, customerId);
  });
}

async function readQuota(session: Session, customerId: number): Promise<Quota> {
  const [row] = await listQuotas(session, { customerId, after: 0, limit: 1 });
  if (!row) throw noSuchCustomer(customerId);
  return presentQuota(row);
}

function noSuchCustomer(customerId: number): BerthError {
  return new BerthError('not_found', `There is no customer ${customerId}.`);
}

function presentQuota({ id, name, limits, used }: QuotaRow): Quota {
  return { customer_id: id, customer: name, limits, used };
}
