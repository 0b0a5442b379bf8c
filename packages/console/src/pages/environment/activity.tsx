/** What it uses, and who is connected just now. */
import type { Connection, Environment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { connectedQuery, endConnection } from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './environment.module.css';
import { UsageSection } from './usage.tsx';

export function Activity({ environment }: { environment: Environment }) {
  return (
    <div className={classes.stack}>
      <UsageSection environment={environment} />
      <Connected id={environment.env_id} />
    </div>
  );
}

function Connected({ id }: { id: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queryClient = useQueryClient();
  const { data, error, isPending, refetch } = useQuery(connectedQuery(id));
  const end = useMutation({
    mutationFn: endConnection,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.connections] }),
  });
  const columns: Column<Connection>[] = [
    {
      key: 'who',
      header: t('environment.who'),
      cell: ({ account, key_name, method }) => (
        <>
          {account ?? t('environment.byPassword')}
          <Text size="xs" c="dimmed">
            {key_name ?? t(`method.${method}`)}
          </Text>
        </>
      ),
    },
    {
      key: 'from',
      header: t('environment.from'),
      cell: ({ source, client }) => (
        <>
          <Text span ff="monospace" size="sm">
            {source}
          </Text>
          <Text size="xs" c="dimmed">
            {client}
          </Text>
        </>
      ),
    },
    { key: 'way', header: t('environment.way'), cell: ({ way }) => t(`way.${way}`), wideOnly: true },
    {
      key: 'since',
      header: t('environment.since'),
      cell: ({ started_at }) => <Ago at={started_at} />,
      wideOnly: true,
    },
    {
      key: 'bytes',
      header: t('environment.bytes'),
      cell: ({ bytes_in, bytes_out }) =>
        t('environment.inOut', { in: format.bytes(bytes_in), out: format.bytes(bytes_out) }),
      wideOnly: true,
    },
    {
      key: 'end',
      header: t('environment.disconnect'),
      align: 'right',
      cell: ({ id: connection, source }) => (
        <>
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t('environment.disconnectFrom', { source })}
            loading={end.isPending && end.variables === connection}
            onClick={() => end.mutate(connection)}
          >
            {t('environment.disconnect')}
          </Button>
          <CommandHint
            what={t('environment.disconnectFrom', { source })}
            equivalent={{
              command: commandLine('connections', 'kill', connection),
              request: `DELETE ${pathOf(routes.connection, { id: connection })}`,
            }}
          />
        </>
      ),
    },
  ];
  return (
    <Section title={t('environment.connected')} description={t('environment.connectedWhat')}>
      <ProblemAlert error={end.error} />
      <DataTable
        label={t('environment.connected')}
        columns={columns}
        listing={{
          rows: data?.items ?? [],
          isPending,
          error,
          hasMore: false,
          isLoadingMore: false,
          loadMore: () => undefined,
          reload: () => void refetch(),
        }}
        rowKey={({ id: connection }) => connection}
        empty={<EmptyState title={t('environment.nobody')} />}
      />
    </Section>
  );
}
