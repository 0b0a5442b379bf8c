/** How far a start has come: each step with how long it took, the one that is being done with how long it takes. */
import type { Environment } from '@berth/contract';
import { Loader, Text } from '@mantine/core';
import { useInterval } from '@mantine/hooks';
import { IconCheck, IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { eventsQuery } from '../../api/environments.ts';
import { useFormat } from '../../i18n/format.ts';
import { useServerWords } from '../../i18n/server-words.ts';
import { stepsOf } from './step-states.ts';
import type { StepState } from './step-states.ts';
import classes from './steps.module.css';

export function Steps({ environment: { env_id: id, status } }: { environment: Environment }) {
  const { data } = useQuery(eventsQuery(id));
  const steps = stepsOf(data?.items ?? [], status);
  return (
    <ol className={classes.steps}>
      {steps.map((step) => (
        <Row key={step.step} {...step} />
      ))}
    </ol>
  );
}

function Row({ step, state, beganAt, endedAt, message }: StepState) {
  const { t } = useTranslation();
  const format = useFormat();
  const words = useServerWords();
  const took = beganAt === null || endedAt === null ? 0 : (endedAt - beganAt) / 1000;
  return (
    <li className={classes.step} data-state={state}>
      <span className={classes.sign} aria-hidden>
        {state === 'done' && <IconCheck size={16} />}
        {state === 'failed' && <IconX size={16} />}
        {state === 'underway' && <Loader size={14} />}
      </span>
      <span>
        {t(`environment.steps.${step}`)}
        <Text span size="sm" c="dimmed" className={classes.state}>
          {t(`environment.stepStates.${state}`)}
        </Text>
        {state !== 'done' && message !== null && (
          <Text size="sm" c="dimmed">
            {words(message)}
          </Text>
        )}
      </span>
      <span className={classes.took}>
        {state === 'underway' && beganAt !== null ? (
          <Elapsed since={beganAt} />
        ) : (
          took > 0 && format.seconds(took)
        )}
      </span>
    </li>
  );
}

function Elapsed({ since }: { since: number }) {
  const format = useFormat();
  const [now, setNow] = useState(Date.now);
  useInterval(() => setNow(Date.now()), 500, { autoInvoke: true });
  return format.seconds(Math.max(0, now - since) / 1000);
}
