/** Accounts of all customers. */
import { routes } from '@berth/contract/paths';
import { roles } from '@berth/contract/vocabulary';
import { Button } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { CustomerFilter } from '../../components/customer-filter.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { FilterSelect } from '../../components/filter-select.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { AccountTable } from './account-table.tsx';
import { AddAccount } from './add-account.tsx';

const route = getRouteApi('/signed-in/administrators/accounts');

export function AccountsPage() {
  const { t } = useTranslation();
  const { customer, role, search, account } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const set = (part: { customer?: number | undefined; role?: typeof role; search?: string | undefined }) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const options = Object.entries({ customer, role, search }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return (
    <>
      <PageHeader
        title={t('people.accounts')}
        description={t('people.accountsWhat')}
        actions={
          <>
            <CommandHint
              what={t('people.accounts')}
              equivalent={{
                command: commandLine('accounts list', ...options),
                request: `GET ${routes.accounts}`,
              }}
            />
            <Button onClick={() => setAdding(true)}>{t('people.addAccount')}</Button>
          </>
        }
      />
      <FilterBar clear={options.length > 0 ? () => void navigate({ search: {}, replace: true }) : undefined}>
        <FilterText
          label={t('people.name')}
          icon={<IconSearch size={16} aria-hidden />}
          value={search}
          set={(wanted) => set({ search: wanted })}
        />
        <FilterSelect
          label={t('people.role')}
          value={role ?? ''}
          data={[
            { value: '', label: t('people.everyRole') },
            ...roles.map((each) => ({ value: each, label: t(`people.roles.${each}`) })),
          ]}
          onChange={(chosen) => set({ role: roles.find((each) => each === chosen) })}
        />
        <CustomerFilter all value={customer} set={(chosen) => set({ customer: chosen })} />
      </FilterBar>
      <AccountTable
        customer={customer}
        role={role}
        search={search}
        opened={account}
        open={(id) => void navigate({ search: (before) => ({ ...before, account: id }), replace: true })}
      />
      {adding && <AddAccount customer={customer} close={() => setAdding(false)} />}
    </>
  );
}
