/** Until when an address is kept out, or by what that ended. */
import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Ago } from '../../components/time.tsx';
import classes from './controls.module.css';

interface Props {
  of: { until: string; cleared_at: string | null; cleared_by: string | null };
}

export function Until({ of: { until, cleared_at, cleared_by } }: Props) {
  const { t } = useTranslation();
  if (cleared_at !== null) {
    return (
      <span className={classes.over}>
        {cleared_by === null ? t('controls.followed') : t('controls.liftedBy', { account: cleared_by })}
        <Text size="xs" c="dimmed">
          <Ago at={cleared_at} />
        </Text>
      </span>
    );
  }
  if (Date.parse(until) <= Date.now()) {
    return (
      <span className={classes.over}>
        {t('controls.over')}
        <Text size="xs" c="dimmed">
          <Ago at={until} />
        </Text>
      </span>
    );
  }
  return <Ago at={until} />;
}
