/** One account: its role, its password, its tokens and logins. */
import type { Account, Token } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { roles } from '@berth/contract/vocabulary';
import type { Role } from '@berth/contract/vocabulary';
import { Button, Group, PasswordInput, SegmentedControl, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { deleteAccount, updateAccount } from '../../api/people.ts';
import { removeToken } from '../../api/tokens.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { ConfirmByTyping } from '../../components/confirm-by-typing.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Facts } from '../../components/facts.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';

export function AccountDetail({ account, close }: { account: Account; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const session = useSession();
  const { id, name, customer, customer_id, created_at, last_login_at, has_password } = account;
  const isOwn = id === session.account_id;
  const [shown, setShown] = useState<'password' | 'no-password' | 'delete' | null>(null);
  const hide = () => setShown(null);
  return (
    <DetailDrawer title={name} close={close}>
      <Facts
        facts={[
          [
            t('people.customer'),
            <AnchorLink to="/customers/$id" params={{ id: String(customer_id) }} size="sm">
              {customer}
            </AnchorLink>,
          ],
          [t('people.signsIn'), has_password ? t('people.byPassword') : t('people.byTokens')],
          [t('people.lastLogin'), last_login_at === null ? t('people.notYet') : format.moment(last_login_at)],
          [t('people.created'), format.moment(created_at)],
        ]}
      />
      <RoleOf account={account} isOwn={isOwn} />
      <Section title={t('people.password')}>
        <Group gap="xs">
          <Button variant="default" size="compact-sm" onClick={() => setShown('password')}>
            {has_password ? t('people.newPassword') : t('people.givePassword')}
          </Button>
          {has_password && !isOwn && (
            <Button variant="default" size="compact-sm" onClick={() => setShown('no-password')}>
              {t('people.takePassword')}
            </Button>
          )}
        </Group>
      </Section>
      <Tokens account={account} />
      {isOwn ? (
        <Text size="sm" c="dimmed">
          {t('people.notYourself')}
        </Text>
      ) : (
        <Group>
          <Button variant="default" size="compact-sm" onClick={() => setShown('delete')}>
            {t('people.deleteAccount')}
          </Button>
        </Group>
      )}
      {shown === 'password' && <NewPassword account={account} close={hide} />}
      {shown === 'no-password' && <NoPassword account={account} close={hide} />}
      <Delete account={account} opened={shown === 'delete'} close={hide} gone={close} />
    </DetailDrawer>
  );
}

function useChange(id: number, done: () => void) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: Parameters<typeof updateAccount>[1]) => updateAccount(id, body),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.accounts] });
      await queryClient.invalidateQueries({ queryKey: [routes.tokens] });
      done();
    },
  });
}

function RoleOf({ account: { id, name, role }, isOwn }: { account: Account; isOwn: boolean }) {
  const { t } = useTranslation();
  const change = useChange(id, () => undefined);
  const shown = change.isPending ? (change.variables.role ?? role) : role;
  const other = role === 'admin' ? 'member' : 'admin';
  return (
    <Section
      title={t('people.role')}
      description={isOwn ? t('people.notYourRole') : t(`people.rolesWhat.${shown}`)}
    >
      <Group gap="xs">
        <SegmentedControl
          size="sm"
          aria-label={t('people.role')}
          disabled={isOwn || change.isPending}
          value={shown}
          data={roles.map((each) => ({ value: each, label: t(`people.roles.${each}`) }))}
          onChange={(chosen) => change.mutate({ role: chosen as Role })}
        />
        <CommandHint
          what={t('people.role')}
          equivalent={{
            command: commandLine('accounts set', name, '--role', other),
            request: `PATCH ${pathOf(routes.account, { id: String(id) })}`,
            body: { role: other },
          }}
        />
      </Group>
      <ProblemAlert error={change.error} />
    </Section>
  );
}

function Tokens({ account: { id } }: { account: Account }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const listing = useListing<Token>(routes.tokens, { account_id: id });
  const remove = useMutation({
    mutationFn: removeToken,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.tokens] }),
  });
  const columns: Column<Token>[] = [
    {
      key: 'name',
      header: t('people.token'),
      cell: ({ kind, name }) => (
        <>
          {name || t(`account.kinds.${kind}`)}
          <Text size="xs" c="dimmed">
            {t(`account.kinds.${kind}`)}
          </Text>
        </>
      ),
    },
    {
      key: 'used',
      header: t('account.lastUsed'),
      cell: ({ last_used_at }) => (last_used_at === null ? t('account.notUsed') : <Ago at={last_used_at} />),
    },
    {
      key: 'end',
      header: t('account.end'),
      align: 'right',
      cell: ({ id: token, name, kind, current }) =>
        !current && (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t('account.endOf', { name: name || t(`account.kinds.${kind}`) })}
            loading={remove.isPending && remove.variables === token}
            onClick={() => remove.mutate(token)}
          >
            {t('account.endAction')}
          </Button>
        ),
    },
  ];
  return (
    <Section title={t('people.tokens')} description={t('people.tokensWhat')}>
      <ProblemAlert error={remove.error} />
      <DataTable
        label={t('people.tokens')}
        columns={columns}
        listing={listing}
        rowKey={({ id: token }) => token}
        empty={<EmptyState title={t('people.noTokens')} />}
      />
    </Section>
  );
}

function NewPassword({ account: { id, name }, close }: { account: Account; close: () => void }) {
  const { t } = useTranslation();
  const [password, setPassword] = useState('');
  const change = useChange(id, close);
  return (
    <FormDialog
      title={t('people.passwordOf', { name })}
      close={close}
      action={t('catalogue.save')}
      submit={() => change.mutate({ password })}
      pending={change.isPending}
      disabled={password === ''}
      error={change.error}
      fields={['password']}
      equivalent={{
        command: commandLine('accounts password', name),
        request: `PATCH ${pathOf(routes.account, { id: String(id) })}`,
        body: { password: '…' },
      }}
    >
      <Text size="sm">{t('people.newPasswordWhat')}</Text>
      <PasswordInput
        data-autofocus
        label={t('people.password')}
        autoComplete="new-password"
        required
        withAsterisk={false}
        maxLength={1024}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        error={errorAt(change.error, 'password')}
        visibilityToggleButtonProps={{ 'aria-label': t('signIn.showPassword') }}
      />
    </FormDialog>
  );
}

function NoPassword({ account: { id, name }, close }: { account: Account; close: () => void }) {
  const { t } = useTranslation();
  const change = useChange(id, close);
  return (
    <Confirm
      title={t('people.takePasswordOf', { name })}
      close={close}
      action={t('people.takePassword')}
      confirm={() => change.mutate({ password: null })}
      pending={change.isPending}
      error={change.error}
      equivalent={{
        command: commandLine('accounts set', name, '--no-password'),
        request: `PATCH ${pathOf(routes.account, { id: String(id) })}`,
        body: { password: null },
      }}
    >
      {t('people.takePasswordWhat')}
    </Confirm>
  );
}

interface DeleteProps {
  account: Account;
  opened: boolean;
  close: () => void;
  gone: () => void;
}

function Delete({ account: { id, name }, opened, close, gone }: DeleteProps) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteAccount(id),
    onSuccess: async () => {
      gone();
      await queryClient.invalidateQueries({ queryKey: [routes.accounts] });
      await queryClient.invalidateQueries({ queryKey: [routes.customers] });
    },
  });
  return (
    <ConfirmByTyping
      opened={opened}
      close={close}
      title={t('people.deleteAccountOf', { name })}
      name={name}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
    >
      {t('people.deleteAccountWhat')}
    </ConfirmByTyping>
  );
}
