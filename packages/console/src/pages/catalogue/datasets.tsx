/** Data sets: files that many environments mount. */
import type { Dataset } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Anchor, Button, Text } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useListing } from '../../api/list.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';
import classes from './catalogue.module.css';
import { Customers } from './customers-field.tsx';
import { DatasetDetail } from './dataset-detail.tsx';
import { DatasetForm } from './dataset-form.tsx';

const route = getRouteApi('/signed-in/datasets');

export function DatasetsPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSession();
  const { dataset: opened } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const listing = useListing<Dataset>(routes.datasets);
  const open = (dataset: string | undefined) => void navigate({ search: { dataset }, replace: true });
  const columns: Column<Dataset>[] = [
    {
      key: 'name',
      header: t('catalogue.name'),
      cell: ({ name, description }) => (
        <>
          <Anchor component="button" type="button" className={classes.name} onClick={() => open(name)}>
            {name}
          </Anchor>
          <Text size="xs" c="dimmed">
            {description}
          </Text>
        </>
      ),
    },
    { key: 'mount', header: t('catalogue.mount'), cell: ({ mount_path }) => <Mono>{mount_path}</Mono> },
    {
      key: 'access',
      header: t('catalogue.access'),
      cell: ({ read_only }) => (read_only ? t('create.readOnly') : t('create.writable')),
      wideOnly: true,
    },
    {
      key: 'environments',
      header: t('catalogue.mountedBy'),
      align: 'right',
      cell: ({ environments }) => format.number(environments),
      wideOnly: true,
    },
    ...(role === 'admin'
      ? [
          {
            key: 'customers',
            header: t('catalogue.customers'),
            cell: ({ customers }: Dataset) => <Customers customers={customers} />,
            wideOnly: true,
          },
        ]
      : []),
  ];
  const detailed = listing.rows.find(({ name }) => name === opened);
  return (
    <>
      <PageHeader
        title={t('catalogue.datasets')}
        description={t('catalogue.datasetsWhat')}
        actions={
          <>
            <CommandHint
              what={t('catalogue.datasets')}
              equivalent={{ command: commandLine('datasets list'), request: `GET ${routes.datasets}` }}
            />
            {role === 'admin' && <Button onClick={() => setAdding(true)}>{t('catalogue.addDataset')}</Button>}
          </>
        }
      />
      <DataTable
        label={t('catalogue.datasets')}
        columns={columns}
        listing={listing}
        rowKey={({ name }) => name}
        empty={
          <EmptyState
            title={t('catalogue.noDatasets')}
            command={commandLine('datasets add', 'faces', '/srv/faces')}
          >
            {role === 'admin' ? t('catalogue.noDatasetsWhat') : t('catalogue.noDatasetsForYou')}
          </EmptyState>
        }
      />
      {adding && <DatasetForm close={() => setAdding(false)} />}
      {detailed && <DatasetDetail dataset={detailed} close={() => open(undefined)} />}
    </>
  );
}
