/** Every environment that the person may see: searched, filtered and sorted by the server, as the address says. */
import type { Environment, EnvironmentSummary } from '@berth/contract';
import { routes, sshCommand } from '@berth/contract/paths';
import { Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { customersQuery } from '../../api/catalogue.ts';
import { call } from '../../api/client.ts';
import { useListing } from '../../api/list.ts';
import { CopyButton } from '../../components/copy-field.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { AnchorLink, ButtonLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { StatusMark } from '../../components/status-mark.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';
import { Filters } from './filters.tsx';
import classes from './list.module.css';

const route = getRouteApi('/signed-in/environments');

export function EnvironmentsPage() {
  const { t } = useTranslation();
  const { customer, sort = '-created_at', status, ...found } = route.useSearch();
  const navigate = route.useNavigate();
  const filters = { ...found, customer_id: customer };
  const listing = useListing<Environment>(routes.environments, { ...filters, status, sort });
  const { data: summary } = useQuery({
    queryKey: [routes.environmentSummary, filters],
    queryFn: ({ signal }) =>
      call<EnvironmentSummary>('GET', routes.environmentSummary, { query: filters, signal }),
    placeholderData: keepPreviousData,
  });
  const columns = useColumns();
  const isFiltered = status !== undefined || Object.values(filters).some((each) => each !== undefined);
  return (
    <>
      <PageHeader
        title={t('environments.title')}
        actions={<ButtonLink to="/environments/new">{t('environments.new')}</ButtonLink>}
      />
      {(isFiltered || summary?.total !== 0) && <Filters summary={summary} />}
      <DataTable
        label={t('environments.title')}
        columns={columns}
        listing={listing}
        rowKey={({ env_id }) => env_id}
        total={status === undefined ? summary?.total : undefined}
        sort={sort}
        onSort={(chosen) =>
          void navigate({ search: (before) => ({ ...before, sort: chosen }), replace: true })
        }
        empty={
          isFiltered ? (
            <EmptyState title={t('environments.noneFound')}>{t('environments.noneFoundWhat')}</EmptyState>
          ) : (
            <EmptyState
              title={t('environments.none')}
              action={<ButtonLink to="/environments/new">{t('environments.createFirst')}</ButtonLink>}
            >
              {t('environments.noneWhat')}
            </EmptyState>
          )
        }
      />
    </>
  );
}

function useColumns(): Column<Environment>[] {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSession();
  const { data: customers } = useQuery({ ...customersQuery, enabled: role === 'admin' });
  const severalCustomers = customers !== undefined && customers.items.length > 1;
  return [
    {
      key: 'name',
      header: t('environments.name'),
      sort: 'name',
      cell: ({ name, env_id }) => (
        <>
          <AnchorLink to="/environments/$id" params={{ id: env_id }} className={classes.name}>
            {name}
          </AnchorLink>
          <Text size="xs" c="dimmed" ff="monospace">
            {env_id}
          </Text>
        </>
      ),
    },
    {
      key: 'status',
      header: t('environments.status'),
      sort: 'status',
      cell: ({ status, status_since }) => (
        <>
          <StatusMark status={status} />
          <Text size="xs" c="dimmed" className={classes.since}>
            <Ago at={status_since} />
          </Text>
        </>
      ),
    },
    {
      key: 'address',
      header: t('environments.address'),
      cell: (environment) => <Address environment={environment} />,
      wideOnly: true,
    },
    ...(severalCustomers
      ? [
          {
            key: 'customer',
            header: t('environments.customer'),
            cell: ({ customer_id }: Environment) =>
              customers.items.find(({ id }) => id === customer_id)?.name ?? String(customer_id),
            wideOnly: true,
          },
        ]
      : []),
    {
      key: 'size',
      header: t('environments.size'),
      cell: ({ image, resources: { cpu, memory, gpu } }) => (
        <>
          {image}
          <Text size="xs" c="dimmed">
            {t('environments.sizeOf', { cpu: format.number(cpu), memory: format.number(memory) })}
            {gpu > 0 && t('environments.gpus', { count: gpu })}
          </Text>
        </>
      ),
      wideOnly: true,
    },
    {
      key: 'created',
      header: t('environments.created'),
      sort: 'created_at',
      cell: ({ created_at }) => <Ago at={created_at} />,
      wideOnly: true,
    },
  ];
}

function Address({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id, name, ssh_host, ssh_port, ssh_username, shared_port } = environment;
  const command =
    ssh_port !== null
      ? sshCommand(ssh_username, ssh_host, ssh_port)
      : shared_port === null
        ? null
        : sshCommand(env_id, ssh_host, shared_port);
  if (command === null) return t('environments.noAddress');
  return (
    <span className={classes.address}>
      <code>{command}</code>
      <CopyButton value={command} label={t('environments.commandOf', { name })} />
    </span>
  );
}
