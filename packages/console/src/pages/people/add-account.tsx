/** A new account. A password that Berth makes is shown here, once. */
import type { CreateAccount, CreatedAccount } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { roles } from '@berth/contract/vocabulary';
import type { Role } from '@berth/contract/vocabulary';
import { Button, Group, Modal, PasswordInput, Radio, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { createAccount } from '../../api/people.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { useCustomers } from '../../components/customer-filter.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { useSession } from '../../shell/use-session.ts';

const passwordKinds = ['made', 'chosen', 'none'] as const;
type PasswordKind = (typeof passwordKinds)[number];

interface Props {
  /** Whose it will be, unless another is chosen. */
  customer: number | undefined;
  close: () => void;
}

export function AddAccount({ customer, close }: Props) {
  const { t } = useTranslation();
  const session = useSession();
  const queryClient = useQueryClient();
  const customers = useCustomers();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('member');
  const [owner, setOwner] = useState(customer ?? session.customer_id);
  const [kind, setKind] = useState<PasswordKind>('made');
  const [password, setPassword] = useState('');
  const [made, setMade] = useState<CreatedAccount | null>(null);
  const body: CreateAccount = {
    name: name.trim(),
    role,
    customer_id: owner,
    ...(kind === 'none' ? { password: null } : kind === 'chosen' ? { password } : {}),
  };
  const add = useMutation({
    mutationFn: () => createAccount(body),
    onSuccess: async (account) => {
      if (account.password === null) close();
      else setMade(account);
      await queryClient.invalidateQueries({ queryKey: [routes.accounts] });
      await queryClient.invalidateQueries({ queryKey: [routes.customers] });
    },
  });
  if (made !== null) return <Made account={made} close={close} />;
  const ownerName = customers.find(({ id }) => id === owner)?.name ?? String(owner);
  return (
    <FormDialog
      title={t('people.addAccount')}
      close={close}
      action={t('people.addAccount')}
      submit={() => add.mutate()}
      pending={add.isPending}
      disabled={body.name === '' || (kind === 'chosen' && password === '')}
      error={add.error}
      fields={['name', 'password', 'customer_id']}
      equivalent={{
        command: commandLine(
          'accounts add',
          body.name || 'NAME',
          '--role',
          role,
          '--customer',
          ownerName,
          ...(kind === 'none' ? ['--no-password'] : kind === 'chosen' ? ['--password'] : []),
        ),
        request: `POST ${routes.accounts}`,
        body: { ...body, name: body.name || 'NAME', ...(kind === 'chosen' && { password: '…' }) },
      }}
    >
      <TextInput
        data-autofocus
        label={t('people.name')}
        description={t('people.accountNameWhat')}
        required
        withAsterisk={false}
        maxLength={32}
        autoComplete="off"
        spellCheck={false}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={errorAt(add.error, 'name')}
      />
      <Select
        label={t('people.customer')}
        data={customers.map(({ id, name: each }) => ({ value: String(id), label: each }))}
        value={String(owner)}
        allowDeselect={false}
        searchable
        onChange={(chosen) => setOwner(Number(chosen))}
        error={errorAt(add.error, 'customer_id')}
      />
      <Radio.Group label={t('people.role')} value={role} onChange={(chosen) => setRole(chosen as Role)}>
        <Stack gap={6} mt={6}>
          {roles.toReversed().map((each) => (
            <Radio
              key={each}
              value={each}
              label={t(`people.roles.${each}`)}
              description={t(`people.rolesWhat.${each}`)}
            />
          ))}
        </Stack>
      </Radio.Group>
      <Radio.Group
        label={t('people.password')}
        value={kind}
        onChange={(chosen) => setKind(chosen as PasswordKind)}
      >
        <Stack gap={6} mt={6}>
          {passwordKinds.map((each) => (
            <Radio
              key={each}
              value={each}
              label={t(`people.passwords.${each}`)}
              description={t(`people.passwordsWhat.${each}`)}
            />
          ))}
        </Stack>
      </Radio.Group>
      {kind === 'chosen' && (
        <PasswordInput
          label={t('people.password')}
          autoComplete="new-password"
          required
          withAsterisk={false}
          maxLength={1024}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={errorAt(add.error, 'password')}
          visibilityToggleButtonProps={{ 'aria-label': t('signIn.showPassword') }}
        />
      )}
    </FormDialog>
  );
}

function Made({ account: { name, password }, close }: { account: CreatedAccount; close: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal
      opened
      onClose={close}
      closeOnClickOutside={false}
      title={t('people.made', { name })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Stack>
        <Text>{t('people.madeWhat')}</Text>
        <div>
          <Text size="sm" c="dimmed">
            {t('people.account')}
          </Text>
          <CopyField value={name} label={t('people.account')} />
        </div>
        <div>
          <Text size="sm" c="dimmed">
            {t('people.password')}
          </Text>
          <CopyField value={password ?? ''} label={t('people.password')} />
        </div>
        <Group justify="flex-end">
          <Button onClick={close}>{t('people.copied')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
