/** What both lists show of a connection. */
import type { Connection } from '@berth/contract';
import { Anchor, Text } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { visible } from '../../app/visible.ts';
import { useCustomerName, useCustomers } from '../../components/customer-filter.tsx';
import type { Column } from '../../components/data-table.tsx';
import { Mono } from '../../components/facts.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './connections.module.css';

const route = getRouteApi('/signed-in/connections');

export function useOpen(): (id: string | undefined) => void {
  const navigate = route.useNavigate();
  return (open) => void navigate({ search: (before) => ({ ...before, open }), replace: true });
}

export function useColumns(): Record<
  'environment' | 'who' | 'source' | 'way' | 'traffic',
  Column<Connection>
> {
  const { t } = useTranslation();
  const open = useOpen();
  const nameOf = useCustomerName();
  const severalCustomers = useCustomers().length > 1;
  return {
    environment: {
      key: 'environment',
      header: t('connections.environment'),
      cell: ({ id, env_id, customer_id }) => (
        <>
          <Anchor component="button" type="button" className={classes.environment} onClick={() => open(id)}>
            {env_id}
          </Anchor>
          {severalCustomers && (
            <Text size="xs" c="dimmed">
              {nameOf(customer_id)}
            </Text>
          )}
        </>
      ),
    },
    who: {
      key: 'who',
      header: t('connections.who'),
      cell: (connection) => <Who connection={connection} />,
    },
    source: {
      key: 'source',
      header: t('connections.source'),
      cell: ({ source, client }) => (
        <>
          <Mono>{source}</Mono>
          <Text size="xs" c="dimmed" lineClamp={1} maw="14rem">
            {visible(client)}
          </Text>
        </>
      ),
      wideOnly: true,
    },
    way: {
      key: 'way',
      header: t('connections.way'),
      cell: ({ way }) => t(`way.${way}`),
      wideOnly: true,
    },
    traffic: {
      key: 'traffic',
      header: t('connections.traffic'),
      align: 'right',
      cell: ({ bytes_in, bytes_out }) => <Traffic bytesIn={bytes_in} bytesOut={bytes_out} />,
    },
  };
}

function Who({ connection: { account, key_name, method } }: { connection: Connection }) {
  const { t } = useTranslation();
  const how = key_name === null ? t(`method.${method}`) : visible(key_name);
  if (account === null)
    return method === 'password' || method === 'keyboard-interactive' ? t('connections.byPassword') : how;
  return (
    <>
      {account}
      <Text size="xs" c="dimmed">
        {how}
      </Text>
    </>
  );
}

function Traffic({ bytesIn, bytesOut }: { bytesIn: number; bytesOut: number }) {
  const format = useFormat();
  return (
    <span className={classes.traffic}>
      <span>{format.bytes(bytesIn)}</span>
      <span>{format.bytes(bytesOut)}</span>
    </span>
  );
}
