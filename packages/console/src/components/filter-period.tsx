/** From when on, and until when. A span that ends now stays one, so that a kept address shows what is new. */
import { TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { spans } from '../app/search.ts';
import type { Period } from '../app/search.ts';
import classes from './filter-bar.module.css';
import { FilterSelect } from './filter-select.tsx';

const hourMs = 3_600_000;
const lengthsMs = { '1h': hourMs, '24h': 24 * hourMs, '7d': 168 * hourMs, '30d': 720 * hourMs } as const;

interface Props {
  value: Period;
  set: (value: Period) => void;
}

export function FilterPeriod({ value: { since, until }, set }: Props) {
  const { t } = useTranslation();
  const span = spans.find((each) => each === since);
  const chosen = span ?? (since === undefined && until === undefined ? '' : 'own');
  return (
    <>
      <FilterSelect
        label={t('filter.period')}
        value={chosen}
        data={[
          { value: '', label: t('filter.always') },
          ...spans.map((each) => ({ value: each, label: t(`filter.spans.${each}`) })),
          { value: 'own', label: t('filter.own') },
        ]}
        onChange={(choice) => {
          if (choice === 'own') {
            const from = span === undefined ? Date.now() - lengthsMs['24h'] : Date.now() - lengthsMs[span];
            set({ since: new Date(from).toISOString(), until: undefined });
          } else set({ since: choice || undefined, until: undefined });
        }}
      />
      {chosen === 'own' && (
        <>
          <Moment label={t('filter.since')} value={since} set={(moment) => set({ since: moment, until })} />
          <Moment label={t('filter.until')} value={until} set={(moment) => set({ since, until: moment })} />
        </>
      )}
    </>
  );
}

interface MomentProps {
  label: string;
  value: string | undefined;
  set: (value: string | undefined) => void;
}

/** In the zone of whoever looks, as the browser's own field has it. */
function Moment({ label, value, set }: MomentProps) {
  return (
    <TextInput
      type="datetime-local"
      className={classes.moment}
      aria-label={label}
      value={value === undefined ? '' : local(value)}
      onChange={({ currentTarget: { value: typed } }) => {
        const moment = new Date(typed);
        set(Number.isNaN(moment.getTime()) ? undefined : moment.toISOString());
      }}
    />
  );
}

function local(moment: string): string {
  const date = new Date(moment);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** As the API takes it; a span counts from the moment in which it was chosen. */
export function usePeriod({ since, until }: Period): { since?: string; until?: string } {
  return useMemo(() => {
    const span = spans.find((each) => each === since);
    const from = span === undefined ? since : new Date(Date.now() - lengthsMs[span]).toISOString();
    return { ...(from === undefined ? {} : { since: from }), ...(until === undefined ? {} : { until }) };
  }, [since, until]);
}
