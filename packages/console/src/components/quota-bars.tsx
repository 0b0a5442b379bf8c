/** How much of a customer's quota is used, and what would be left after something more. */
import type { Limits, Quota } from '@berth/contract';
import { quotaLimits } from '@berth/contract/vocabulary';
import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../i18n/format.ts';
import classes from './quota-bars.module.css';

type Amounts = Record<keyof Limits, number>;

interface Props {
  quota: Quota;
  /** What is about to be added. */
  adding?: Amounts;
}

export function QuotaBars({ quota, adding }: Props) {
  const { t } = useTranslation();
  const limited = quotaLimits.filter((each) => quota.limits[each] !== null);
  if (limited.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t('quota.none')}
      </Text>
    );
  }
  return (
    <ul className={classes.list}>
      {limited.map((each) => (
        <Bar
          key={each}
          name={each}
          limit={quota.limits[each] ?? 0}
          used={quota.used[each]}
          adding={adding?.[each] ?? 0}
        />
      ))}
    </ul>
  );
}

interface BarProps {
  name: keyof Limits;
  limit: number;
  used: number;
  adding: number;
}

function Bar({ name, limit, used, adding }: BarProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const left = limit - used - adding;
  const share = (value: number) => `${limit === 0 ? 100 : Math.min(100, (value / limit) * 100)}%`;
  const amount = (value: number) => t(`quota.amounts.${name}`, { amount: format.number(value) });
  return (
    <li className={classes.row} data-over={left < 0 || undefined}>
      <span>{t(`quota.names.${name}`)}</span>
      <span className={classes.left}>
        {left < 0
          ? t('quota.over', { amount: amount(-left) })
          : t('quota.left', { amount: amount(left), limit: amount(limit) })}
      </span>
      <span className={classes.bar} aria-hidden>
        <span className={classes.used} style={{ width: share(used) }} />
        <span className={classes.adding} style={{ width: share(adding) }} />
      </span>
    </li>
  );
}
