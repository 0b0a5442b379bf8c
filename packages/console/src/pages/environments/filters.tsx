/** What the list is narrowed to. All of it stands in the address, so a view can be kept and sent. */
import type { EnvironmentSummary } from '@berth/contract';
import { statuses } from '@berth/contract/vocabulary';
import { Button, TextInput, UnstyledButton } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { customersQuery, imagesQuery } from '../../api/catalogue.ts';
import { FilterSelect } from '../../components/filter-select.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';
import classes from './list.module.css';

const route = getRouteApi('/signed-in/environments');

export function Filters({ summary }: { summary: EnvironmentSummary | undefined }) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { role } = useSession();
  const { data: images } = useQuery(imagesQuery);
  const { data: customers } = useQuery({ ...customersQuery, enabled: role === 'admin' });
  const set = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const isFiltered = Object.entries(search).some(([name, value]) => name !== 'sort' && value !== undefined);
  return (
    <div className={classes.filters} role="search">
      <Search value={search.search ?? ''} set={(wanted) => set({ search: wanted || undefined })} />
      {images !== undefined && images.items.length > 1 && (
        <FilterSelect
          label={t('environments.image')}
          data={[
            { value: '', label: t('environments.everyImage') },
            ...images.items.map(({ name }) => ({ value: name, label: name })),
          ]}
          value={search.image ?? ''}
          onChange={(image) => set({ image: image || undefined })}
        />
      )}
      {customers !== undefined && customers.items.length > 1 && (
        <FilterSelect
          label={t('environments.customer')}
          data={[
            { value: '', label: t('environments.everyCustomer') },
            ...customers.items.map(({ id, name }) => ({ value: String(id), label: name })),
          ]}
          value={String(search.customer ?? '')}
          onChange={(customer) => set({ customer: Number(customer) || undefined })}
        />
      )}
      <States summary={summary} chosen={search.status ?? []} set={(status) => set({ status })} />
      {isFiltered && (
        <Button
          size="compact-sm"
          variant="subtle"
          color="gray"
          onClick={() => void navigate({ search: ({ sort }) => ({ sort }), replace: true })}
        >
          {t('environments.clear')}
        </Button>
      )}
    </div>
  );
}

type Statuses = (typeof statuses)[number][];

interface StatesProps {
  summary: EnvironmentSummary | undefined;
  chosen: Statuses;
  set: (chosen: Statuses | undefined) => void;
}

/** One button a state that there is, with how many are in it. */
function States({ summary, chosen, set }: StatesProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const shown = statuses.filter((each) => chosen.includes(each) || (summary?.by_status[each] ?? 0) > 0);
  if (shown.length < 2 && chosen.length === 0) return null;
  const toggle = (status: Statuses[number]) => {
    const next = chosen.includes(status) ? chosen.filter((each) => each !== status) : [...chosen, status];
    set(next.length === 0 ? undefined : next);
  };
  return (
    <div className={classes.states} role="group" aria-label={t('environments.status')}>
      {shown.map((status) => (
        <UnstyledButton
          key={status}
          className={classes.state}
          aria-pressed={chosen.includes(status)}
          onClick={() => toggle(status)}
        >
          {t(`status.${status}`)}
          <span className={classes.count}>{format.number(summary?.by_status[status] ?? 0)}</span>
        </UnstyledButton>
      ))}
    </div>
  );
}

function Search({ value, set }: { value: string; set: (value: string) => void }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState(value);
  const later = useDebouncedCallback(set, 200);
  // The address changes by other means too: the way back, the button that clears the filters.
  useEffect(() => setTyped(value), [value]);
  return (
    <TextInput
      type="search"
      className={classes.search}
      aria-label={t('environments.search')}
      placeholder={t('environments.search')}
      leftSection={<IconSearch size={16} aria-hidden />}
      maxLength={64}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
    />
  );
}
