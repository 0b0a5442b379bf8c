import type { ImageCheck } from '@berth/contract';
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconCircleX } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import classes from './catalogue.module.css';

type Result = ImageCheck['findings'][number]['result'];

const icons = { ok: IconCircleCheck, warning: IconAlertTriangle, missing: IconCircleX };

/** What the last look into an image said of it as a whole. */
export function CheckMark({ check }: { check: ImageCheck | null }) {
  const { t } = useTranslation();
  if (check === null) {
    return (
      <span className={classes.mark}>
        <IconCircleDashed size={17} aria-hidden />
        {t('catalogue.unchecked')}
      </span>
    );
  }
  const remarks = check.findings.filter(({ result }) => result !== 'ok').length;
  const result: Result = !check.usable ? 'missing' : remarks > 0 ? 'warning' : 'ok';
  return (
    <span className={classes.mark} data-result={result}>
      <ResultIcon result={result} />
      {result === 'warning' ? t('catalogue.remarks', { count: remarks }) : t(`catalogue.verdicts.${result}`)}
    </span>
  );
}

export function ResultIcon({ result }: { result: Result }) {
  const Icon = icons[result];
  return <Icon size={17} aria-hidden />;
}
