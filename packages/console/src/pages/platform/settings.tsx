/** The settings in force, and where each value came from. They are changed in the file or the environment, not here. */
import type { Platform } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Switch, Text } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import { listingOf } from '../../api/list.ts';
import { platformQuery } from '../../api/platform.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { FilterBar, FilterText } from '../../components/filter-bar.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import classes from './platform.module.css';

const route = getRouteApi('/signed-in/administrators/settings');

type Setting = Platform['settings'][number];

export function SettingsPage() {
  const { t } = useTranslation();
  const { search, set: onlySet } = route.useSearch();
  const navigate = route.useNavigate();
  const platform = useQuery(platformQuery);
  const wanted = search?.toLowerCase() ?? '';
  const rows = platform.data?.settings.filter(
    ({ name, value, source }) =>
      (!onlySet || source !== 'default') &&
      `${name} ${shown(value)} ${source}`.toLowerCase().includes(wanted),
  );
  const columns: Column<Setting>[] = [
    {
      key: 'name',
      header: t('platform.setting'),
      cell: ({ name, source }) => (
        <>
          <Mono>{name}</Mono>
          {source !== 'default' && <div className={classes.narrow}>{source}</div>}
        </>
      ),
    },
    {
      key: 'value',
      header: t('platform.value'),
      cell: ({ value }) =>
        value === null || value === '' ? (
          <Text size="sm" c="dimmed">
            {t('platform.notSet')}
          </Text>
        ) : (
          <span className={classes.value}>{shown(value)}</span>
        ),
    },
    {
      key: 'source',
      header: t('platform.source'),
      cell: ({ source }) =>
        source === 'default' ? (
          <span className={classes.default}>{t('platform.byDefault')}</span>
        ) : (
          <Mono>{source}</Mono>
        ),
      wideOnly: true,
    },
  ];
  return (
    <>
      <PageHeader
        title={t('platform.settings')}
        description={t('platform.settingsWhat')}
        actions={
          <CommandHint
            what={t('platform.settings')}
            equivalent={{ command: commandLine('settings'), request: `GET ${routes.platform}` }}
          />
        }
      />
      <FilterBar>
        <FilterText
          label={t('platform.find')}
          icon={<IconSearch size={16} aria-hidden />}
          value={search}
          set={(text) => void navigate({ search: (before) => ({ ...before, search: text }), replace: true })}
        />
        <Switch
          label={t('platform.onlySet')}
          checked={onlySet ?? false}
          onChange={(event) => {
            const only = event.currentTarget.checked || undefined;
            void navigate({ search: (before) => ({ ...before, set: only }), replace: true });
          }}
        />
      </FilterBar>
      <DataTable
        label={t('platform.settings')}
        columns={columns}
        listing={listingOf(rows, platform)}
        rowKey={({ name }) => name}
        empty={<EmptyState title={t('filter.nothing')} command={commandLine('settings')} />}
      />
    </>
  );
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1);
}
