import type { Lockout } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, Text, VisuallyHidden } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { unlock } from '../../api/environments.ts';
import { useListing } from '../../api/list.ts';
import { visible } from '../../app/visible.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './controls.module.css';
import { Until } from './until.tsx';

/** They begin and end by themselves. */
const everyMs = 5000;

interface Props {
  environment: string | undefined;
  source: string | undefined;
  /** Also those that are over. */
  all: boolean;
}

export function LockoutTable({ environment, source, all }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const queryClient = useQueryClient();
  const listing = useListing<Lockout>(
    routes.lockouts,
    { env_id: environment, source, ...(all ? { all } : {}) },
    everyMs,
  );
  const lift = useMutation({
    mutationFn: unlock,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.lockouts] }),
  });
  const columns: Column<Lockout>[] = [
    {
      key: 'source',
      header: t('controls.source'),
      cell: (lockout) => (
        <>
          <Mono>{lockout.source}</Mono>
          <div className={classes.narrow}>
            <Target lockout={lockout} />
          </div>
        </>
      ),
    },
    {
      key: 'target',
      header: t('controls.target'),
      cell: (lockout) => <Target lockout={lockout} />,
      wideOnly: true,
    },
    {
      key: 'failures',
      header: t('controls.failures'),
      align: 'right',
      cell: ({ failures }) => format.number(failures),
      wideOnly: true,
    },
    {
      key: 'since',
      header: t('controls.since'),
      cell: ({ locked_at }) => <Ago at={locked_at} />,
      wideOnly: true,
    },
    { key: 'until', header: t('controls.until'), cell: (lockout) => <Until of={lockout} /> },
    {
      key: 'unlock',
      header: <VisuallyHidden>{t('controls.unlock')}</VisuallyHidden>,
      align: 'right',
      cell: ({ id, target, source: from, until, cleared_at }) =>
        cleared_at === null &&
        Date.parse(until) > Date.now() && (
          <Group gap={4} justify="flex-end" wrap="nowrap">
            <CommandHint
              what={t('controls.unlockOf', { source: from, target })}
              equivalent={{
                command: commandLine('lockouts clear', String(id)),
                request: `DELETE ${pathOf(routes.lockout, { id: String(id) })}`,
              }}
            />
            <Button
              size="compact-sm"
              variant="default"
              aria-label={t('controls.unlockOf', { source: from, target })}
              loading={lift.isPending && lift.variables === id}
              onClick={() => lift.mutate(id)}
            >
              {t('controls.unlock')}
            </Button>
          </Group>
        ),
    },
  ];
  return (
    <>
      <ProblemAlert error={lift.error} />
      <DataTable
        label={t('controls.views.lockouts')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState title={t('controls.noLockouts')} command={commandLine('lockouts list')}>
            {t('controls.noLockoutsWhat')}
          </EmptyState>
        }
      />
    </>
  );
}

function Target({ lockout: { target, env_id } }: { lockout: Lockout }) {
  const { t } = useTranslation();
  if (env_id !== null) {
    return (
      <AnchorLink to="/environments/$id" params={{ id: env_id }} ff="monospace" size="sm">
        {env_id}
      </AnchorLink>
    );
  }
  return (
    <>
      <Mono>{visible(target)}</Mono>
      <Text size="xs" c="dimmed">
        {t('controls.noEnvironment')}
      </Text>
    </>
  );
}
