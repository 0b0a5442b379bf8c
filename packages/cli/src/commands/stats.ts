/** `berth stats`: what environments use. */
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { usageRanges } from '@berth/contract/vocabulary';
import type { RunningUsage, Usage, UsageRange } from '@berth/contract';
import { customerId } from '../customer.ts';
import { findEnvironment, statusSentence } from '../environment.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session } from '../session.ts';
import { sparkline } from '../sparkline.ts';
import { labelled } from '../text.ts';
import { bytesText } from '../units.ts';

interface StatsOptions extends ListOptions {
  range?: UsageRange;
  customer?: string;
}

const widestCurve = 60;

export function addStatsCommand(program: Command): void {
  addListCommand(program, 'stats', 'Show what the environments that run use, or one with its curves')
    .addArgument(new Argument('[environment]', 'its name or id'))
    .addOption(new Option('--range <range>', 'the last hour or day of one').choices(usageRanges))
    .option('--customer <customer>', 'only those of this customer')
    .action((name: string | undefined, _: object, command: Command) => {
      const options = command.optsWithGlobals<StatsOptions>();
      return name === undefined ? list(options) : show(name, options);
    });
}

async function list({ customer, limit, ...options }: StatsOptions): Promise<void> {
  const session = new Session(options);
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  const of = (text: (live: NonNullable<RunningUsage['live']>) => string) => (each: RunningUsage) =>
    each.live === null ? '-' : text(each.live);
  await answerList<RunningUsage>(session, {
    route: routes.usage,
    query: { customer_id },
    limit,
    columns: {
      NAME: ({ name }) => name,
      ID: ({ env_id }) => env_id,
      CPU: of(({ cpu_share }) => share(cpu_share)),
      CORES: ({ live, limits }) => (live === null ? '-' : cores(live, limits)),
      MEMORY: of(({ memory_share }) => share(memory_share)),
      BYTES: ({ live, limits }) => (live === null ? '-' : memory(live, limits)),
      GPU: of(({ gpu_share }) => shareOrNone(gpu_share)),
      DISK: of(({ disk_bytes }) => bytesOrNone(disk_bytes)),
      IN: of(({ network_in_bytes }) => rate(network_in_bytes)),
      OUT: of(({ network_out_bytes }) => rate(network_out_bytes)),
    },
    none: 'No environment runs.',
  });
}

async function show(name: string, options: StatsOptions): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  const { env_id: id } = environment;
  const usage = await session.client.get<Usage>(pathOf(routes.environmentUsage, { id }), {
    range: options.range,
  });
  session.answer(usage, () => {
    const heading = `${statusSentence(environment)}. Over the last ${usage.range}:`;
    return usage.series.at.length === 0
      ? `${heading} nothing was measured.`
      : `${heading}\n\n${curves(usage)}`;
  });
}

function curves({ live, limits, series }: Usage): string {
  const line = (values: (number | null)[], full: number | undefined, now: string): string =>
    `${sparkline(values, widestCurve, full)}  ${live === null ? '' : now}`.trimEnd();
  const rows: [string, string][] = [
    [
      'cpu',
      line(
        series.cpu_cores,
        limits.cpu_cores,
        live === null ? '' : `${share(live.cpu_share)}, ${cores(live, limits)}`,
      ),
    ],
    [
      'memory',
      line(
        series.memory_bytes,
        limits.memory_bytes,
        live === null ? '' : `${share(live.memory_share)}, ${memory(live, limits)}`,
      ),
    ],
  ];
  const others = [
    ['gpu', series.gpu_share, 1, shareOrNone(live?.gpu_share ?? null)],
    ['disk', series.disk_bytes, limits.disk_bytes ?? undefined, bytesOrNone(live?.disk_bytes ?? null)],
    ['in', series.network_in_bytes, undefined, rate(live?.network_in_bytes ?? null)],
    ['out', series.network_out_bytes, undefined, rate(live?.network_out_bytes ?? null)],
  ] as const;
  for (const [label, values, full, now] of others)
    if (values !== null) rows.push([label, line(values, full, now)]);
  return labelled(rows);
}

function share(value: number): string {
  return `${Math.round(value * 100)} %`;
}

function shareOrNone(value: number | null): string {
  return value === null ? '-' : share(value);
}

function cores(live: { cpu_cores: number }, limits: Usage['limits']): string {
  return `${live.cpu_cores.toFixed(2)} of ${limits.cpu_cores} cores`;
}

function memory(live: { memory_bytes: number }, limits: Usage['limits']): string {
  return `${bytesText(live.memory_bytes)} of ${bytesText(limits.memory_bytes)}`;
}

function bytesOrNone(bytes: number | null): string {
  return bytes === null ? '-' : bytesText(bytes);
}

function rate(bytes: number | null): string {
  return bytes === null ? '-' : `${bytesText(bytes)}/s`;
}
