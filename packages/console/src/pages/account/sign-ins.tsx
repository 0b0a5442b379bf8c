/** Browsers and commands that are signed in as this account, each to be ended. */
import type { Token } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Badge, Button, Group, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { removeToken } from '../../api/tokens.ts';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useSession } from '../../shell/use-session.ts';

export function SignIns() {
  const { t } = useTranslation();
  const { account_id } = useSession();
  const queryClient = useQueryClient();
  const all = useListing<Token>(routes.tokens, { account_id });
  const listing = { ...all, rows: all.rows.filter(({ kind }) => kind !== 'api') };
  const end = useMutation({
    mutationFn: removeToken,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.tokens] }),
  });
  const columns: Column<Token>[] = [
    {
      key: 'what',
      header: t('account.where'),
      cell: ({ kind, name, current }) => (
        <Group gap="xs">
          {name || t(`account.kinds.${kind}`)}
          {current && (
            <Badge variant="default" size="sm" tt="none">
              {t('account.thisOne')}
            </Badge>
          )}
        </Group>
      ),
    },
    {
      key: 'from',
      header: t('account.from'),
      cell: ({ source }) => (
        <Text ff="monospace" size="sm">
          {source ?? t('common.unknown')}
        </Text>
      ),
      wideOnly: true,
    },
    { key: 'since', header: t('account.since'), cell: ({ created_at }) => <Ago at={created_at} /> },
    {
      key: 'used',
      header: t('account.lastUsed'),
      cell: ({ last_used_at }) => (last_used_at === null ? t('account.notUsed') : <Ago at={last_used_at} />),
      wideOnly: true,
    },
    {
      key: 'end',
      header: t('account.end'),
      align: 'right',
      cell: ({ id, name, kind, current }) =>
        !current && (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t('account.endOf', { name: name || t(`account.kinds.${kind}`) })}
            loading={end.isPending && end.variables === id}
            onClick={() => end.mutate(id)}
          >
            {t('account.endAction')}
          </Button>
        ),
    },
  ];
  return (
    <Section title={t('account.signIns')} description={t('account.signInsWhat')}>
      <ProblemAlert error={end.error} />
      <DataTable
        label={t('account.signIns')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={<EmptyState title={t('account.noSignIns')} />}
      />
    </Section>
  );
}
