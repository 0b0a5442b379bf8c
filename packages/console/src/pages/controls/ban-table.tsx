import type { Ban } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, VisuallyHidden } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { liftBan } from '../../api/controls.ts';
import { useListing } from '../../api/list.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { Until } from './until.tsx';

/** They begin and end by themselves. */
const everyMs = 5000;

interface Props {
  source: string | undefined;
  /** Also those that are over. */
  all: boolean;
}

export function BanTable({ source, all }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const queryClient = useQueryClient();
  const listing = useListing<Ban>(routes.bans, { source, ...(all ? { all } : {}) }, everyMs);
  const lift = useMutation({
    mutationFn: liftBan,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.bans] }),
  });
  const columns: Column<Ban>[] = [
    { key: 'source', header: t('controls.source'), cell: ({ source: from }) => <Mono>{from}</Mono> },
    {
      key: 'failures',
      header: t('controls.failures'),
      align: 'right',
      cell: ({ failures }) => format.number(failures),
    },
    {
      key: 'since',
      header: t('controls.since'),
      cell: ({ banned_at }) => <Ago at={banned_at} />,
      wideOnly: true,
    },
    { key: 'until', header: t('controls.until'), cell: (ban) => <Until of={ban} /> },
    {
      key: 'lift',
      header: <VisuallyHidden>{t('controls.lift')}</VisuallyHidden>,
      align: 'right',
      cell: ({ id, source: from, until, cleared_at }) =>
        cleared_at === null &&
        Date.parse(until) > Date.now() && (
          <Group gap={4} justify="flex-end" wrap="nowrap">
            <CommandHint
              what={t('controls.liftOf', { source: from })}
              equivalent={{
                command: commandLine('bans clear', String(id)),
                request: `DELETE ${pathOf(routes.ban, { id: String(id) })}`,
              }}
            />
            <Button
              size="compact-sm"
              variant="default"
              aria-label={t('controls.liftOf', { source: from })}
              loading={lift.isPending && lift.variables === id}
              onClick={() => lift.mutate(id)}
            >
              {t('controls.lift')}
            </Button>
          </Group>
        ),
    },
  ];
  return (
    <>
      <ProblemAlert error={lift.error} />
      <DataTable
        label={t('controls.views.bans')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState title={t('controls.noBans')} command={commandLine('bans list')}>
            {t('controls.noBansWhat')}
          </EmptyState>
        }
      />
    </>
  );
}
