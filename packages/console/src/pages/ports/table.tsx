/** Who holds which port, and who held it. */
import type { PortMapping } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { IconHash } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { addressOf } from '../../api/client.ts';
import { useListing } from '../../api/list.ts';
import { commandLine } from '../../components/command-hint.tsx';
import type { Equivalent } from '../../components/command-hint.tsx';
import { CustomerFilter, useCustomerName, useCustomers } from '../../components/customer-filter.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { EnvironmentFilter } from '../../components/environment-filter.tsx';
import { Mono } from '../../components/facts.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { FilterSelect } from '../../components/filter-select.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { Ago } from '../../components/time.tsx';

const route = getRouteApi('/signed-in/ports');
const statuses = ['active', 'released'] as const;

export interface PortSearch {
  view?: 'table' | undefined;
  port?: number | undefined;
  environment?: string | undefined;
  customer?: number | undefined;
  status?: (typeof statuses)[number] | undefined;
  sort?: string | undefined;
}

export function PortTable() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const nameOf = useCustomerName();
  const severalCustomers = useCustomers().length > 1;
  const { sort = '-allocated_at', view, ...filters } = search;
  const listing = useListing<PortMapping>(routes.ports, { ...queryOf(search), sort });
  const set = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const isFiltered = Object.values(filters).some((value) => value !== undefined);
  const columns: Column<PortMapping>[] = [
    {
      key: 'port',
      header: t('ports.port'),
      sort: 'external_port',
      cell: ({ external_port }) => <Mono>{String(external_port)}</Mono>,
    },
    {
      key: 'environment',
      header: t('ports.environment'),
      cell: ({ env_id, status }) =>
        status === 'active' ? (
          <AnchorLink to="/environments/$id" params={{ id: env_id }} ff="monospace" size="sm">
            {env_id}
          </AnchorLink>
        ) : (
          <Mono>{env_id}</Mono>
        ),
    },
    ...(severalCustomers
      ? [
          {
            key: 'customer',
            header: t('filter.customer'),
            cell: ({ customer_id }: PortMapping) => nameOf(customer_id),
            wideOnly: true,
          },
        ]
      : []),
    {
      key: 'status',
      header: t('ports.status'),
      cell: ({ status }) => t(`ports.mapping.${status}`),
    },
    {
      key: 'allocated',
      header: t('ports.allocated'),
      sort: 'allocated_at',
      cell: ({ allocated_at }) => <Ago at={allocated_at} />,
      wideOnly: true,
    },
    {
      key: 'released',
      header: t('ports.released'),
      cell: ({ released_at }) => released_at !== null && <Ago at={released_at} />,
      wideOnly: true,
    },
  ];
  return (
    <>
      <FilterBar
        folds
        clear={
          isFiltered ? () => void navigate({ search: { view, sort: search.sort }, replace: true }) : undefined
        }
      >
        <FilterText
          label={t('ports.port')}
          icon={<IconHash size={16} aria-hidden />}
          maxLength={5}
          value={search.port === undefined ? undefined : String(search.port)}
          set={(port) => set({ port: Number(port) || undefined })}
        />
        <EnvironmentFilter value={search.environment} set={(environment) => set({ environment })} />
        <FilterSelect
          label={t('ports.status')}
          value={search.status ?? ''}
          data={[
            { value: '', label: t('ports.everyStatus') },
            ...statuses.map((status) => ({ value: status, label: t(`ports.mapping.${status}`) })),
          ]}
          onChange={(status) => set({ status: statuses.find((each) => each === status) })}
        />
        <CustomerFilter all value={search.customer} set={(customer) => set({ customer })} />
      </FilterBar>
      <DataTable
        label={t('ports.table')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        sort={sort}
        onSort={(chosen) => set({ sort: chosen })}
        empty={
          <EmptyState
            title={isFiltered ? t('filter.nothing') : t('ports.none')}
            command={commandLine('ports list')}
          >
            {isFiltered ? t('filter.nothingWhat') : t('ports.noneWhat')}
          </EmptyState>
        }
      />
    </>
  );
}

function queryOf({ port, environment, customer, status }: PortSearch) {
  return { port, env_id: environment, customer_id: customer, status };
}

export function equivalentOf(search: PortSearch): Equivalent {
  const { port, environment, customer, status } = search;
  const options = Object.entries({ port, environment, customer, status }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return {
    command: commandLine('ports list', ...options),
    request: `GET ${addressOf(routes.ports, { query: { ...queryOf(search), sort: search.sort } })}`,
  };
}
