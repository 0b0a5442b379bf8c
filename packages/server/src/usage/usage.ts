/** What environments use, as the API shows it. */
import type { ListUsage, Resources, RunningUsagePage, Usage, UsageNow, UsageRange } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { getEnvironment } from '../environments/environments.ts';
import { resourcesOf } from '../environments/resources.ts';
import { listEnvironments } from '../environments/table.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import { lastingFolders } from '../runtime/runtime.ts';
import { hourMs, sampleEveryMs } from './collector.ts';
import { minuteMs } from './minutes.ts';
import { nothingMeasured, usageColumns } from './samples.ts';
import type { UsageSample, UsageValues } from './samples.ts';
import { readMinutes } from './table.ts';

const gibibyte = 1024 ** 3;
const stepOfDayMs = 5 * minuteMs;
/** Where nothing was measured for so long there is a gap; a runtime may tell every half minute only. */
const gapMs = { sample: 75_000, minute: 2.5 * minuteMs, stepOfDay: 2.5 * stepOfDayMs };

type UsageServices = Pick<Services, 'database' | 'platform' | 'usage'>;

/** @throws BerthError `not_found` */
export async function environmentUsage(
  services: Services,
  principal: Principal,
  id: string,
  range: UsageRange,
): Promise<Usage> {
  const { resources, running_resources } = await getEnvironment(services, principal, id);
  const limits = limitsOf(services, running_resources ?? resources);
  const samples = range === 'hour' ? await hourOf(services, id) : await dayOf(services, id);
  return {
    env_id: id,
    limits,
    live: liveOf(services, id, limits),
    range,
    step_seconds: (range === 'hour' ? sampleEveryMs : stepOfDayMs) / 1000,
    series: seriesOf(samples),
  };
}

/** Those that run, by name. */
export async function runningUsage(
  services: UsageServices,
  principal: Principal,
  { limit = 100, cursor, customer_id }: ListUsage,
): Promise<RunningUsagePage> {
  const [value, id] = (readCursor(cursor, ['string', 'string']) ?? []) as string[];
  const rows = await listEnvironments(
    services.database,
    {
      visibleTo: visibleCustomer(principal),
      customerId: customer_id,
      name: undefined,
      search: undefined,
      status: ['running', 'stopping'],
      image: undefined,
    },
    {
      sort: 'name',
      descending: false,
      after: value === undefined || id === undefined ? undefined : { value, id },
      limit: limit + 1,
    },
  );
  return pageOf(
    rows,
    limit,
    (row) => [row.position, row.id],
    (row) => {
      const limits = limitsOf(services, row.running_resources ?? resourcesOf(row));
      const { id: env_id, name, customer_id } = row;
      return { env_id, name, customer_id, limits, live: liveOf(services, env_id, limits) };
    },
  );
}

function limitsOf(
  { platform: { cpuCores, storageEnforced } }: UsageServices,
  { cpu, memory, gpu, storage }: Resources,
): Usage['limits'] {
  return {
    cpu_cores: Math.min(cpu, cpuCores),
    memory_bytes: Math.round(memory * gibibyte),
    gpus: gpu,
    disk_bytes: storageEnforced ? Math.round(storage * gibibyte) * Object.keys(lastingFolders).length : null,
  };
}

function liveOf({ usage }: UsageServices, id: string, limits: Usage['limits']): UsageNow | null {
  const sample = usage.live(id);
  if (sample === null) return null;
  const { at, cpu_cores, memory_bytes, ...others } = sample;
  return {
    at: new Date(at).toISOString(),
    cpu_cores: cpu_cores ?? 0,
    cpu_share: (cpu_cores ?? 0) / limits.cpu_cores,
    memory_bytes: memory_bytes ?? 0,
    memory_share: (memory_bytes ?? 0) / limits.memory_bytes,
    ...others,
  };
}

/** As it was measured; before this server's first measurement by the minute. */
async function hourOf({ database, usage }: UsageServices, id: string): Promise<UsageSample[]> {
  const measured = usage.lastHour(id);
  const from = Date.now() - hourMs;
  const first = measured[0]?.at ?? Infinity;
  const minutes =
    first - from < 2 * minuteMs ? [] : await readMinutes(database, id, new Date(from), minuteMs / 1000);
  const earlier = minutes.filter(({ at }) => at + minuteMs <= first);
  return withGaps([...earlier, ...measured], (index) =>
    index < earlier.length ? gapMs.minute : gapMs.sample,
  );
}

async function dayOf({ database }: UsageServices, id: string): Promise<UsageSample[]> {
  const since = new Date(Date.now() - 24 * hourMs);
  const minutes = await readMinutes(database, id, since, stepOfDayMs / 1000);
  return withGaps(minutes, () => gapMs.stepOfDay);
}

/** A moment without values stands where some are missing, so that no curve is drawn across. */
function withGaps(samples: UsageSample[], gapAfter: (index: number) => number): UsageSample[] {
  return samples.flatMap((sample, index) => {
    const next = samples[index + 1];
    return next && next.at - sample.at > gapAfter(index)
      ? [sample, { at: (sample.at + next.at) / 2, ...nothingMeasured }]
      : [sample];
  });
}

function seriesOf(samples: UsageSample[]): Usage['series'] {
  const columns = usageColumns.map((name) => [name, samples.map((sample) => rounded(name, sample[name]))]);
  const series = Object.fromEntries(columns) as Record<keyof UsageValues, (number | null)[]>;
  const orNull = (column: (number | null)[]) => (column.every((value) => value === null) ? null : column);
  return {
    at: samples.map(({ at }) => Math.round(at / 1000)),
    cpu_cores: series.cpu_cores,
    memory_bytes: series.memory_bytes,
    gpu_share: orNull(series.gpu_share),
    gpu_memory_bytes: orNull(series.gpu_memory_bytes),
    disk_bytes: orNull(series.disk_bytes),
    network_in_bytes: orNull(series.network_in_bytes),
    network_out_bytes: orNull(series.network_out_bytes),
  };
}

/** Shares and cores to the thousandth, bytes to whole ones: a curve shows no more. */
function rounded(column: keyof UsageValues, value: number | null): number | null {
  if (value === null) return null;
  return column === 'cpu_cores' || column === 'gpu_share'
    ? Math.round(value * 1000) / 1000
    : Math.round(value);
}
