/** One environment, by its id; what is typed finds it by its name too. */
import type { EnvironmentPage } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { TextInput } from '@mantine/core';
import { IconServer2 } from '@tabler/icons-react';
import { useEffect, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call } from '../api/client.ts';
import classes from './filter-bar.module.css';

const idPattern = /^[a-z0-9][a-z0-9-]{1,40}$/;

interface Props {
  value: string | undefined;
  set: (id: string | undefined) => void;
}

export function EnvironmentFilter({ value = '', set }: Props) {
  const { t } = useTranslation();
  const listId = useId();
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const [search] = useDebouncedValue(typed.trim(), 200);
  const { data } = useQuery({
    queryKey: [routes.environments, 'named', search],
    queryFn: ({ signal }) =>
      call<EnvironmentPage>('GET', routes.environments, {
        query: { search, sort: 'name', limit: 20 },
        signal,
      }),
    placeholderData: keepPreviousData,
  });
  const found = data?.items ?? [];
  const take = (text: string) => {
    setTyped(text);
    const wanted = text.trim();
    // A part of a name is no environment yet; ids of deleted ones are known to nobody but who types them.
    if (wanted === '') set(undefined);
    else if (found.some(({ env_id }) => env_id === wanted)) set(wanted);
  };
  return (
    <>
      <TextInput
        type="search"
        className={classes.text}
        aria-label={t('filter.environment')}
        placeholder={t('filter.environment')}
        leftSection={<IconServer2 size={16} aria-hidden />}
        maxLength={64}
        list={listId}
        value={typed}
        onChange={(event) => take(event.currentTarget.value)}
        onBlur={() => idPattern.test(typed.trim()) && set(typed.trim())}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && idPattern.test(typed.trim())) set(typed.trim());
        }}
      />
      <datalist id={listId}>
        {found.map(({ env_id, name }) => (
          <option key={env_id} value={env_id}>
            {name}
          </option>
        ))}
      </datalist>
    </>
  );
}
