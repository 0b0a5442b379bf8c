/** The uploads of the page, each with how far it is. */
import { ActionIcon, Button, Group, Progress, Text } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useEffect, useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../../i18n/format.ts';
import classes from './terminal.module.css';
import type { Transfer } from './transfers.ts';
import type { Workspace } from './workspace.ts';

export function TransferList({ workspace: { transfers } }: { workspace: Workspace }) {
  const { t } = useTranslation();
  const list = useSyncExternalStore(transfers.subscribe, transfers.list);
  const isMoving = transfers.isMoving;
  useEffect(() => {
    if (!isMoving) return undefined;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isMoving]);
  if (list.length === 0) return null;
  return (
    <section className={classes.transfers} aria-label={t('terminal.transfers.title')}>
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          {t('terminal.transfers.title')}
        </Text>
        {!isMoving && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={t('common.close')}
            onClick={() => transfers.clear()}
          >
            <IconX size={14} aria-hidden />
          </ActionIcon>
        )}
      </Group>
      <ul>
        {list.map((transfer) => (
          <Row
            key={transfer.id}
            transfer={transfer}
            cancel={() => transfers.cancel(transfer.id)}
            again={(replace) => transfers.again(transfer.id, replace)}
          />
        ))}
      </ul>
    </section>
  );
}

interface RowProps {
  transfer: Transfer;
  cancel: () => void;
  again: (replace: boolean) => void;
}

function Row({ transfer, cancel, again }: RowProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const { name, path, bytes, sent, bytesPerSecond, state, problem } = transfer;
  const isMoving = state === 'moving' || state === 'waiting';
  const percent = bytes === 0 ? 100 : (sent * 100) / bytes;
  return (
    <li>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" truncate title={path}>
          {name}
        </Text>
        {isMoving && (
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            aria-label={t('terminal.transfers.cancel', { name })}
            onClick={cancel}
          >
            <IconX size={14} aria-hidden />
          </ActionIcon>
        )}
      </Group>
      {isMoving && <Progress value={percent} size="sm" aria-label={name} />}
      <Text size="xs" c={state === 'failed' ? 'var(--berth-bad)' : 'dimmed'} role="status">
        {state === 'moving' &&
          t('terminal.transfers.moving', {
            sent: format.bytes(sent),
            all: format.bytes(bytes),
            speed: format.bytes(bytesPerSecond),
          })}
        {state === 'waiting' && t('terminal.transfers.waiting')}
        {state === 'done' && t('terminal.transfers.done', { path, size: format.bytes(bytes) })}
        {state === 'cancelled' && t('terminal.transfers.cancelled')}
        {state === 'failed' && (problem?.sentence || t('problem.unreachable'))}
      </Text>
      {problem?.cure && !problem.exists && (
        <Text size="xs" c="dimmed">
          {problem.cure}
        </Text>
      )}
      {(state === 'failed' || state === 'cancelled') && (
        <Group gap="xs" mt={4}>
          <Button size="compact-xs" variant="default" onClick={() => again(problem?.exists ?? false)}>
            {problem?.exists ? t('terminal.transfers.replace') : t('common.retry')}
          </Button>
        </Group>
      )}
    </li>
  );
}
