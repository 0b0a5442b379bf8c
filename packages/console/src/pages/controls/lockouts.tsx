/** Addresses that failed too often: locked out of one environment, or banned from everything. */
import { Switch } from '@mantine/core';
import { routes } from '@berth/contract/paths';
import { IconNetwork } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { EnvironmentFilter } from '../../components/environment-filter.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { PageTabs } from '../../components/page-tabs.tsx';
import { useSession } from '../../shell/use-session.ts';
import { BanTable } from './ban-table.tsx';
import { LockoutTable } from './lockout-table.tsx';

const route = getRouteApi('/signed-in/lockouts');

export function LockoutsPage() {
  const { t } = useTranslation();
  const { role } = useSession();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const isBans = role === 'admin' && search.view === 'bans';
  const { environment, source, all } = search;
  const options = [
    ...(isBans || environment === undefined ? [] : ['--environment', environment]),
    ...(source === undefined ? [] : ['--source', source]),
    ...(all ? ['--all'] : []),
  ];
  return (
    <>
      <PageHeader
        title={t('controls.lockouts')}
        description={isBans ? t('controls.bansWhat') : t('controls.lockoutsWhat')}
        actions={
          <CommandHint
            what={t('controls.lockouts')}
            equivalent={{
              command: commandLine(isBans ? 'bans list' : 'lockouts list', ...options),
              request: `GET ${isBans ? routes.bans : routes.lockouts}`,
            }}
          />
        }
      />
      {role === 'admin' ? (
        <PageTabs
          shown={isBans ? 'bans' : 'lockouts'}
          show={(view) =>
            void navigate({
              search: (before) => ({
                ...before,
                view: view === 'bans' ? view : undefined,
                environment: undefined,
              }),
            })
          }
          tabs={[
            { name: 'lockouts', label: t('controls.views.lockouts'), panel: <Lockouts /> },
            { name: 'bans', label: t('controls.views.bans'), panel: <Bans /> },
          ]}
        />
      ) : (
        <Lockouts />
      )}
    </>
  );
}

function Lockouts() {
  const { environment, source, all } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <Filters>
        <EnvironmentFilter
          value={environment}
          set={(chosen) =>
            void navigate({ search: (before) => ({ ...before, environment: chosen }), replace: true })
          }
        />
      </Filters>
      <LockoutTable environment={environment} source={source} all={all ?? false} />
    </>
  );
}

function Bans() {
  const { source, all } = route.useSearch();
  return (
    <>
      <Filters />
      <BanTable source={source} all={all ?? false} />
    </>
  );
}

/** What both lists can be narrowed to, or widened. */
function Filters({ children }: { children?: ReactNode }) {
  const { t } = useTranslation();
  const { environment, source, all } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <FilterBar
      clear={
        environment !== undefined || source !== undefined
          ? () => void navigate({ search: ({ view }) => ({ view }), replace: true })
          : undefined
      }
    >
      {children}
      <FilterText
        label={t('controls.source')}
        icon={<IconNetwork size={16} aria-hidden />}
        maxLength={64}
        value={source}
        set={(chosen) =>
          void navigate({ search: (before) => ({ ...before, source: chosen }), replace: true })
        }
      />
      <Switch
        label={t('controls.all')}
        checked={all ?? false}
        onChange={(event) => {
          const wanted = event.currentTarget.checked || undefined;
          void navigate({ search: (before) => ({ ...before, all: wanted }), replace: true });
        }}
      />
    </FilterBar>
  );
}
