/** Files of deleted environments that were kept for another one. */
import type { KeptStorage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, Text, VisuallyHidden } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { removeKeptStorage } from '../../api/platform.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { ConfirmByTyping } from '../../components/confirm-by-typing.tsx';
import { CustomerFilter, useCustomerName, useCustomers } from '../../components/customer-filter.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { ButtonLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';

const route = getRouteApi('/signed-in/storage');

export function KeptStoragePage() {
  const { t } = useTranslation();
  const format = useFormat();
  const nameOf = useCustomerName();
  const severalCustomers = useCustomers().length > 1;
  const { search, customer } = route.useSearch();
  const navigate = route.useNavigate();
  const [deleting, setDeleting] = useState<KeptStorage | null>(null);
  const listing = useListing<KeptStorage>(routes.keptStorage, { search, customer_id: customer });
  const isFiltered = search !== undefined || customer !== undefined;
  const columns: Column<KeptStorage>[] = [
    {
      key: 'name',
      header: t('platform.keptOf'),
      cell: ({ name, env_id }) => (
        <>
          {name}
          <Text size="xs" c="dimmed" ff="monospace">
            {env_id}
          </Text>
        </>
      ),
    },
    ...(severalCustomers
      ? [
          {
            key: 'customer',
            header: t('filter.customer'),
            cell: ({ customer_id }: KeptStorage) => nameOf(customer_id),
            wideOnly: true,
          },
        ]
      : []),
    {
      key: 'size',
      header: t('platform.keptSize'),
      align: 'right',
      cell: ({ storage }) => t('quota.amounts.storage', { amount: format.number(storage) }),
    },
    {
      key: 'since',
      header: t('platform.keptSince'),
      cell: ({ kept_since }) => <Ago at={kept_since} />,
      wideOnly: true,
    },
    {
      key: 'delete',
      header: <VisuallyHidden>{t('common.delete')}</VisuallyHidden>,
      align: 'right',
      cell: (kept) => (
        <Group gap={4} justify="flex-end" wrap="nowrap">
          <CommandHint
            what={t('platform.deleteKept', { name: kept.name })}
            equivalent={{
              command: commandLine('storage remove', kept.env_id),
              request: `DELETE ${pathOf(routes.keptStorageOf, { id: kept.env_id })}`,
            }}
          />
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t('platform.deleteKept', { name: kept.name })}
            onClick={() => setDeleting(kept)}
          >
            {t('common.delete')}
          </Button>
        </Group>
      ),
    },
  ];
  return (
    <>
      <PageHeader
        title={t('platform.kept')}
        description={t('platform.keptWhat')}
        actions={
          <>
            <CommandHint
              what={t('platform.kept')}
              equivalent={{ command: commandLine('storage list'), request: `GET ${routes.keptStorage}` }}
            />
            <ButtonLink to="/environments/new" variant="default">
              {t('platform.useKept')}
            </ButtonLink>
          </>
        }
      />
      <FilterBar clear={isFiltered ? () => void navigate({ search: {}, replace: true }) : undefined}>
        <FilterText
          label={t('environments.search')}
          icon={<IconSearch size={16} aria-hidden />}
          value={search}
          set={(text) => void navigate({ search: (before) => ({ ...before, search: text }), replace: true })}
        />
        <CustomerFilter
          all
          value={customer}
          set={(chosen) =>
            void navigate({ search: (before) => ({ ...before, customer: chosen }), replace: true })
          }
        />
      </FilterBar>
      <DataTable
        label={t('platform.kept')}
        columns={columns}
        listing={listing}
        rowKey={({ env_id }) => env_id}
        empty={
          <EmptyState
            title={isFiltered ? t('filter.nothing') : t('platform.noKept')}
            command={commandLine('storage list')}
          >
            {isFiltered ? null : t('platform.noKeptWhat')}
          </EmptyState>
        }
      />
      {deleting && <DeleteKept kept={deleting} close={() => setDeleting(null)} />}
    </>
  );
}

function DeleteKept({ kept: { env_id, name }, close }: { kept: KeptStorage; close: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => removeKeptStorage(env_id),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.keptStorage] });
      await queryClient.invalidateQueries({ queryKey: [routes.quotas] });
      close();
    },
  });
  return (
    <ConfirmByTyping
      opened
      close={close}
      title={t('platform.deleteKept', { name })}
      name={env_id}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
    >
      {t('platform.deleteKeptWhat')}
    </ConfirmByTyping>
  );
}
