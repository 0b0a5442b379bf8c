/** Customers: who owns environments. */
import type { Customer } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Button, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { createCustomer } from '../../api/people.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './people.module.css';

const route = getRouteApi('/signed-in/administrators/customers');

export function CustomersPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const { search } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const listing = useListing<Customer>(routes.customers, { search });
  const columns: Column<Customer>[] = [
    {
      key: 'name',
      header: t('people.customer'),
      cell: ({ id, name }) => (
        <AnchorLink to="/customers/$id" params={{ id: String(id) }} className={classes.name}>
          {name}
        </AnchorLink>
      ),
    },
    {
      key: 'accounts',
      header: t('people.accounts'),
      align: 'right',
      cell: ({ accounts }) => format.number(accounts),
    },
    {
      key: 'environments',
      header: t('people.environments'),
      align: 'right',
      cell: ({ id, environments }) => (
        <AnchorLink to="/environments" search={{ customer: id }}>
          {format.number(environments)}
        </AnchorLink>
      ),
    },
    {
      key: 'passwords',
      header: t('people.passwordLogin'),
      cell: ({ password_login }) => (password_login ? t('people.allowed') : t('people.keysOnly')),
      wideOnly: true,
    },
    {
      key: 'created',
      header: t('people.created'),
      cell: ({ created_at }) => <Ago at={created_at} />,
      wideOnly: true,
    },
  ];
  return (
    <>
      <PageHeader
        title={t('people.customers')}
        description={t('people.customersWhat')}
        actions={
          <>
            <CommandHint
              what={t('people.customers')}
              equivalent={{ command: commandLine('customers list'), request: `GET ${routes.customers}` }}
            />
            <Button onClick={() => setAdding(true)}>{t('people.addCustomer')}</Button>
          </>
        }
      />
      <FilterBar>
        <FilterText
          label={t('people.name')}
          icon={<IconSearch size={16} aria-hidden />}
          value={search}
          set={(wanted) => void navigate({ search: { search: wanted }, replace: true })}
        />
      </FilterBar>
      <DataTable
        label={t('people.customers')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={<EmptyState title={t('filter.nothing')} command={commandLine('customers add', 'NAME')} />}
      />
      {adding && (
        <AddCustomer
          close={() => setAdding(false)}
          done={(id) => void navigate({ to: '/customers/$id', params: { id: String(id) } })}
        />
      )}
    </>
  );
}

function AddCustomer({ close, done }: { close: () => void; done: (id: number) => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [name, setName] = useState('');
  const body = { name: name.trim() };
  const add = useMutation({
    mutationFn: () => createCustomer(body),
    onSuccess: async ({ id }) => {
      await queryClient.invalidateQueries({ queryKey: [routes.customers] });
      close();
      done(id);
    },
  });
  return (
    <FormDialog
      title={t('people.addCustomer')}
      close={close}
      action={t('people.addCustomer')}
      submit={() => add.mutate()}
      pending={add.isPending}
      disabled={body.name === ''}
      error={add.error}
      fields={['name']}
      equivalent={{
        command: commandLine('customers add', body.name || 'NAME'),
        request: `POST ${routes.customers}`,
        body: { name: body.name || 'NAME' },
      }}
    >
      <TextInput
        data-autofocus
        label={t('people.name')}
        description={t('people.customerNameWhat')}
        required
        withAsterisk={false}
        maxLength={64}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={errorAt(add.error, 'name')}
      />
    </FormDialog>
  );
}
