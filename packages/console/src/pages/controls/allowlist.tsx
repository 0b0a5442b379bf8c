/** The allowlist of a customer: from where its environments can be reached. */
import type { AllowlistEntry } from '@berth/contract';
import { covers, readNetwork } from '@berth/contract/network';
import { pathOf, routes } from '@berth/contract/paths';
import { Alert, Button, Text, VisuallyHidden } from '@mantine/core';
import { IconAlertTriangle, IconShieldCheck, IconShieldX, IconWorld } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { customerCheckQuery } from '../../api/controls.ts';
import { removeAllowlistEntry } from '../../api/environments.ts';
import { useListing } from '../../api/list.ts';
import { CommandHint, commandLine, ofCustomer } from '../../components/command-hint.tsx';
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
import { AddNetwork } from './add-network.tsx';
import classes from './controls.module.css';

const route = getRouteApi('/signed-in/allowlist');

export function AllowlistPage() {
  const { t } = useTranslation();
  const session = useSession();
  const nameOf = useCustomerName();
  const { customer } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<AllowlistEntry | null>(null);
  const customer_id = customer ?? session.customer_id;
  const listing = useListing<AllowlistEntry>(routes.allowlist, { customer_id });
  const columns: Column<AllowlistEntry>[] = [
    { key: 'network', header: t('allowlist.network'), cell: ({ network }) => <Mono>{network}</Mono> },
    {
      key: 'of',
      header: t('allowlist.holdsFor'),
      cell: ({ env_id }) =>
        env_id === null ? (
          t('allowlist.allOfCustomer')
        ) : (
          <AnchorLink to="/environments/$id" params={{ id: env_id }} ff="monospace" size="sm">
            {env_id}
          </AnchorLink>
        ),
    },
    {
      key: 'note',
      header: t('allowlist.note'),
      cell: ({ note }) => <span className={classes.note}>{note}</span>,
      wideOnly: true,
    },
    {
      key: 'added',
      header: t('controls.added'),
      cell: ({ created_at }) => <Ago at={created_at} />,
      wideOnly: true,
    },
    {
      key: 'remove',
      header: <VisuallyHidden>{t('common.remove')}</VisuallyHidden>,
      align: 'right',
      cell: (entry) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('allowlist.removeOf', { network: entry.network })}
          onClick={() => setRemoving(entry)}
        >
          {t('common.remove')}
        </Button>
      ),
    },
  ];
  return (
    <>
      <PageHeader
        title={t('allowlist.title')}
        description={t('controls.allowlistWhat', { customer: nameOf(customer_id) })}
        actions={
          <>
            <CommandHint
              what={t('allowlist.title')}
              equivalent={{
                command: commandLine('allowlist list', ...ofCustomer(customer)),
                request: `GET ${routes.allowlist}?customer_id=${customer_id}`,
              }}
            />
            <Button onClick={() => setAdding(true)}>{t('allowlist.add')}</Button>
          </>
        }
      />
      <FilterBar>
        <CustomerFilter
          value={customer}
          set={(chosen) => void navigate({ search: { customer: chosen }, replace: true })}
        />
      </FilterBar>
      <Standing customer={customer_id} />
      <DataTable
        label={t('allowlist.title')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState
            title={t('controls.openToAll')}
            command={commandLine('allowlist add', '203.0.113.0/24', '--note', 'office')}
          >
            {t('controls.openToAllWhat')}
          </EmptyState>
        }
      />
      {adding && <AddNetwork customer={customer} close={() => setAdding(false)} />}
      {removing && (
        <Remove entry={removing} entries={listing.rows} customer={customer} close={() => setRemoving(null)} />
      )}
    </>
  );
}

/** Whether whoever looks gets in, as far as the customer's own entries say. */
function Standing({ customer }: { customer: number }) {
  const { t } = useTranslation();
  const { data: check } = useQuery(customerCheckQuery(customer, '', ''));
  if (check === undefined || check.address === null) return null;
  const { address, limited, allowed } = check;
  const Icon = !limited ? IconWorld : allowed === true ? IconShieldCheck : IconShieldX;
  return (
    <div className={classes.standing} data-in={limited ? allowed === true : undefined}>
      <Icon size={18} aria-hidden />
      {!limited
        ? t('allowlist.open', { address })
        : allowed === true
          ? t('allowlist.youGetIn', { address })
          : t('allowlist.youDoNot', { address })}
    </div>
  );
}

interface RemoveProps {
  entry: AllowlistEntry;
  entries: AllowlistEntry[];
  customer: number | undefined;
  close: () => void;
}

function Remove({ entry, entries, customer, close }: RemoveProps) {
  const { t } = useTranslation();
  const session = useSession();
  const queryClient = useQueryClient();
  const { id, network, env_id } = entry;
  const { data: check } = useQuery(customerCheckQuery(customer ?? session.customer_id, '', ''));
  const remove = useMutation({
    mutationFn: () => removeAllowlistEntry(id),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.allowlist] });
      close();
    },
  });
  const address = check?.address ?? null;
  const others = entries.filter((each) => each.env_id === null && each.id !== id);
  const isLast = env_id === null && others.length === 0;
  const shutsOut =
    env_id === null &&
    address !== null &&
    check?.allowed === true &&
    !isLast &&
    !others.some((each) => covers(readNetwork(each.network), address));
  return (
    <Confirm
      title={t('allowlist.removeOf', { network })}
      close={close}
      action={shutsOut ? t('allowlist.removeAnyway') : t('common.remove')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
      equivalent={{
        command: commandLine('allowlist remove', network, ...ofCustomer(customer)),
        request: `DELETE ${pathOf(routes.allowlistEntry, { id: String(id) })}`,
      }}
    >
      <Text>{isLast ? t('controls.removeLast') : t('controls.removeWhat')}</Text>
      {shutsOut && (
        <Alert mt="sm" variant="outline" color="yellow" icon={<IconAlertTriangle aria-hidden />} role="alert">
          {t('allowlist.removeShutsOut', { network, address })}
        </Alert>
      )}
    </Confirm>
  );
}
