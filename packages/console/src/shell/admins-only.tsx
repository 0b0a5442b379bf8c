/** Pages of administrators. Members are not led here; who comes by an address of somebody else's is told why it is empty. */
import { Outlet } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { EmptyState } from '../components/empty-state.tsx';
import { ButtonLink } from '../components/links.tsx';
import { PageHeader } from '../components/page-header.tsx';
import { useSession } from './use-session.ts';

export function AdminsOnly() {
  const { t } = useTranslation();
  const { role, account } = useSession();
  if (role === 'admin') return <Outlet />;
  return (
    <>
      <PageHeader title={t('adminsOnly.title')} />
      <EmptyState
        title={t('adminsOnly.what')}
        action={
          <ButtonLink to="/environments" variant="default">
            {t('notFound.back')}
          </ButtonLink>
        }
      >
        {t('adminsOnly.why', { account })}
      </EmptyState>
    </>
  );
}
