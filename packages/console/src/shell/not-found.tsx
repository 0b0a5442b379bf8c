import { useTranslation } from 'react-i18next';
import { EmptyState } from '../components/empty-state.tsx';
import { ButtonLink } from '../components/links.tsx';
import { PageHeader } from '../components/page-header.tsx';
import classes from './alone.module.css';

export function NotFound() {
  const { t } = useTranslation();
  return (
    <main className={classes.alone}>
      <PageHeader title={t('notFound.title')} />
      <EmptyState
        title={t('notFound.what')}
        action={
          <ButtonLink to="/environments" variant="default">
            {t('notFound.back')}
          </ButtonLink>
        }
      />
    </main>
  );
}
