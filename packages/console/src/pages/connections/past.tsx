/** Who was there, as long as records are kept. */
import type { Connection } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Text } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { visible } from '../../app/visible.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { usePeriod } from '../../components/filter-period.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useColumns, useOpen } from './columns.tsx';
import { ConnectionDetail } from './detail.tsx';
import { ConnectionFilters, isFiltered, queryOf } from './filters.tsx';

const route = getRouteApi('/signed-in/connections');

export function PastConnections() {
  const { t } = useTranslation();
  const format = useFormat();
  const search = route.useSearch();
  const listing = useListing<Connection>(routes.connections, {
    ...queryOf(search),
    ...usePeriod(search),
    live: false,
  });
  const open = useOpen();
  const columns = useColumns();
  const started: Column<Connection> = {
    key: 'started',
    header: t('connections.started'),
    cell: ({ started_at, ended_at }) => (
      <>
        <Ago at={started_at} />
        <Text size="xs" c="dimmed">
          {ended_at !== null && format.duration((Date.parse(ended_at) - Date.parse(started_at)) / 1000)}
        </Text>
      </>
    ),
  };
  const ended: Column<Connection> = {
    key: 'ended',
    header: t('connections.ended'),
    cell: ({ end_reason }) => (
      <Text size="sm" lineClamp={2} maw="14rem">
        {visible(end_reason ?? '')}
      </Text>
    ),
    wideOnly: true,
  };
  return (
    <>
      <ConnectionFilters withPeriod />
      <DataTable
        label={t('connections.views.past')}
        columns={[
          columns.environment,
          columns.who,
          columns.source,
          columns.way,
          started,
          columns.traffic,
          ended,
        ]}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          isFiltered(search) ? (
            <EmptyState title={t('filter.nothing')}>{t('filter.nothingWhat')}</EmptyState>
          ) : (
            <EmptyState
              title={t('connections.nonePast')}
              command={commandLine('connections list', '--ended')}
            >
              {t('connections.nonePastWhat')}
            </EmptyState>
          )
        }
      />
      {search.open !== undefined && (
        <ConnectionDetail
          id={search.open}
          listed={listing.rows.find(({ id }) => id === search.open)}
          close={() => open(undefined)}
        />
      )}
    </>
  );
}
