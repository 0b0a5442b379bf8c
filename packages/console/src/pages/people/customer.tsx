/** One customer: its accounts, what it uses and may use, and how its environments are logged in to. */
import type { Customer, Quota } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { quotaQuery } from '../../api/catalogue.ts';
import { customerQuery, deleteCustomer, updateCustomer } from '../../api/people.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { ConfirmByTyping } from '../../components/confirm-by-typing.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import { AccountTable } from './account-table.tsx';
import { AddAccount } from './add-account.tsx';
import { LimitsForm } from './limits-form.tsx';
import { Uses } from './uses.tsx';

const route = getRouteApi('/signed-in/administrators/customers/$id');

export function CustomerPage() {
  const id = Number(route.useParams().id);
  const { data: customer, error, refetch } = useQuery(customerQuery(id));
  if (customer === undefined) return <ProblemAlert error={error} retry={() => void refetch()} />;
  return <Shown customer={customer} />;
}

function Shown({ customer }: { customer: Customer }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { id, name, created_at, environments } = customer;
  const { account: opened } = route.useSearch();
  const navigate = route.useNavigate();
  const [shown, setShown] = useState<'rename' | 'delete' | 'account' | null>(null);
  const close = () => setShown(null);
  return (
    <>
      <PageHeader
        title={name}
        above={
          <AnchorLink to="/customers" size="sm">
            {t('people.customers')}
          </AnchorLink>
        }
        description={t('people.since', { day: format.day(created_at) })}
        actions={
          <>
            <CommandHint
              what={name}
              equivalent={{
                command: commandLine('customers show', name),
                request: `GET ${pathOf(routes.customer, { id: String(id) })}`,
              }}
            />
            <Button variant="default" onClick={() => setShown('rename')}>
              {t('people.rename')}
            </Button>
            <Button variant="default" onClick={() => setShown('delete')}>
              {t('common.delete')}
            </Button>
          </>
        }
      />
      <Stack gap="2.5rem">
        <QuotaOf id={id} />
        <Section
          title={t('people.accounts')}
          actions={<Button onClick={() => setShown('account')}>{t('people.addAccount')}</Button>}
        >
          <AccountTable
            customer={id}
            opened={opened}
            open={(account) => void navigate({ search: { account }, replace: true })}
          />
        </Section>
        <Logins customer={customer} />
        <Section title={t('people.itsThings')}>
          <Group gap="lg">
            <AnchorLink to="/environments" search={{ customer: id }}>
              {t('people.environmentsCount', { count: environments })}
            </AnchorLink>
            <AnchorLink to="/ssh-keys" search={{ customer: id }}>
              {t('places.sshKeys')}
            </AnchorLink>
            <AnchorLink to="/ssh-authorities" search={{ customer: id }}>
              {t('places.sshAuthorities')}
            </AnchorLink>
            <AnchorLink to="/connections" search={{ customer: id }}>
              {t('places.connections')}
            </AnchorLink>
            <AnchorLink to="/audit" search={{ customer: id }}>
              {t('places.audit')}
            </AnchorLink>
          </Group>
        </Section>
      </Stack>
      {shown === 'account' && <AddAccount customer={id} close={close} />}
      {shown === 'rename' && <Rename customer={customer} close={close} />}
      <Delete customer={customer} opened={shown === 'delete'} close={close} />
    </>
  );
}

function QuotaOf({ id }: { id: number }) {
  const { t } = useTranslation();
  const { data: quota, error } = useQuery(quotaQuery(id));
  const [changing, setChanging] = useState<Quota | null>(null);
  return (
    <Section
      title={t('people.quota')}
      actions={
        quota && (
          <Button variant="default" size="compact-sm" onClick={() => setChanging(quota)}>
            {t('people.changeLimits')}
          </Button>
        )
      }
    >
      {quota ? <Uses quota={quota} /> : <ProblemAlert error={error} />}
      {changing && <LimitsForm quota={changing} close={() => setChanging(null)} />}
    </Section>
  );
}

function Logins({ customer: { id, name, password_login } }: { customer: Customer }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: (allowed: boolean) => updateCustomer(id, { password_login: allowed }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.customers] }),
  });
  const next = password_login ? 'off' : 'on';
  return (
    <Section title={t('people.logins')}>
      <Group gap="xs">
        <Switch
          label={t('people.passwordsOpen')}
          description={t('people.passwordsOpenWhat')}
          checked={change.isPending ? change.variables : password_login}
          disabled={change.isPending}
          onChange={(event) => change.mutate(event.currentTarget.checked)}
        />
        <CommandHint
          what={t('people.passwordsOpen')}
          equivalent={{
            command: commandLine('customers set', name, '--password-login', next),
            request: `PATCH ${pathOf(routes.customer, { id: String(id) })}`,
            body: { password_login: !password_login },
          }}
        />
      </Group>
      <ProblemAlert error={change.error} />
    </Section>
  );
}

function Rename({ customer: { id, name }, close }: { customer: Customer; close: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [wanted, setWanted] = useState(name);
  const body = { name: wanted.trim() };
  const save = useMutation({
    mutationFn: () => updateCustomer(id, body),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.customers] });
      close();
    },
  });
  return (
    <FormDialog
      title={t('people.renameOf', { name })}
      close={close}
      action={t('people.rename')}
      submit={() => save.mutate()}
      pending={save.isPending}
      disabled={body.name === '' || body.name === name}
      error={save.error}
      fields={['name']}
      equivalent={{
        command: commandLine('customers rename', name, body.name),
        request: `PATCH ${pathOf(routes.customer, { id: String(id) })}`,
        body,
      }}
    >
      <TextInput
        data-autofocus
        label={t('people.name')}
        required
        withAsterisk={false}
        maxLength={64}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
        error={errorAt(save.error, 'name')}
      />
    </FormDialog>
  );
}

interface DeleteProps {
  customer: Customer;
  opened: boolean;
  close: () => void;
}

function Delete({ customer: { id, name, environments }, opened, close }: DeleteProps) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const navigate = route.useNavigate();
  const remove = useMutation({
    mutationFn: () => deleteCustomer(id),
    onSuccess: async () => {
      await navigate({ to: '/customers' });
      queryClient.removeQueries({ queryKey: customerQuery(id).queryKey });
      await queryClient.invalidateQueries({ queryKey: [routes.customers] });
    },
  });
  return (
    <ConfirmByTyping
      opened={opened}
      close={close}
      title={t('people.deleteCustomer', { name })}
      name={name}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
    >
      <Text>{t('people.deleteCustomerWhat')}</Text>
      {environments > 0 && <Text mt="xs">{t('people.stillHas', { count: environments })}</Text>}
    </ConfirmByTyping>
  );
}
