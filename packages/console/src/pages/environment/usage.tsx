/** What the environment uses: now, and as curves over an hour or a day. The curves' code is loaded when they are shown. */
import type { Environment, Usage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { usageRanges } from '@berth/contract/vocabulary';
import type { UsageRange } from '@berth/contract/vocabulary';
import { Group, SegmentedControl, Skeleton, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Suspense, lazy, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { usageQuery } from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import type { Format } from '../../i18n/format.ts';
import classes from './usage.module.css';

const Curve = lazy(() => import('./curve.tsx'));

const spans: Record<UsageRange, number> = { hour: 3600, day: 86_400 };

type Column = (number | null)[];

interface Figure {
  name: 'cpu' | 'memory' | 'gpu' | 'gpuMemory' | 'disk' | 'network';
  columns: Column[];
  /** null: there is none. */
  limit: number | null;
  format: (value: number) => string;
}

export function UsageSection({ environment: { env_id: id, status } }: { environment: Environment }) {
  const { t } = useTranslation();
  const [range, setRange] = useState<UsageRange>('hour');
  const { data, error, isPending, refetch } = useQuery({
    ...usageQuery(id, range),
    placeholderData: keepPreviousData,
  });
  const format = useFormat();
  const figures = data === undefined ? [] : figuresOf(data, format);
  const isMeasured = figures.some(({ columns }) =>
    columns.some((column) => column.some((value) => value !== null)),
  );
  return (
    <Section
      title={t('usage.title')}
      description={t('usage.what')}
      actions={
        <Group gap="xs">
          <SegmentedControl
            size="xs"
            aria-label={t('usage.range')}
            data={usageRanges.map((value) => ({ value, label: t(`usage.ranges.${value}`) }))}
            value={range}
            onChange={setRange}
          />
          <CommandHint
            what={t('usage.title')}
            equivalent={{
              command: commandLine('stats', id, '--range', range),
              request: `GET ${pathOf(routes.environmentUsage, { id })}?range=${range}`,
            }}
          />
        </Group>
      }
    >
      <ProblemAlert error={error} retry={() => void refetch()} />
      {isPending && <Skeleton height="10rem" />}
      {data !== undefined && !isMeasured && (
        <EmptyState title={t('usage.nothing')}>
          {status === 'running' ? t('usage.nothingYet') : t('usage.notRunning')}
        </EmptyState>
      )}
      {data !== undefined && isMeasured && (
        <div className={classes.figures}>
          {figures.map((figure) => (
            <FigureView
              key={figure.name}
              figure={figure}
              at={data.series.at}
              isLive={data.live !== null}
              spanSeconds={spans[data.range]}
            />
          ))}
        </div>
      )}
    </Section>
  );
}

function figuresOf({ series, limits }: Usage, format: Format): Figure[] {
  const perSecond = (value: number) => format.perSecond(value);
  const figures: (Omit<Figure, 'columns'> & { columns: (Column | null)[] })[] = [
    { name: 'cpu', columns: [series.cpu_cores], limit: limits.cpu_cores, format: format.number },
    { name: 'memory', columns: [series.memory_bytes], limit: limits.memory_bytes, format: format.bytes },
    { name: 'gpu', columns: [series.gpu_share], limit: 1, format: format.percent },
    { name: 'gpuMemory', columns: [series.gpu_memory_bytes], limit: null, format: format.bytes },
    { name: 'disk', columns: [series.disk_bytes], limit: limits.disk_bytes, format: format.bytes },
    {
      name: 'network',
      columns: [series.network_in_bytes, series.network_out_bytes],
      limit: null,
      format: perSecond,
    },
  ];
  return figures.flatMap(({ columns, ...figure }) => {
    const measured = columns.filter((column) => column !== null);
    return measured.length === columns.length ? [{ ...figure, columns: measured }] : [];
  });
}

interface ViewProps {
  figure: Figure;
  at: number[];
  isLive: boolean;
  spanSeconds: number;
}

function FigureView({ figure: { name, columns, limit, format }, at, isLive, spanSeconds }: ViewProps) {
  const { t } = useTranslation();
  const words = useFormat();
  /** Of the moment under the pointer; null: the last one. */
  const [pointed, setPointed] = useState<number | null>(null);
  const index = pointed ?? (isLive ? at.length - 1 : null);
  const values = columns.map((column) => (index === null ? null : (column[index] ?? null)));
  const say = (value: number | null) => (value === null ? t('usage.none') : format(value));
  const highest = Math.max(...columns.flat().map((value) => value ?? 0));
  return (
    <figure className={classes.figure}>
      <figcaption className={classes.caption}>
        <span>{t(`usage.names.${name}`)}</span>
        <span className={classes.value}>
          {name === 'network'
            ? t('usage.inOut', { in: say(values[0] ?? null), out: say(values[1] ?? null) })
            : limit === null || name === 'gpu'
              ? say(values[0] ?? null)
              : t('usage.ofLimit', { value: say(values[0] ?? null), limit: format(limit) })}
        </span>
        <Text size="xs" c="dimmed" className={classes.when}>
          {pointed === null
            ? t('usage.highest', { value: format(highest) })
            : words.clock(new Date((at[pointed] ?? 0) * 1000))}
        </Text>
      </figcaption>
      <Suspense fallback={<Skeleton height={120} />}>
        <Curve
          label={t('usage.curveOf', { what: t(`usage.names.${name}`) })}
          at={at}
          columns={columns}
          limit={limit}
          spanSeconds={spanSeconds}
          format={format}
          onPoint={setPointed}
        />
      </Suspense>
    </figure>
  );
}
