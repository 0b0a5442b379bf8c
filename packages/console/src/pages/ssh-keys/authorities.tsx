/** Authorities whose user certificates open a customer's environments, and what of theirs is revoked. */
import type { SshAuthority } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Stack, Text, TextInput, VisuallyHidden } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { addSshAuthority, removeSshAuthority } from '../../api/ssh-keys.ts';
import { CommandHint, commandLine, ofCustomer } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { CustomerFilter } from '../../components/customer-filter.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { FilterBar } from '../../components/filter-bar.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useSession } from '../../shell/use-session.ts';
import { PastedKeyField } from './pasted-key-field.tsx';
import { readPastedKey } from './pasted-key.ts';
import { Revocations } from './revocations.tsx';
import classes from './ssh-keys.module.css';

const route = getRouteApi('/signed-in/ssh-authorities');

export function SshAuthoritiesPage() {
  const { t } = useTranslation();
  const session = useSession();
  const { customer } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const [deleting, setDeleting] = useState<SshAuthority | null>(null);
  const customer_id = customer ?? session.customer_id;
  const listing = useListing<SshAuthority>(routes.sshAuthorities, { customer_id });
  const columns: Column<SshAuthority>[] = [
    {
      key: 'name',
      header: t('keys.authorities.name'),
      cell: ({ name, type, fingerprint }) => (
        <>
          <span className={classes.name}>{name}</span>
          <Text size="xs" c="dimmed" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
            {`${type} ${fingerprint}`}
          </Text>
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
      cell: (authority) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('keys.authorities.deleteOf', { name: authority.name })}
          onClick={() => setDeleting(authority)}
        >
          {t('common.delete')}
        </Button>
      ),
    },
  ];
  return (
    <>
      <PageHeader
        title={t('keys.authorities.title')}
        description={t('keys.authorities.what')}
        actions={
          <>
            <CommandHint
              what={t('keys.authorities.title')}
              equivalent={{
                command: commandLine('authorities list', ...ofCustomer(customer)),
                request: `GET ${routes.sshAuthorities}`,
              }}
            />
            <Button onClick={() => setAdding(true)}>{t('keys.authorities.add')}</Button>
          </>
        }
      />
      <FilterBar>
        <CustomerFilter
          value={customer}
          set={(chosen) => void navigate({ search: { customer: chosen }, replace: true })}
        />
      </FilterBar>
      <Stack gap="2.5rem">
        <div>
          <DataTable
            label={t('keys.authorities.title')}
            columns={columns}
            listing={listing}
            rowKey={({ id }) => id}
            empty={
              <EmptyState
                title={t('keys.authorities.none')}
                command={`${commandLine('authorities add', 'company')} user_ca.pub`}
              >
                {t('keys.authorities.noneWhat')}
              </EmptyState>
            }
          />
        </div>
        <Section title={t('keys.authorities.sign')} description={t('keys.authorities.signWhat')}>
          <CopyField
            value="ssh-keygen -s user_ca -I alice@example.com -n demo-7f3k -V +12h id_ed25519.pub"
            label={t('keys.authorities.sign')}
          />
        </Section>
        <Revocations customer={customer} />
      </Stack>
      {adding && <AddAuthority customer={customer} close={() => setAdding(false)} />}
      {deleting && (
        <DeleteAuthority authority={deleting} customer={customer} close={() => setDeleting(null)} />
      )}
    </>
  );
}

function AddAuthority({ customer, close }: { customer: number | undefined; close: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [pasted, setPasted] = useState('');
  const [name, setName] = useState('');
  const read = readPastedKey(pasted);
  const body = { name: name.trim(), public_key: pasted.trim(), ...(customer && { customer_id: customer }) };
  const add = useMutation({
    mutationFn: () => addSshAuthority(body),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.sshAuthorities] });
      close();
    },
  });
  return (
    <FormDialog
      title={t('keys.authorities.add')}
      close={close}
      size="lg"
      action={t('keys.authorities.add')}
      submit={() => add.mutate()}
      pending={add.isPending}
      disabled={read === null || typeof read === 'string' || body.name === ''}
      error={add.error}
      fields={['public_key', 'name']}
      equivalent={{
        command: `${commandLine('authorities add', body.name || 'NAME')} user_ca.pub${ofCustomer(customer)
          .map((word) => ` ${word}`)
          .join('')}`,
        request: `POST ${routes.sshAuthorities}`,
        body: { ...body, name: body.name || 'NAME', public_key: body.public_key || 'ssh-ed25519 AAAA…' },
      }}
    >
      <PastedKeyField
        label={t('keys.authorities.form.key')}
        description={t('keys.authorities.form.keyWhat')}
        value={pasted}
        set={(value) => {
          setPasted(value);
          add.reset();
        }}
        error={errorAt(add.error, 'public_key')}
      />
      <TextInput
        label={t('keys.form.name')}
        description={t('keys.authorities.form.nameWhat')}
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

interface DeleteProps {
  authority: SshAuthority;
  customer: number | undefined;
  close: () => void;
}

function DeleteAuthority({ authority: { id, name, fingerprint }, customer, close }: DeleteProps) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => removeSshAuthority(id),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.sshAuthorities] });
      close();
    },
  });
  return (
    <Confirm
      title={t('keys.authorities.deleteTitle', { name })}
      close={close}
      action={t('keys.authorities.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
      equivalent={{
        command: commandLine('authorities remove', fingerprint, ...ofCustomer(customer)),
        request: `DELETE ${pathOf(routes.sshAuthority, { id: String(id) })}`,
      }}
    >
      <Mono dimmed>{fingerprint}</Mono>
      <Text mt="sm">{t('keys.authorities.deleteWhat')}</Text>
    </Confirm>
  );
}
