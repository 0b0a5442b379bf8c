/** Who is there now. The numbers come again and again; one or several connections can be ended. */
import type { Connection } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Checkbox, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { liveEveryMs } from '../../api/connections.ts';
import { endConnection } from '../../api/environments.ts';
import { useListing } from '../../api/list.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { Lasting } from '../../components/time.tsx';
import { useColumns, useOpen } from './columns.tsx';
import classes from './connections.module.css';
import { ConnectionDetail } from './detail.tsx';
import { ConnectionFilters, isFiltered, queryOf } from './filters.tsx';

const route = getRouteApi('/signed-in/connections');

export function LiveConnections() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const listing = useListing<Connection>(routes.connections, { ...queryOf(search), live: true }, liveEveryMs);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [asked, setAsked] = useState<Connection[] | null>(null);
  const [ending, setEnding] = useState<readonly string[]>([]);
  const open = useOpen();
  const columns = useColumns();
  // Those that are over are in the list no more.
  const endable = listing.rows.filter(({ id, gateway }) => gateway !== null && !ending.includes(id));
  const toEnd = endable.filter(({ id }) => chosen.includes(id));
  const toggle = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  const select: Column<Connection> = {
    key: 'select',
    header: (
      <Checkbox
        size="xs"
        aria-label={t('connections.selectAll')}
        disabled={endable.length === 0}
        checked={toEnd.length > 0 && toEnd.length === endable.length}
        indeterminate={toEnd.length > 0 && toEnd.length < endable.length}
        onChange={() => setChosen(toEnd.length === endable.length ? [] : endable.map(({ id }) => id))}
      />
    ),
    cell: ({ id, env_id, source, gateway }) => (
      <Checkbox
        size="xs"
        aria-label={t('connections.selectOne', { environment: env_id, source })}
        disabled={gateway === null || ending.includes(id)}
        checked={chosen.includes(id) && !ending.includes(id)}
        onChange={() => toggle(id)}
      />
    ),
  };
  const since: Column<Connection> = {
    key: 'since',
    header: t('connections.since'),
    cell: ({ started_at }) => <Lasting since={started_at} />,
    wideOnly: true,
  };
  const end: Column<Connection> = {
    key: 'end',
    header: <VisuallyHidden>{t('connections.end')}</VisuallyHidden>,
    align: 'right',
    cell: (connection) => (
      <End
        connection={connection}
        isEnding={ending.includes(connection.id)}
        end={() => setAsked([connection])}
      />
    ),
  };
  return (
    <>
      <ConnectionFilters withPeriod={false} />
      {toEnd.length > 0 && (
        <div className={classes.chosen}>
          <Button size="compact-sm" variant="default" onClick={() => setAsked(toEnd)}>
            {t('connections.endSelected', { count: toEnd.length })}
          </Button>
        </div>
      )}
      <DataTable
        label={t('connections.views.live')}
        columns={[
          select,
          columns.environment,
          columns.who,
          columns.source,
          columns.way,
          since,
          columns.traffic,
          end,
        ]}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          isFiltered(search) ? (
            <EmptyState title={t('filter.nothing')} />
          ) : (
            <EmptyState title={t('connections.noneLive')} command={commandLine('connections list', '--live')}>
              {t('connections.noneLiveWhat')}
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
      {asked && (
        <EndConnections
          connections={asked}
          close={() => setAsked(null)}
          done={(ids) => {
            setEnding([...ending, ...ids]);
            setChosen([]);
            setAsked(null);
          }}
        />
      )}
    </>
  );
}

interface EndProps {
  connection: Connection;
  isEnding: boolean;
  end: () => void;
}

function End({ connection: { env_id, source, gateway }, isEnding, end }: EndProps) {
  const { t } = useTranslation();
  if (isEnding) {
    return (
      <Text size="sm" c="dimmed" role="status">
        {t('connections.ending')}
      </Text>
    );
  }
  const button = (
    <Button
      size="compact-sm"
      variant="default"
      aria-label={t('connections.endOf', { environment: env_id, source })}
      {...(gateway === null
        ? { 'data-disabled': true, 'aria-disabled': true, onClick: (event) => event.preventDefault() }
        : { onClick: end })}
    >
      {t('connections.end')}
    </Button>
  );
  // Why it cannot be pressed is told on focus too, so it stays within reach of the keyboard.
  return gateway === null ? (
    <Tooltip label={t('connections.cannotEnd')} multiline w="18rem">
      {button}
    </Tooltip>
  ) : (
    button
  );
}

interface EndConnectionsProps {
  connections: Connection[];
  close: () => void;
  done: (ids: string[]) => void;
}

function EndConnections({ connections, close, done }: EndConnectionsProps) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const end = useMutation({
    mutationFn: async () => {
      const answers = await Promise.allSettled(connections.map(({ id }) => endConnection(id)));
      const refused = answers.filter((answer) => answer.status === 'rejected');
      const first = refused[0]?.reason as Error | undefined;
      if (first !== undefined && connections.length === 1) throw first;
      if (first !== undefined)
        throw new Error(t('connections.failed', { count: refused.length, why: first.message }));
    },
    onSuccess: () => done(connections.map(({ id }) => id)),
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.connections] }),
  });
  const [first] = connections;
  const count = connections.length;
  return (
    <Confirm
      title={t('connections.endTitle', { count })}
      close={close}
      action={t('connections.end')}
      confirm={() => end.mutate()}
      pending={end.isPending}
      error={end.error}
      equivalent={
        first && {
          command: connections.map(({ id }) => commandLine('connections kill', id)).join('\n'),
          request: connections.map(({ id }) => `DELETE ${pathOf(routes.connection, { id })}`).join('\n'),
        }
      }
    >
      {connections.slice(0, 5).map(({ id, env_id, source, account }) => (
        <Text key={id} size="sm">
          <Mono>{`${env_id}  ${source}`}</Mono> {account}
        </Text>
      ))}
      <Text mt="sm">{t('connections.endWhat')}</Text>
    </Confirm>
  );
}
