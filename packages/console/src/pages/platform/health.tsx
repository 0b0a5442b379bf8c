/** How each part of this Berth is, as its server finds it, and what helps. */
import type { HealthCheck, PlatformHealth } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Center, Loader, Stack, Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconCircleX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { listingOf } from '../../api/list.ts';
import { healthQuery, platformQuery } from '../../api/platform.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useFinding } from './finding.ts';
import classes from './platform.module.css';

export function HealthPage() {
  const { t } = useTranslation();
  const health = useQuery(healthQuery);
  const { data, error, refetch } = health;
  return (
    <>
      <PageHeader
        title={t('platform.health')}
        beside={data && <Mark result={data.result} />}
        description={t('platform.healthWhat')}
        actions={
          <CommandHint
            what={t('platform.health')}
            equivalent={{ command: commandLine('health'), request: `GET ${routes.platformHealth}` }}
          />
        }
      />
      <ProblemAlert error={error} retry={() => void refetch()} />
      {data === undefined && error === null && (
        <Center mih="8rem">
          <Loader size="sm" aria-label={t('common.loading')} />
        </Center>
      )}
      {data && (
        <Stack gap="2.5rem">
          <ul className={classes.checks}>
            {data.checks.map((check) => (
              <Check key={check.name} check={check} />
            ))}
          </ul>
          <Gateways workers={data.gateways} />
          <About versions={data.versions} />
        </Stack>
      )}
    </>
  );
}

const icons = {
  ok: IconCircleCheck,
  unknown: IconCircleDashed,
  warning: IconAlertTriangle,
  failed: IconCircleX,
};

/** A shape and a word, never a colour alone. */
function Mark({ result }: { result: HealthCheck['result'] }) {
  const { t } = useTranslation();
  const Icon = icons[result];
  return (
    <span className={classes.mark} data-result={result}>
      <Icon size={17} aria-hidden />
      {t(`platform.results.${result}`)}
    </span>
  );
}

function Check({ check }: { check: HealthCheck }) {
  const { t } = useTranslation();
  const { name, result, cure } = check;
  const finding = useFinding();
  return (
    <li className={classes.check}>
      <span className={classes.what}>{t(`platform.checks.${name}`)}</span>
      <Mark result={result} />
      <span>
        {finding(check)}
        {cure !== null && <div className={classes.cure}>{t(`platform.cures.${name}`)}</div>}
      </span>
    </li>
  );
}

type Worker = PlatformHealth['gateways'][number];

function Gateways({ workers }: { workers: Worker[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const columns: Column<Worker>[] = [
    {
      key: 'host',
      header: t('platform.host'),
      cell: ({ host, id }) => (
        <>
          {host}
          <Text size="xs" c="dimmed" ff="monospace">
            {id}
          </Text>
        </>
      ),
    },
    {
      key: 'state',
      header: t('platform.state'),
      cell: ({ draining }) => (draining ? t('platform.draining') : t('platform.serving')),
    },
    {
      key: 'connections',
      header: t('platform.connections'),
      align: 'right',
      cell: ({ connections }) => format.number(connections),
    },
    { key: 'version', header: t('platform.version'), cell: ({ version }) => version, wideOnly: true },
    {
      key: 'started',
      header: t('platform.started'),
      cell: ({ started_at }) => <Ago at={started_at} />,
      wideOnly: true,
    },
  ];
  return (
    <Section title={t('platform.gateways')} description={t('platform.gatewaysWhat')}>
      <DataTable
        label={t('platform.gateways')}
        columns={columns}
        listing={listingOf(workers)}
        rowKey={({ id }) => id}
        empty={<EmptyState title={t('platform.noGateways')}>{t('platform.noGatewaysWhat')}</EmptyState>}
      />
    </Section>
  );
}

function About({ versions }: { versions: PlatformHealth['versions'] }) {
  const { t } = useTranslation();
  const { data: platform, error } = useQuery(platformQuery);
  return (
    <>
      <Section title={t('platform.about')}>
        <ProblemAlert error={error} />
        <Facts
          facts={[
            [t('platform.berth'), versions.berth],
            [t('platform.node'), versions.node],
            [t('platform.database'), versions.database],
            [t('platform.runtime'), platform?.runtime],
            [t('platform.installation'), platform && <Mono>{platform.installation_id}</Mono>],
          ]}
        />
      </Section>
      {platform && platform.notes.length > 0 && (
        <Section title={t('platform.notes')} description={t('platform.notesWhat')}>
          <ul className={classes.lines}>
            {platform.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </Section>
      )}
      {platform && platform.unclaimed.length > 0 && (
        <Section title={t('platform.unclaimed')} description={t('platform.unclaimedWhat')}>
          <ul className={classes.lines}>
            {platform.unclaimed.map(({ kind, name, env_id }) => (
              <li key={`${kind} ${name}`}>
                {kind} <Mono>{name}</Mono> (<Mono>{env_id}</Mono>)
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title={t('platform.doctor')} description={t('platform.doctorWhat')}>
        <CopyField value={commandLine('doctor')} label={t('platform.doctor')} />
      </Section>
    </>
  );
}
