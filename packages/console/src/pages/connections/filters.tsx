import { routes } from '@berth/contract/paths';
import { entryMethods, waysIn } from '@berth/contract/vocabulary';
import type { EntryMethod, WayIn } from '@berth/contract/vocabulary';
import { Pill } from '@mantine/core';
import { IconNetwork, IconUser } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import type { Query } from '../../api/client.ts';
import type { Period } from '../../app/search.ts';
import { commandLine } from '../../components/command-hint.tsx';
import type { Equivalent } from '../../components/command-hint.tsx';
import { CustomerFilter } from '../../components/customer-filter.tsx';
import { EnvironmentFilter } from '../../components/environment-filter.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { FilterPeriod } from '../../components/filter-period.tsx';
import { FilterSelect } from '../../components/filter-select.tsx';

const route = getRouteApi('/signed-in/connections');

export interface ConnectionSearch extends Period {
  view?: 'past' | undefined;
  customer?: number | undefined;
  environment?: string | undefined;
  source?: string | undefined;
  account?: string | undefined;
  fingerprint?: string | undefined;
  way?: WayIn | undefined;
  method?: EntryMethod | undefined;
}

/** Shared by both lists; only what is over has a period. */
export function ConnectionFilters({ withPeriod }: { withPeriod: boolean }) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const set = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  return (
    <FilterBar
      folds
      clear={
        isFiltered(search)
          ? () => void navigate({ search: ({ view }) => ({ view }), replace: true })
          : undefined
      }
    >
      <EnvironmentFilter value={search.environment} set={(environment) => set({ environment })} />
      <FilterText
        label={t('connections.source')}
        icon={<IconNetwork size={16} aria-hidden />}
        maxLength={45}
        value={search.source}
        set={(source) => set({ source })}
      />
      <FilterText
        label={t('connections.account')}
        icon={<IconUser size={16} aria-hidden />}
        value={search.account}
        set={(account) => set({ account })}
      />
      <FilterSelect
        label={t('connections.way')}
        value={search.way ?? ''}
        data={[
          { value: '', label: t('connections.everyWay') },
          ...waysIn.map((way) => ({ value: way, label: t(`way.${way}`) })),
        ]}
        onChange={(way) => set({ way: waysIn.find((each) => each === way) })}
      />
      <FilterSelect
        label={t('connections.method')}
        value={search.method ?? ''}
        data={[
          { value: '', label: t('connections.everyMethod') },
          ...entryMethods.map((method) => ({ value: method, label: t(`method.${method}`) })),
        ]}
        onChange={(method) => set({ method: entryMethods.find((each) => each === method) })}
      />
      <CustomerFilter all value={search.customer} set={(customer) => set({ customer })} />
      {withPeriod && <FilterPeriod value={search} set={set} />}
      {search.fingerprint !== undefined && (
        <Pill
          withRemoveButton
          size="md"
          removeButtonProps={{ 'aria-label': t('filter.clear'), 'aria-hidden': false, tabIndex: 0 }}
          onRemove={() => set({ fingerprint: undefined })}
        >
          {t('connections.byFingerprint', { fingerprint: search.fingerprint })}
        </Pill>
      )}
    </FilterBar>
  );
}

export function isFiltered({
  view: _view,
  ...filters
}: ConnectionSearch & { open?: string | undefined }): boolean {
  return Object.entries(filters).some(([name, value]) => name !== 'open' && value !== undefined);
}

/** As the API takes it. */
export function queryOf(search: ConnectionSearch): Query {
  const { customer, environment, source, account, fingerprint, way, method } = search;
  return { customer_id: customer, env_id: environment, source, account, fingerprint, way, method };
}

export function equivalentOf(search: ConnectionSearch): Equivalent {
  const options: [string, string | number | undefined][] = [
    ['--environment', search.environment],
    ['--customer', search.customer],
    ['--source', search.source],
    ['--account', search.account],
    ['--key', search.fingerprint],
    ['--way', search.way],
    ['--method', search.method],
    ['--since', search.since],
    ['--until', search.until],
  ];
  const words = options.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
  const live = search.view !== 'past';
  const query = new URLSearchParams({ live: String(live) });
  for (const [name, value] of Object.entries({
    ...queryOf(search),
    since: search.since,
    until: search.until,
  }))
    if (value !== undefined) query.set(name, String(value));
  return {
    command: commandLine('connections list', live ? '--live' : '--ended', ...words),
    request: `GET ${routes.connections}?${query.toString()}`,
  };
}
