/** Queries on quotas: the limits of customers, and what they use. */
import type { Limits, Quota } from '@berth/contract';
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Session } from '../database/database.ts';

/** cpu in cores, memory and storage in GiB, gpu in devices. */
export type Use = Quota['used'];

export interface QuotaRow {
  id: number;
  name: string;
  limits: Limits;
  used: Use;
}

const noLimits: Limits = { environments: null, cpu: null, memory: null, gpu: null, storage: null };

/**
 * What each environment of a customer counts for: cores, memory and devices while it shall run, storage for as long
 * as its files are there.
 */
const countedOf = (customerId: RawBuilder<unknown>) => sql`
  select id, 1 as environments, storage,
    case when runs then coalesce((run_resources->>'cpu')::double precision, cpu) else 0 end as cpu,
    case when runs then coalesce((run_resources->>'memory')::double precision, memory) else 0 end as memory,
    case when runs then coalesce((run_resources->>'gpu')::integer, gpu) else 0 end as gpu
  from (
    select *, wanted = 'running' and status <> 'failed' as runs from environments
    where customer_id = ${customerId} and status <> 'deleted'
  ) there
  union all
  select id, 0, storage, 0, 0, 0 from environments
  where customer_id = ${customerId} and storage_kept_since is not null and status = 'deleted'`;

const sums = sql`
  coalesce(sum(environments), 0)::integer as environments,
  coalesce(sum(cpu), 0)::double precision as cpu,
  coalesce(sum(memory), 0)::double precision as memory,
  coalesce(sum(gpu), 0)::integer as gpu,
  coalesce(sum(storage), 0)::double precision as storage`;

/** Customers by id; those that are deleted are left out. */
export async function listQuotas(
  session: Session,
  options: { customerId: number | null; after: number; limit: number },
): Promise<QuotaRow[]> {
  const { customerId, after, limit } = options;
  const result = await sql<{ id: number; name: string; limits: Limits | null; used: Use }>`
    select c.id, c.name, to_jsonb(q) - 'customer_id' as limits, to_jsonb(u) as used
    from (
      select id, name from customers
      where deleted_at is null and id > ${after}::bigint
        and (${customerId}::integer is null or id = ${customerId}::integer)
      order by id limit ${limit}::integer
    ) c
    left join quotas q on q.customer_id = c.id
    cross join lateral (select ${sums} from (${countedOf(sql.ref('c.id'))}) counted) u
    order by c.id
  `.execute(session);
  return result.rows.map(({ id, name, limits, used }) => ({
    id,
    name,
    limits: limits ?? noLimits,
    used: rounded(used),
  }));
}

/** What the customer uses beside one environment, and what that one does. */
export async function useBeside(
  session: Session,
  customerId: number,
  environmentId: string | null,
): Promise<{ others: Use; own: Use }> {
  const result = await sql<Use & { own: boolean }>`
    select coalesce(id = ${environmentId}::text, false) as own, ${sums}
    from (${countedOf(sql`${customerId}::integer`)}) counted
    group by 1
  `.execute(session);
  const useOf = (own: boolean) => {
    const { environments, cpu, memory, gpu, storage } = result.rows.find((row) => row.own === own) ?? nothing;
    return rounded({ environments, cpu, memory, gpu, storage });
  };
  return { others: useOf(false), own: useOf(true) };
}

const nothing: Use = { environments: 0, cpu: 0, memory: 0, gpu: 0, storage: 0 };

/** Tenths do not add up to whole numbers in binary: 0.1 and 0.2 are to fit into 0.3. */
function rounded(use: Use): Use {
  const round = (value: number) => Math.round(value * 1e6) / 1e6;
  return { ...use, cpu: round(use.cpu), memory: round(use.memory), storage: round(use.storage) };
}

export async function readLimits(session: Session, customerId: number): Promise<Limits> {
  const row = await session
    .selectFrom('quotas')
    .select(['environments', 'cpu', 'memory', 'gpu', 'storage'])
    .where('customer_id', '=', customerId)
    .executeTakeFirst();
  return row ?? noLimits;
}

export async function writeLimits(session: Session, customerId: number, limits: Limits): Promise<void> {
  await session
    .insertInto('quotas')
    .values({ customer_id: customerId, ...limits })
    .onConflict((conflict) => conflict.column('customer_id').doUpdateSet(limits))
    .execute();
}
