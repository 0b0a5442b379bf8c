/** Ctrl+K: goes to a page or an environment by typing. */
import type { EnvironmentPage } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { useDebouncedValue } from '@mantine/hooks';
import { Spotlight, createSpotlight } from '@mantine/spotlight';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { call } from '../api/client.ts';
import { StatusMark } from '../components/status-mark.tsx';
import { places } from './places.ts';
import { useSession } from './use-session.ts';
import '../app/later.css';

const [store, actions] = createSpotlight();

export default function CommandPalette({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const { role } = useSession();
  const navigate = useNavigate();
  const [query, setQuery] = useState('');
  useEffect(() => actions.open(), []);
  const hadFocus = useRef(document.activeElement);
  const leaves = useRef(false);
  const go: typeof navigate = (to) => {
    // The page that is gone to takes the focus.
    leaves.current = true;
    return navigate(to);
  };
  const closed = () => {
    if (!leaves.current && hadFocus.current instanceof HTMLElement) hadFocus.current.focus();
    close();
  };
  const [search] = useDebouncedValue(query.trim(), 150);
  const { data } = useQuery({
    queryKey: [routes.environments, 'palette', search],
    queryFn: ({ signal }) =>
      call<EnvironmentPage>('GET', routes.environments, { query: { search, limit: 7 }, signal }),
    enabled: search !== '',
    placeholderData: (before) => before,
  });
  const wanted = query.trim().toLowerCase();
  const pages = places
    .flatMap(({ places }) => places)
    .filter(({ adminOnly }) => adminOnly !== true || role === 'admin')
    .map(({ to, icon, name }) => ({ to, icon, label: t(`places.${name}`) }))
    .filter(({ label }) => label.toLowerCase().includes(wanted));
  const environments = wanted === '' ? [] : (data?.items ?? []);
  return (
    <Spotlight.Root
      store={store}
      onSpotlightClose={closed}
      returnFocus={false}
      attributes={{ content: { 'aria-label': t('shell.find') } }}
      query={query}
      onQueryChange={setQuery}
      shortcut={null}
      scrollable
      maxHeight="60vh"
    >
      <Spotlight.Search
        placeholder={t('palette.placeholder')}
        aria-label={t('palette.placeholder')}
        leftSection={<IconSearch size={18} aria-hidden />}
      />
      <Spotlight.ActionsList>
        {environments.length > 0 && (
          <Spotlight.ActionsGroup label={t('places.environments')}>
            {environments.map(({ env_id, name, status }) => (
              <Spotlight.Action
                key={env_id}
                label={name}
                description={env_id}
                rightSection={<StatusMark status={status} />}
                onClick={() => void go({ to: '/environments/$id', params: { id: env_id } })}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {pages.length > 0 && (
          <Spotlight.ActionsGroup label={t('palette.pages')}>
            {pages.map(({ to, label, icon: Icon }) => (
              <Spotlight.Action
                key={to}
                label={label}
                leftSection={<Icon size={18} stroke={1.6} aria-hidden />}
                onClick={() => void go({ to })}
              />
            ))}
          </Spotlight.ActionsGroup>
        )}
        {environments.length + pages.length === 0 && (
          <Spotlight.Empty>{t('palette.nothing', { query })}</Spotlight.Empty>
        )}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
