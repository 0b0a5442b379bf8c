/** An environment's state: a shape and a word, never a colour alone. */
import type { Status } from '@berth/contract';
import { useTranslation } from 'react-i18next';
import classes from './status-mark.module.css';

export function StatusMark({ status }: { status: Status }) {
  const { t } = useTranslation();
  return (
    <span className={classes.status} data-status={status}>
      <span className={classes.mark} aria-hidden />
      {t(`status.${status}`)}
    </span>
  );
}
