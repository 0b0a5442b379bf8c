/** A network for the allowlist; it is read while it is typed, and who would shut himself out is told before. */
import type { EnvironmentPage } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Alert, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconAlertTriangle } from '@tabler/icons-react';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call } from '../../api/client.ts';
import { customerCheckQuery } from '../../api/controls.ts';
import { addAllowlistEntry } from '../../api/environments.ts';
import { commandLine, ofCustomer } from '../../components/command-hint.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { NetworkField, readTyped } from '../../components/network-field.tsx';
import { useSession } from '../../shell/use-session.ts';

export function AddNetwork({ customer, close }: { customer: number | undefined; close: () => void }) {
  const { t } = useTranslation();
  const session = useSession();
  const queryClient = useQueryClient();
  const customer_id = customer ?? session.customer_id;
  const [text, setText] = useState('');
  const [note, setNote] = useState('');
  const [environment, setEnvironment] = useState<string | null>(null);
  const { network } = readTyped(text);
  const [asked] = useDebouncedValue(network ?? '', 250);
  const { data: check } = useQuery({
    ...customerCheckQuery(customer_id, '', asked),
    enabled: asked !== '' && environment === null,
  });
  const body = {
    network: network ?? text.trim(),
    ...(environment === null ? {} : { env_id: environment }),
    ...(note.trim() === '' ? {} : { note: note.trim() }),
    ...(customer === undefined || environment !== null ? {} : { customer_id: customer }),
  };
  const add = useMutation({
    mutationFn: () => addAllowlistEntry(body),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.allowlist] });
      close();
    },
  });
  const shutsOut = environment === null && asked !== '' && asked === network && check?.allowed === false;
  return (
    <FormDialog
      title={t('allowlist.add')}
      close={close}
      action={shutsOut ? t('allowlist.addAnyway') : t('allowlist.addAction')}
      submit={() => add.mutate()}
      pending={add.isPending}
      disabled={network === null}
      error={add.error}
      fields={['network', 'env_id', 'note']}
      equivalent={{
        command: commandLine(
          'allowlist add',
          network ?? 'NETWORK',
          ...(environment === null ? ofCustomer(customer) : ['--environment', environment]),
          ...(note.trim() === '' ? [] : ['--note', note.trim()]),
        ),
        request: `POST ${routes.allowlist}`,
        body: { ...body, network: network ?? 'NETWORK' },
      }}
    >
      <NetworkField
        data-autofocus
        label={t('allowlist.network')}
        value={text}
        set={(typed) => {
          setText(typed);
          add.reset();
        }}
        error={errorAt(add.error, 'network')}
      />
      <HoldsFor customer={customer_id} value={environment} set={setEnvironment} />
      <TextInput
        label={t('allowlist.note')}
        description={t('allowlist.noteWhat')}
        maxLength={200}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        error={errorAt(add.error, 'note')}
      />
      {shutsOut && (
        <Alert variant="outline" color="yellow" icon={<IconAlertTriangle aria-hidden />} role="alert">
          {t('allowlist.addShutsOut', { address: check.address ?? '' })}
        </Alert>
      )}
    </FormDialog>
  );
}

interface HoldsForProps {
  customer: number;
  /** null: all of the customer's environments. */
  value: string | null;
  set: (environment: string | null) => void;
}

function HoldsFor({ customer, value, set }: HoldsForProps) {
  const { t } = useTranslation();
  const [search, setSearch] = useState('');
  const [wanted] = useDebouncedValue(search, 200);
  const { data } = useQuery({
    queryKey: [routes.environments, 'to-choose', customer, wanted],
    queryFn: ({ signal }) =>
      call<EnvironmentPage>('GET', routes.environments, {
        query: { customer_id: customer, search: wanted, sort: 'name', limit: 50 },
        signal,
      }),
    placeholderData: keepPreviousData,
  });
  return (
    <Select
      label={t('allowlist.holdsFor')}
      placeholder={t('allowlist.allOfCustomer')}
      data={(data?.items ?? []).map(({ env_id, name }) => ({ value: env_id, label: `${name} (${env_id})` }))}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': t('allowlist.allOfCustomer') }}
      onSearchChange={(text) => setSearch(value === null ? text.slice(0, 64) : '')}
      value={value}
      onChange={set}
    />
  );
}
