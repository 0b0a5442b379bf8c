/** Queries on what environments have used, a row a minute. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { UsageMinute } from './minutes.ts';
import type { UsageSample } from './samples.ts';

/** One statement. A minute that another server has written stays as it is. */
export async function insertMinutes(session: Session, minutes: UsageMinute[]): Promise<void> {
  const rows = minutes.map(({ envId, at, ...values }) => ({ env_id: envId, at: new Date(at), ...values }));
  await sql`
    insert into environment_usage (env_id, at, cpu_cores, memory_bytes, gpu_share, gpu_memory_bytes, disk_bytes,
      network_in_bytes, network_out_bytes)
    select env_id, at, cpu_cores, memory_bytes, gpu_share, gpu_memory_bytes, disk_bytes, network_in_bytes,
      network_out_bytes
    from json_to_recordset(${JSON.stringify(rows)}::json) as r(env_id text, at timestamptz, cpu_cores real,
      memory_bytes double precision, gpu_share real, gpu_memory_bytes double precision,
      disk_bytes double precision, network_in_bytes real, network_out_bytes real)
    on conflict do nothing`.execute(session);
}

/** First to last, put together to steps of so many seconds. As one text, which the embedded database hands over sooner. */
export async function readMinutes(
  session: Session,
  envId: string,
  since: Date,
  stepSeconds: number,
): Promise<UsageSample[]> {
  const step = sql.lit(stepSeconds);
  const { rows } = await sql<{ samples: string }>`
    select coalesce(json_agg(s order by at), '[]')::text as samples from (
      select floor(extract(epoch from at) / ${step}) * ${step} * 1000 as at,
        avg(cpu_cores) as cpu_cores, max(memory_bytes) as memory_bytes,
        avg(gpu_share) as gpu_share, max(gpu_memory_bytes) as gpu_memory_bytes, max(disk_bytes) as disk_bytes,
        avg(network_in_bytes) as network_in_bytes, avg(network_out_bytes) as network_out_bytes
      from environment_usage where env_id = ${envId} and at >= ${since} group by 1
    ) s`.execute(session);
  return JSON.parse(rows[0]?.samples ?? '[]') as UsageSample[];
}
