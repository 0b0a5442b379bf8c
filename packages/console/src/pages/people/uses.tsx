/** What a customer uses of each thing, and may use: a bar where there is a limit. */
import type { Quota } from '@berth/contract';
import { quotaLimits } from '@berth/contract/vocabulary';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../../i18n/format.ts';
import classes from './people.module.css';

export function Uses({ quota: { used, limits } }: { quota: Quota }) {
  const { t } = useTranslation();
  const format = useFormat();
  return (
    <ul className={classes.uses}>
      {quotaLimits.map((name) => {
        const limit = limits[name];
        const amount = (value: number) => t(`quota.amounts.${name}`, { amount: format.number(value) });
        const share = limit === null || limit === 0 ? 0 : Math.min(1, used[name] / limit);
        return (
          <li key={name}>
            <span className={classes.what}>{t(`quota.names.${name}`)}</span>
            <span className={classes.amount}>
              {limit === null
                ? t('people.unlimited', { used: amount(used[name]) })
                : t('people.usedOf', { used: amount(used[name]), limit: amount(limit) })}
            </span>
            <span
              className={classes.bar}
              data-unlimited={limit === null || undefined}
              data-full={share === 1 || undefined}
              aria-hidden
            >
              <span style={{ width: `${share * 100}%` }} />
            </span>
          </li>
        );
      })}
    </ul>
  );
}
