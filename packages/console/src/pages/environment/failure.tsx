/** Why an environment does not run: the step, the cause, the cure, its last log lines, and what was kept. */
import type { Environment } from '@berth/contract';
import { Alert, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { eventsQuery, logQuery, startEnvironment } from '../../api/environments.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { CheckList } from '../../diagnosis/findings.tsx';
import { useServerWords } from '../../i18n/server-words.ts';
import { useChange } from './actions.tsx';
import classes from './environment.module.css';
import { stepsOf } from './step-states.ts';
import { Steps } from './steps.tsx';

const shownLines = 20;

export function Failure({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const words = useServerWords();
  const { env_id: id, failure, started_at, status } = environment;
  const change = useChange(id);
  const { data: events } = useQuery(eventsQuery(id));
  const { data: log } = useQuery(logQuery(id, shownLines));
  const failed = stepsOf(events?.items ?? [], status).find(({ state }) => state === 'failed');
  return (
    <Alert
      variant="outline"
      color="red"
      icon={<IconAlertTriangle aria-hidden />}
      title={
        failed === undefined
          ? t('environment.states.failed')
          : t('environment.failedAt', { step: t(`environment.steps.${failed.step}`) })
      }
    >
      <Text>{words(failure?.cause ?? '')}</Text>
      <Text c="dimmed">{words(failure?.cure ?? '')}</Text>
      <Text size="sm" c="dimmed" mt="xs">
        {started_at === null ? t('environment.nothingLeft') : t('environment.filesKept')}
      </Text>
      <Steps environment={environment} />
      {failure !== null && failure.findings.length > 0 && (
        <>
          <Text size="sm" fw={500} mt="sm">
            {t('diagnosis.atFailure')}
          </Text>
          <CheckList checks={failure.findings} />
        </>
      )}
      {log !== undefined && log.trim() !== '' && (
        <details>
          <summary>{t('environment.lastLines')}</summary>
          <pre className={classes.log} tabIndex={0}>
            {log}
          </pre>
        </details>
      )}
      <Group mt="sm">
        <Button
          size="compact-sm"
          variant="default"
          loading={change.isPending}
          onClick={() => change.mutate(startEnvironment)}
        >
          {t('environment.tryAgain')}
        </Button>
      </Group>
      <ProblemAlert error={change.error} />
    </Alert>
  );
}
