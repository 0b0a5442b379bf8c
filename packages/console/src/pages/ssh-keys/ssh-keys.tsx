/** Public keys: what each opens, when and from where it was last used. */
import type { EnvironmentSummary, SshKey } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Anchor, Button, Text, VisuallyHidden } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import { useListing } from '../../api/list.ts';
import { removeSshKey } from '../../api/ssh-keys.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { CustomerFilter, useCustomerName } from '../../components/customer-filter.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { FilterBar } from '../../components/filter-bar.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { Ago } from '../../components/time.tsx';
import { useSession } from '../../shell/use-session.ts';
import { AddKey } from './add-key.tsx';
import { KeyDetail } from './key-detail.tsx';
import classes from './ssh-keys.module.css';

const route = getRouteApi('/signed-in/ssh-keys');

export function SshKeysPage() {
  const { t } = useTranslation();
  const session = useSession();
  const nameOf = useCustomerName();
  const { customer, key: opened } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const [deleting, setDeleting] = useState<SshKey | null>(null);
  const customer_id = customer ?? session.customer_id;
  const isOwn = customer_id === session.customer_id;
  const listing = useListing<SshKey>(routes.sshKeys, { customer_id });
  const { data: summary } = useQuery({
    queryKey: [routes.environmentSummary, { customer_id }],
    queryFn: ({ signal }) =>
      call<EnvironmentSummary>('GET', routes.environmentSummary, { query: { customer_id }, signal }),
  });
  const open = (key: number | undefined) =>
    void navigate({ search: (before) => ({ ...before, key }), replace: true });
  const detailed = listing.rows.find(({ id }) => id === opened);
  const add = isOwn && <Button onClick={() => setAdding(true)}>{t('keys.add')}</Button>;
  const columns: Column<SshKey>[] = [
    {
      key: 'name',
      header: t('keys.key'),
      cell: ({ id, name, type, fingerprint }) => (
        <>
          <Anchor
            component="button"
            type="button"
            className={classes.name}
            ta="start"
            onClick={() => open(id)}
          >
            {name}
          </Anchor>
          <Text size="xs" c="dimmed" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
            {`${type} ${fingerprint}`}
          </Text>
        </>
      ),
    },
    {
      key: 'reaches',
      header: t('keys.reaches'),
      cell: () =>
        summary && (
          <AnchorLink
            to="/environments"
            search={isOwn && session.role !== 'admin' ? {} : { customer: customer_id }}
          >
            {t('keys.reachesCount', { count: summary.total })}
          </AnchorLink>
        ),
      wideOnly: true,
    },
    {
      key: 'used',
      header: t('keys.lastUsed'),
      cell: ({ last_used_at, last_used_from }) =>
        last_used_at === null ? (
          <Text size="sm" c="dimmed">
            {t('keys.notUsed')}
          </Text>
        ) : (
          <>
            <Ago at={last_used_at} />
            {last_used_from !== null && (
              <Text size="xs" c="dimmed">
                {t('keys.from', { address: last_used_from })}
              </Text>
            )}
          </>
        ),
    },
    {
      key: 'added',
      header: t('keys.added'),
      cell: ({ created_at }) => <Ago at={created_at} />,
      wideOnly: true,
    },
    {
      key: 'delete',
      header: <VisuallyHidden>{t('keys.actions')}</VisuallyHidden>,
      align: 'right',
      cell: (key) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('keys.deleteKey', { name: key.name })}
          onClick={() => setDeleting(key)}
        >
          {t('common.delete')}
        </Button>
      ),
    },
  ];
  return (
    <>
      <PageHeader
        title={t('keys.title')}
        description={t('keys.what', { customer: nameOf(customer_id) })}
        actions={
          <>
            <CommandHint
              what={t('keys.title')}
              equivalent={{ command: commandLine('keys list'), request: `GET ${routes.sshKeys}` }}
            />
            {add}
          </>
        }
      />
      <FilterBar>
        <CustomerFilter
          value={customer}
          set={(chosen) => void navigate({ search: { customer: chosen }, replace: true })}
        />
        {!isOwn && (
          <Text size="sm" c="dimmed">
            {t('keys.ofOthers')}
          </Text>
        )}
      </FilterBar>
      <DataTable
        label={t('keys.title')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState
            title={t('keys.none')}
            command={`${commandLine('keys add', 'laptop')} ~/.ssh/id_ed25519.pub`}
          >
            {t('keys.noneWhat')}
          </EmptyState>
        }
      />
      {adding && <AddKey close={() => setAdding(false)} />}
      {detailed && <KeyDetail sshKey={detailed} total={summary?.total} close={() => open(undefined)} />}
      {deleting && <DeleteKey sshKey={deleting} close={() => setDeleting(null)} />}
    </>
  );
}

function DeleteKey({ sshKey: { id, name, fingerprint }, close }: { sshKey: SshKey; close: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => removeSshKey(id),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.sshKeys] });
      close();
    },
  });
  return (
    <Confirm
      title={t('keys.delete.title')}
      close={close}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
      equivalent={{
        command: commandLine('keys remove', fingerprint),
        request: `DELETE ${pathOf(routes.sshKey, { id: String(id) })}`,
      }}
    >
      <Text fw={500}>{name}</Text>
      <Mono dimmed>{fingerprint}</Mono>
      <Text mt="sm">{t('keys.delete.what')}</Text>
    </Confirm>
  );
}
