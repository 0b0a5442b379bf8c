import { routes } from '@berth/contract/paths';
import { auditActions, auditOutcomes } from '@berth/contract/vocabulary';
import type { AuditOutcome } from '@berth/contract/vocabulary';
import { IconBolt, IconNetwork, IconTarget, IconUser } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { addressOf } from '../../api/client.ts';
import type { Query } from '../../api/client.ts';
import type { Period } from '../../app/search.ts';
import { commandLine } from '../../components/command-hint.tsx';
import type { Equivalent } from '../../components/command-hint.tsx';
import { CustomerFilter } from '../../components/customer-filter.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { FilterPeriod } from '../../components/filter-period.tsx';
import { FilterSelect } from '../../components/filter-select.tsx';

const route = getRouteApi('/signed-in/administrators/audit');

export interface AuditSearch extends Period {
  action?: string | undefined;
  account?: string | undefined;
  customer?: number | undefined;
  target?: string | undefined;
  source?: string | undefined;
  outcome?: AuditOutcome | undefined;
}

/** Each action, and before those of a kind their part before the dot, which stands for all of them. */
const words = [...new Set(auditActions.flatMap((action) => [action.replace(/\..*/, ''), action]))];

export function AuditFilters() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const set = (part: Partial<AuditSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  return (
    <FilterBar
      folds
      clear={isFiltered(search) ? () => void navigate({ search: {}, replace: true }) : undefined}
    >
      <FilterText
        label={t('audit.action')}
        icon={<IconBolt size={16} aria-hidden />}
        words={words}
        value={search.action}
        set={(action) => set({ action })}
      />
      <FilterText
        label={t('audit.account')}
        icon={<IconUser size={16} aria-hidden />}
        value={search.account}
        set={(account) => set({ account })}
      />
      <FilterText
        label={t('audit.target')}
        icon={<IconTarget size={16} aria-hidden />}
        maxLength={255}
        value={search.target}
        set={(target) => set({ target })}
      />
      <FilterText
        label={t('audit.source')}
        icon={<IconNetwork size={16} aria-hidden />}
        maxLength={45}
        value={search.source}
        set={(source) => set({ source })}
      />
      <FilterSelect
        label={t('audit.outcome')}
        value={search.outcome ?? ''}
        data={[
          { value: '', label: t('audit.everyOutcome') },
          ...auditOutcomes.map((outcome) => ({ value: outcome, label: t(`audit.outcomes.${outcome}`) })),
        ]}
        onChange={(outcome) => set({ outcome: auditOutcomes.find((each) => each === outcome) })}
      />
      <CustomerFilter all value={search.customer} set={(customer) => set({ customer })} />
      <FilterPeriod value={search} set={set} />
    </FilterBar>
  );
}

export function isFiltered(search: AuditSearch): boolean {
  return Object.values(search).some((value) => value !== undefined);
}

/** As the API takes it. */
export function queryOf({ action, account, customer, target, source, outcome }: AuditSearch): Query {
  return { action, account, customer_id: customer, target, source, outcome };
}

export function equivalentOf(verb: 'list' | 'export', search: AuditSearch): Equivalent {
  const { customer, ...others } = search;
  const options = Object.entries({ ...others, customer }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const route = verb === 'list' ? routes.audit : routes.auditExport;
  return {
    command: commandLine(`audit ${verb}`, ...options),
    request: `GET ${addressOf(route, { query: { ...queryOf(search), since: search.since, until: search.until } })}`,
  };
}
