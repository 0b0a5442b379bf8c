/** What can be done with an environment just now; a button that cannot be pressed says why. */
import type { Environment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import type { Status } from '@berth/contract/vocabulary';
import { ActionIcon, Button, Checkbox, Menu, Popover, Stack, Text, Title, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconDots,
  IconNotebook,
  IconPlayerPlay,
  IconPlayerStop,
  IconRefresh,
  IconTerminal2,
  IconTrash,
} from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import {
  deleteEnvironment,
  environmentQuery,
  restartEnvironment,
  startEnvironment,
  stopEnvironment,
} from '../../api/environments.ts';
import { EquivalentFields } from '../../components/command-hint.tsx';
import { ConfirmByTyping } from '../../components/confirm-by-typing.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { actions, equivalentOf } from './equivalents.ts';

export function Actions({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id: id, status } = environment;
  const change = useChange(id);
  const [deleting, { open: askDelete, close: closeDelete }] = useDisclosure();
  const isUp = status === 'running' || status === 'restarting';
  const canStart = status === 'stopped' || status === 'failed';
  const mayCome = isUp || status === 'stopped' || status === 'starting';
  return (
    <>
      <Explained why={mayCome ? null : t(`environment.whyNot.${passing(status)}`)}>
        <Button
          component="a"
          href={pathOf('/terminal/:id', { id })}
          target="_blank"
          leftSection={<IconTerminal2 size={18} aria-hidden />}
          {...disabledLink(!mayCome)}
        >
          {t('environment.terminal')}
        </Button>
      </Explained>
      <Explained why={mayCome ? null : t(`environment.whyNot.${passing(status)}`)}>
        <Button
          component="a"
          variant="default"
          href={pathOf(routes.jupyter, { id })}
          target="_blank"
          leftSection={<IconNotebook size={18} aria-hidden />}
          {...disabledLink(!mayCome)}
        >
          {t('environment.jupyter')}
        </Button>
      </Explained>
      {canStart ? (
        <Button
          variant="default"
          loading={change.isPending}
          leftSection={<IconPlayerPlay size={18} aria-hidden />}
          onClick={() => change.mutate(startEnvironment)}
        >
          {status === 'failed' ? t('environment.tryAgain') : t('environment.start')}
        </Button>
      ) : (
        <Explained
          why={status === 'deleting' || status === 'stopping' ? t(`environment.whyNot.${status}`) : null}
        >
          <Button
            variant="default"
            loading={change.isPending}
            leftSection={<IconPlayerStop size={18} aria-hidden />}
            {...disabledButton(status === 'deleting' || status === 'stopping')}
            onClick={() => change.mutate(stopEnvironment)}
          >
            {t('environment.stop')}
          </Button>
        </Explained>
      )}
      <ByHand id={id} />
      <Menu position="bottom-end" width="16rem">
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label={t('environment.more')}>
            <IconDots size={18} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconRefresh size={16} aria-hidden />}
            disabled={status !== 'running'}
            onClick={() => change.mutate(restartEnvironment)}
          >
            {t('environment.restart')}
            {status !== 'running' && (
              <Text size="xs" c="dimmed">
                {t('environment.whyNot.notRunning')}
              </Text>
            )}
          </Menu.Item>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={16} aria-hidden />}
            disabled={status === 'deleting'}
            onClick={askDelete}
          >
            {t('environment.delete')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {change.error !== null && (
        <div style={{ flexBasis: '100%' }}>
          <ProblemAlert error={change.error} />
        </div>
      )}
      {deleting && <Delete environment={environment} close={closeDelete} />}
    </>
  );
}

/** A request that answers with the environment as it is then. */
export function useChange(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (ask: (id: string) => Promise<Environment>) => ask(id),
    onSuccess: (environment) => queryClient.setQueryData(environmentQuery(id).queryKey, environment),
  });
}

function passing(status: Status): 'creating' | 'stopping' | 'deleting' | 'failed' {
  return status === 'stopping' || status === 'deleting' || status === 'failed' ? status : 'creating';
}

/** Stays reachable by the keyboard, so that why it is off can be read. */
function disabledLink(disabled: boolean) {
  return disabled
    ? {
        'data-disabled': true,
        'aria-disabled': true,
        onClick: (event: { preventDefault(): void }) => event.preventDefault(),
      }
    : {};
}

function disabledButton(disabled: boolean) {
  return disabled ? { 'data-disabled': true, 'aria-disabled': true } : {};
}

function Explained({ why, children }: { why: string | null; children: ReactNode }) {
  return (
    <Tooltip label={why} disabled={why === null} multiline maw="18rem">
      {children}
    </Tooltip>
  );
}

function ByHand({ id }: { id: string }) {
  const { t } = useTranslation();
  return (
    <Popover width="min(34rem, 92vw)" position="bottom-end" trapFocus>
      <Popover.Target>
        <Button variant="default">{t('environment.commands')}</Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t('command.title')} mah="70vh" style={{ overflowY: 'auto' }}>
        <Stack gap="lg">
          {actions.map((action) => (
            <section key={action}>
              <Title order={2} size="h3">
                {t(`environment.byHand.${action}`)}
              </Title>
              <EquivalentFields equivalent={equivalentOf(action, id)} />
            </section>
          ))}
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function Delete({ environment, close }: { environment: Environment; close: () => void }) {
  const { t } = useTranslation();
  const { env_id: id, name } = environment;
  const [keep, setKeep] = useState(false);
  const change = useChange(id);
  const equivalent = equivalentOf('delete', id);
  return (
    <ConfirmByTyping
      opened
      close={close}
      title={t('environment.deleteTitle', { name })}
      name={name}
      action={t('environment.delete')}
      confirm={() => change.mutate(() => deleteEnvironment(id, keep), { onSuccess: close })}
      pending={change.isPending}
      error={change.error}
    >
      <Stack gap="sm">
        <Text>{keep ? t('environment.deleteKeeps') : t('environment.deleteWhat')}</Text>
        <Checkbox
          label={t('environment.keepFiles')}
          description={t('environment.keepFilesWhat')}
          checked={keep}
          onChange={(event) => setKeep(event.currentTarget.checked)}
        />
        <EquivalentFields
          equivalent={{
            command: `${equivalent.command}${keep ? ' --keep-storage' : ''}`,
            request: `${equivalent.request}${keep ? '?keep_storage=true' : ''}`,
          }}
        />
      </Stack>
    </ConfirmByTyping>
  );
}
