/** Accounts of people and programs, and one of them in full. */
import type { Account } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import type { Role } from '@berth/contract/vocabulary';
import { Anchor, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Ago } from '../../components/time.tsx';
import { AccountDetail } from './account-detail.tsx';
import classes from './people.module.css';

interface Props {
  customer?: number | undefined;
  role?: Role | undefined;
  search?: string | undefined;
  /** The one that is shown in full. */
  opened: number | undefined;
  open: (account: number | undefined) => void;
}

export function AccountTable({ customer, role, search, opened, open }: Props) {
  const { t } = useTranslation();
  const listing = useListing<Account>(routes.accounts, { customer_id: customer, role, search });
  const columns: Column<Account>[] = [
    {
      key: 'name',
      header: t('people.account'),
      cell: ({ id, name, customer: owner }) => (
        <>
          <Anchor component="button" type="button" className={classes.name} onClick={() => open(id)}>
            {name}
          </Anchor>
          {customer === undefined && (
            <Text size="xs" c="dimmed">
              {owner}
            </Text>
          )}
        </>
      ),
    },
    { key: 'role', header: t('people.role'), cell: ({ role: held }) => t(`people.roles.${held}`) },
    {
      key: 'signs',
      header: t('people.signsIn'),
      cell: ({ has_password }) => (has_password ? t('people.byPassword') : t('people.byTokens')),
      wideOnly: true,
    },
    {
      key: 'last',
      header: t('people.lastLogin'),
      cell: ({ last_login_at }) =>
        last_login_at === null ? (
          <Text size="sm" c="dimmed">
            {t('people.notYet')}
          </Text>
        ) : (
          <Ago at={last_login_at} />
        ),
      wideOnly: true,
    },
    {
      key: 'created',
      header: t('people.created'),
      cell: ({ created_at }) => <Ago at={created_at} />,
      wideOnly: true,
    },
  ];
  const detailed = listing.rows.find(({ id }) => id === opened);
  const isFiltered = role !== undefined || search !== undefined;
  return (
    <>
      <DataTable
        label={t('people.accounts')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState
            title={isFiltered ? t('filter.nothing') : t('people.noAccounts')}
            command={commandLine('accounts add', 'NAME')}
          >
            {isFiltered ? null : t('people.noAccountsWhat')}
          </EmptyState>
        }
      />
      {detailed && <AccountDetail account={detailed} close={() => open(undefined)} />}
    </>
  );
}
