/** Who is connected, with what goes over each connection, and who was. All that the lists are narrowed to is in the address. */
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { CommandHint } from '../../components/command-hint.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { PageTabs } from '../../components/page-tabs.tsx';
import { equivalentOf } from './filters.tsx';
import { LiveConnections } from './live.tsx';
import { PastConnections } from './past.tsx';

const route = getRouteApi('/signed-in/connections');

export function ConnectionsPage() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const view: 'live' | 'past' = search.view ?? 'live';
  return (
    <>
      <PageHeader
        title={t('connections.title')}
        description={t('connections.what')}
        actions={<CommandHint what={t('connections.title')} equivalent={equivalentOf(search)} />}
      />
      <PageTabs
        shown={view}
        show={(chosen) =>
          void navigate({
            search: (before) => ({
              ...before,
              view: chosen === 'past' ? chosen : undefined,
              since: undefined,
              until: undefined,
              open: undefined,
            }),
          })
        }
        tabs={[
          { name: 'live', label: t('connections.views.live'), panel: <LiveConnections /> },
          { name: 'past', label: t('connections.views.past'), panel: <PastConnections /> },
        ]}
      />
    </>
  );
}
