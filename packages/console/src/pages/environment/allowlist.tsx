/** From where the environment can be reached. Says before a change whether it would shut out this very browser. */
import type { AllowlistEntry, Environment } from '@berth/contract';
import { covers, readNetwork } from '@berth/contract/network';
import { pathOf, routes } from '@berth/contract/paths';
import { Alert, Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { QueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import {
  addAllowlistEntry,
  allowlistCheckQuery,
  allowlistQuery,
  removeAllowlistEntry,
} from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { NetworkField, readTyped } from '../../components/network-field.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';

export function Allowlist({ environment: { env_id: id } }: { environment: Environment }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const { data, error, isPending, refetch } = useQuery(allowlistQuery(id));
  const { data: check } = useQuery(allowlistCheckQuery(id, ''));
  const reload = () => queryClient.invalidateQueries({ queryKey: [routes.allowlist] });
  const [removing, setRemoving] = useState<AllowlistEntry | null>(null);
  const remove = useMutation({
    mutationFn: removeAllowlistEntry,
    onSuccess: () => setRemoving(null),
    onSettled: reload,
  });
  const entries = data?.items ?? [];
  const address = check?.address ?? null;
  const ask = useMutation({
    mutationFn: async (entry: AllowlistEntry) => ({
      entry,
      shutsOut: await shutsOut(queryClient, entry, id),
    }),
    onSuccess: ({ entry, shutsOut }) => (shutsOut ? setRemoving(entry) : remove.mutate(entry.id)),
  });
  const columns: Column<AllowlistEntry>[] = [
    {
      key: 'network',
      header: t('allowlist.network'),
      cell: ({ network }) => (
        <Text span ff="monospace" size="sm">
          {network}
        </Text>
      ),
    },
    {
      key: 'of',
      header: t('allowlist.holdsFor'),
      cell: ({ env_id }) => (env_id === null ? t('allowlist.allOfCustomer') : t('allowlist.thisOne')),
    },
    { key: 'note', header: t('allowlist.note'), cell: ({ note }) => note, wideOnly: true },
    {
      key: 'remove',
      header: t('common.remove'),
      align: 'right',
      cell: (entry) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('allowlist.removeOf', { network: entry.network })}
          loading={
            (ask.isPending && ask.variables.id === entry.id) ||
            (remove.isPending && remove.variables === entry.id)
          }
          onClick={() => ask.mutate(entry)}
        >
          {t('common.remove')}
        </Button>
      ),
    },
  ];
  return (
    <Section title={t('allowlist.title')} description={t('allowlist.what')}>
      <Stack gap="md">
        {address !== null && check !== undefined && (
          <Text size="sm" c="dimmed">
            {!check.limited
              ? t('allowlist.open', { address })
              : check.allowed === true
                ? t('allowlist.youGetIn', { address })
                : t('allowlist.youDoNot', { address })}
          </Text>
        )}
        {(entries.length > 0 || error !== null || isPending) && (
          <DataTable
            label={t('allowlist.title')}
            columns={columns}
            listing={{
              rows: entries,
              isPending,
              error,
              hasMore: false,
              isLoadingMore: false,
              loadMore: () => undefined,
              reload: () => void refetch(),
            }}
            rowKey={({ id: entry }) => entry}
            empty={<EmptyState title={t('allowlist.none')} />}
          />
        )}
        {removing !== null && (
          <Alert variant="outline" color="yellow" icon={<IconAlertTriangle aria-hidden />} role="alert">
            <Text>
              {t('allowlist.removeShutsOut', { network: removing.network, address: address ?? '' })}
            </Text>
            <Group mt="xs">
              <Button size="compact-sm" variant="default" onClick={() => setRemoving(null)}>
                {t('common.cancel')}
              </Button>
              <Button
                size="compact-sm"
                color="red"
                loading={remove.isPending}
                onClick={() => remove.mutate(removing.id)}
              >
                {t('allowlist.removeAnyway')}
              </Button>
            </Group>
          </Alert>
        )}
        <ProblemAlert error={ask.error ?? remove.error} />
        <Add id={id} reload={reload} />
      </Stack>
    </Section>
  );
}

/** Whether this browser's address gets in now, and would not without the entry: by the list as it is, not as it is shown. */
async function shutsOut(queryClient: QueryClient, entry: AllowlistEntry, id: string): Promise<boolean> {
  const [{ items }, { address, allowed }] = await Promise.all([
    queryClient.fetchQuery({ ...allowlistQuery(id), staleTime: 0 }),
    queryClient.fetchQuery({ ...allowlistCheckQuery(id, ''), staleTime: 0 }),
  ]);
  const others = items.filter((each) => each.id !== entry.id);
  return (
    address !== null &&
    allowed !== false &&
    others.length > 0 &&
    !others.some(({ network }) => covers(readNetwork(network), address))
  );
}

function Add({ id, reload }: { id: string; reload: () => Promise<void> }) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const [note, setNote] = useState('');
  const { network } = readTyped(text);
  const [asked] = useDebouncedValue(network ?? '', 250);
  const { data: check } = useQuery({ ...allowlistCheckQuery(id, asked), enabled: asked !== '' });
  const body = { network: network ?? '', env_id: id, ...(note === '' ? {} : { note }) };
  const add = useMutation({
    mutationFn: () => addAllowlistEntry(body),
    onSuccess: () => {
      setText('');
      setNote('');
    },
    onSettled: reload,
  });
  const shutsOut = network !== null && asked === network && check?.allowed === false;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (network !== null) add.mutate();
      }}
    >
      <Stack gap="sm">
        <Group align="flex-start" gap="sm">
          <div>
            <NetworkField label={t('allowlist.add')} w="17rem" value={text} set={setText} />
          </div>
          <TextInput
            label={t('allowlist.note')}
            description={t('allowlist.noteWhat')}
            w="14rem"
            maxLength={200}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
        </Group>
        {shutsOut && (
          <Alert variant="outline" color="yellow" icon={<IconAlertTriangle aria-hidden />} role="alert">
            {t('allowlist.addShutsOut', { address: check.address ?? '' })}
          </Alert>
        )}
        <ProblemAlert error={add.error} />
        <Group gap="xs">
          <Button type="submit" variant="default" loading={add.isPending} disabled={network === null}>
            {shutsOut ? t('allowlist.addAnyway') : t('allowlist.addAction')}
          </Button>
          <CommandHint
            what={t('allowlist.add')}
            equivalent={{
              command: commandLine(
                'allowlist',
                'add',
                network ?? 'NETWORK',
                '--environment',
                id,
                ...(note === '' ? [] : ['--note', note]),
              ),
              request: `POST ${pathOf(routes.allowlist)}`,
              body: { ...body, network: network ?? 'NETWORK' },
            }}
          />
        </Group>
      </Stack>
    </form>
  );
}
