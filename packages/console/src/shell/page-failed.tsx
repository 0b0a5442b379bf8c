/** In the place of a page that could not be shown: the server is away, or the page has a fault. */
import { useRouter } from '@tanstack/react-router';
import type { ErrorComponentProps } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { PageHeader } from '../components/page-header.tsx';
import { ProblemAlert } from '../components/problem-alert.tsx';
import classes from './alone.module.css';

export function PageFailed({ error }: ErrorComponentProps) {
  const { t } = useTranslation();
  const router = useRouter();
  return (
    <main className={classes.alone}>
      <PageHeader title={t('failed.title')} />
      <ProblemAlert
        error={error instanceof Error ? error : new Error(String(error))}
        retry={() => void router.invalidate()}
      />
    </main>
  );
}
