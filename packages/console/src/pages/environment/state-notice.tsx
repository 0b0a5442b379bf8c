/** What the environment's state means for a person, and what to do about it. */
import type { Environment } from '@berth/contract';
import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { IconInfoCircle, IconLock, IconPlugConnectedX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { pathOf, routes } from '@berth/contract/paths';
import { useTranslation } from 'react-i18next';
import {
  connectedQuery,
  deleteEnvironment,
  lockoutsQuery,
  readinessQuery,
  startEnvironment,
  stopEnvironment,
  unlock,
} from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useServerWords } from '../../i18n/server-words.ts';
import { useChange } from './actions.tsx';
import classes from './environment.module.css';
import { Failure } from './failure.tsx';
import { Steps } from './steps.tsx';

export function StateNotice({ environment }: { environment: Environment }) {
  const { status, notes } = environment;
  const words = useServerWords();
  return (
    <Stack gap="sm">
      <LostContact environment={environment} />
      {(status === 'creating' || status === 'starting' || status === 'restarting') && (
        <Starting environment={environment} />
      )}
      {status === 'stopping' && <Stopping environment={environment} />}
      {status === 'stopped' && <Stopped environment={environment} />}
      {status === 'failed' && <Failure environment={environment} />}
      {status === 'deleting' && <Deleting />}
      <Lockouts id={environment.env_id} />
      {notes.length > 0 && (
        <ul className={classes.notes}>
          {notes.map((note) => (
            <li key={note}>
              <IconInfoCircle size={16} aria-hidden />
              {words(note)}
            </li>
          ))}
        </ul>
      )}
    </Stack>
  );
}

function Starting({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id: id, status, started_at } = environment;
  const isNew = started_at === null && status === 'creating';
  const change = useChange(id);
  return (
    <Alert variant="default" title={t(`environment.states.${isNew ? 'creating' : 'starting'}`)}>
      <Steps environment={environment} />
      <Group mt="sm">
        <Button
          size="compact-sm"
          variant="default"
          loading={change.isPending}
          onClick={() => change.mutate(isNew ? () => deleteEnvironment(id, false) : stopEnvironment)}
        >
          {t('common.cancel')}
        </Button>
        <Text size="sm" c="dimmed">
          {isNew ? t('environment.cancelNew') : t('environment.cancelStart')}
        </Text>
      </Group>
      <ProblemAlert error={change.error} />
    </Alert>
  );
}

function Stopping({ environment: { env_id: id } }: { environment: Environment }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { data } = useQuery(connectedQuery(id));
  const people = (data?.items ?? []).map(({ account, source }) =>
    account === null ? source : t('environment.personFrom', { account, source }),
  );
  return (
    <Alert variant="default" title={t('environment.states.stopping')}>
      <Text size="sm">
        {people.length === 0
          ? t('environment.stoppingNobody')
          : t('environment.stoppingWith', { people: format.list(people) })}
      </Text>
    </Alert>
  );
}

function Stopped({ environment: { env_id: id, wake } }: { environment: Environment }) {
  const { t } = useTranslation();
  const change = useChange(id);
  return (
    <Alert variant="default" title={t('environment.states.stopped')}>
      <Text size="sm">{wake ? t('environment.stoppedWakes') : t('environment.stoppedStays')}</Text>
      <Group mt="xs">
        <Button
          size="compact-sm"
          variant="default"
          loading={change.isPending}
          onClick={() => change.mutate(startEnvironment)}
        >
          {t('environment.start')}
        </Button>
      </Group>
      <ProblemAlert error={change.error} />
    </Alert>
  );
}

function Deleting() {
  const { t } = useTranslation();
  return (
    <Alert variant="default" title={t('environment.states.deleting')}>
      <Text size="sm">{t('environment.deletingWhat')}</Text>
    </Alert>
  );
}

/** Addresses that failed too often, from which nobody gets in for a while. */
function Lockouts({ id }: { id: string }) {
  const { t } = useTranslation();
  const format = useFormat();
  const queryClient = useQueryClient();
  const { data } = useQuery(lockoutsQuery(id));
  const end = useMutation({
    mutationFn: unlock,
    onSettled: () => queryClient.invalidateQueries({ queryKey: [routes.lockouts] }),
  });
  const lockouts = data?.items ?? [];
  if (lockouts.length === 0) return null;
  return (
    <Alert
      variant="outline"
      color="yellow"
      icon={<IconLock aria-hidden />}
      title={t('environment.locked', { count: lockouts.length })}
    >
      <Stack gap="xs">
        {lockouts.map(({ id: lockout, source, until, failures }) => (
          <Group key={lockout} gap="sm">
            <Text size="sm">
              {t('environment.lockedUntil', { source, failures, until: format.moment(until) })}
            </Text>
            <Button
              size="compact-sm"
              variant="default"
              aria-label={t('environment.unlockOf', { source })}
              loading={end.isPending && end.variables === lockout}
              onClick={() => end.mutate(lockout)}
            >
              {t('environment.unlock')}
            </Button>
            <CommandHint
              what={t('environment.unlockOf', { source })}
              equivalent={{
                command: commandLine('lockouts', 'clear', String(lockout)),
                request: `DELETE ${pathOf(routes.lockout, { id: String(lockout) })}`,
              }}
            />
          </Group>
        ))}
      </Stack>
      <ProblemAlert error={end.error} />
    </Alert>
  );
}

/** Berth itself does not reach what runs the containers, so nobody knows how this one is. */
function LostContact({ environment: { status_since } }: { environment: Environment }) {
  const { t } = useTranslation();
  const { data } = useQuery(readinessQuery);
  if (data === undefined || data.checks.runtime === 'ok') return null;
  return (
    <Alert
      variant="outline"
      color="yellow"
      icon={<IconPlugConnectedX aria-hidden />}
      title={t('environment.states.lost')}
    >
      <Text size="sm">{t('environment.lostWhat')}</Text>
      <Text size="sm" c="dimmed">
        {t('environment.lastSeen')} <Ago at={status_since} />
      </Text>
    </Alert>
  );
}
