/** What the container printed, read again as long as somebody asks for it. */
import type { Environment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, Loader, NativeSelect, Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { logQuery } from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { CopyButton } from '../../components/copy-field.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './environment.module.css';

const tails = [200, 1000, 10_000];
const followMs = 2000;

export function LogTab({ environment: { env_id: id } }: { environment: Environment }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [tail, setTail] = useState(200);
  const [follows, setFollows] = useState(true);
  const { data, error, isPending, refetch } = useQuery({
    ...logQuery(id, tail),
    refetchInterval: follows && followMs,
  });
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [data, follows]);
  return (
    <Section
      title={t('environment.log')}
      description={t('environment.logWhat')}
      actions={
        <Group gap="sm">
          <Switch
            label={t('environment.follow')}
            checked={follows}
            onChange={(event) => setFollows(event.currentTarget.checked)}
          />
          <NativeSelect
            aria-label={t('environment.lines')}
            data={tails.map((value) => ({
              value: String(value),
              label: t('environment.lastCount', { count: value, lines: format.number(value) }),
            }))}
            value={String(tail)}
            onChange={(event) => setTail(Number(event.currentTarget.value))}
          />
          <CopyButton value={data ?? ''} label={t('environment.log')} />
          <Button
            component="a"
            variant="default"
            href={`${pathOf(routes.environmentLogs, { id })}?tail=10000`}
            download={`${id}.log`}
          >
            {t('environment.download')}
          </Button>
          <CommandHint
            what={t('environment.log')}
            equivalent={{
              command: commandLine('logs', id, '--follow'),
              request: `GET ${pathOf(routes.environmentLogs, { id })}?tail=${tail}`,
            }}
          />
        </Group>
      }
    >
      <ProblemAlert error={error} retry={() => void refetch()} />
      {isPending && <Loader size="sm" aria-label={t('common.loading')} />}
      {data !== undefined && data.trim() === '' && <EmptyState title={t('environment.logEmpty')} />}
      {data !== undefined && data.trim() !== '' && (
        <pre ref={box} className={classes.log} tabIndex={0} aria-label={t('environment.log')}>
          {data}
        </pre>
      )}
    </Section>
  );
}
