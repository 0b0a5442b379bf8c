/** Tokens for programs: made here, shown once, and gone for good when they are deleted. */
import type { CreatedToken, Token } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { scopes } from '@berth/contract/vocabulary';
import type { Scope } from '@berth/contract/vocabulary';
import { Alert, Button, Checkbox, Group, Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { createToken, removeToken } from '../../api/tokens.ts';
import { EquivalentFields, commandLine } from '../../components/command-hint.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useSession } from '../../shell/use-session.ts';

const lives = ['7', '30', '90', '365', 'never'] as const;

export function ApiTokens() {
  const { t } = useTranslation();
  const { account_id } = useSession();
  const queryClient = useQueryClient();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<CreatedToken | null>(null);
  const listing = useListing<Token>(routes.tokens, { account_id, kind: 'api' });
  const reload = () => queryClient.invalidateQueries({ queryKey: [routes.tokens] });
  const remove = useMutation({ mutationFn: removeToken, onSettled: reload });
  const columns: Column<Token>[] = [
    {
      key: 'name',
      header: t('account.tokenName'),
      cell: ({ name, hint }) => (
        <>
          {name}
          <Text size="xs" c="dimmed" ff="monospace">
            {`${hint}…`}
          </Text>
        </>
      ),
    },
    {
      key: 'scopes',
      header: t('account.tokenMay'),
      cell: ({ scopes }) => scopes.map((scope) => t(`account.scopes.${scope}`)).join(', '),
      wideOnly: true,
    },
    {
      key: 'used',
      header: t('account.lastUsed'),
      cell: ({ last_used_at }) => (last_used_at === null ? t('account.notUsed') : <Ago at={last_used_at} />),
      wideOnly: true,
    },
    {
      key: 'expires',
      header: t('account.expires'),
      cell: ({ expires_at }) => (expires_at === null ? t('account.never') : <Ago at={expires_at} />),
    },
    {
      key: 'delete',
      header: t('common.delete'),
      align: 'right',
      cell: ({ id, name }) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('account.deleteToken', { name })}
          loading={remove.isPending && remove.variables === id}
          onClick={() => remove.mutate(id)}
        >
          {t('common.delete')}
        </Button>
      ),
    },
  ];
  return (
    <Section
      title={t('account.tokens')}
      description={t('account.tokensWhat')}
      actions={
        <Button variant="default" onClick={() => setMaking(true)}>
          {t('account.makeToken')}
        </Button>
      }
    >
      {made && (
        <Alert
          mb="md"
          variant="outline"
          title={t('account.tokenMade', { name: made.name })}
          withCloseButton
          closeButtonLabel={t('common.close')}
          onClose={() => setMade(null)}
        >
          <Text size="sm" mb="xs">
            {t('account.tokenOnce')}
          </Text>
          <CopyField value={made.token} label={t('account.token')} />
        </Alert>
      )}
      <ProblemAlert error={remove.error} />
      <DataTable
        label={t('account.tokens')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={<EmptyState title={t('account.noTokens')}>{t('account.noTokensWhat')}</EmptyState>}
      />
      <Modal
        opened={making}
        onClose={() => setMaking(false)}
        title={t('account.makeToken')}
        closeButtonProps={{ 'aria-label': t('common.close') }}
      >
        <TokenForm
          done={async (token) => {
            setMade(token);
            setMaking(false);
            await reload();
          }}
        />
      </Modal>
    </Section>
  );
}

function TokenForm({ done }: { done: (token: CreatedToken) => Promise<void> }) {
  const { t } = useTranslation();
  const session = useSession();
  const [name, setName] = useState('');
  const [wanted, setWanted] = useState<Scope[]>(['read', 'write']);
  const [life, setLife] = useState<string>('90');
  const body = {
    name: name.trim(),
    scopes: scopes.filter((scope) => wanted.includes(scope)),
    expires_in_days: life === 'never' ? null : Number(life),
  };
  const create = useMutation({ mutationFn: () => createToken(body), onSuccess: done });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <Stack>
        <TextInput
          data-autofocus
          label={t('account.tokenName')}
          description={t('account.tokenNameWhat')}
          required
          withAsterisk={false}
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Checkbox.Group
          label={t('account.tokenMay')}
          value={wanted}
          onChange={(value) => setWanted(value as Scope[])}
        >
          <Stack gap="xs" mt="xs">
            {scopes
              .filter((scope) => session.scopes.includes(scope))
              .map((scope) => (
                <Checkbox
                  key={scope}
                  value={scope}
                  label={t(`account.scopes.${scope}`)}
                  description={t(`account.scopesWhat.${scope}`)}
                />
              ))}
          </Stack>
        </Checkbox.Group>
        <NativeSelect
          label={t('account.expires')}
          value={life}
          onChange={(event) => setLife(event.currentTarget.value)}
          data={lives.map((value) => ({
            value,
            label: value === 'never' ? t('account.never') : t('account.inDays', { count: Number(value) }),
          }))}
        />
        <EquivalentFields
          equivalent={{
            command: commandLine(
              'tokens add',
              body.name || 'NAME',
              '--scope',
              ...body.scopes,
              '--expires',
              life,
            ),
            request: `POST ${routes.tokens}`,
            body,
          }}
        />
        <ProblemAlert error={create.error} />
        <Group justify="flex-end">
          <Button type="submit" loading={create.isPending} disabled={body.name === '' || wanted.length === 0}>
            {t('account.makeToken')}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
