/** Who did what, from where, and whether it was allowed; the log as a file; and the verification of its chain. */
import type { AuditRecord } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Anchor, Button, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { addressOf } from '../../api/client.ts';
import { useListing } from '../../api/list.ts';
import { visible } from '../../app/visible.ts';
import { CommandHint } from '../../components/command-hint.tsx';
import { useCustomerName } from '../../components/customer-filter.tsx';
import { DataTable } from '../../components/data-table.tsx';
import type { Column } from '../../components/data-table.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Mono } from '../../components/facts.tsx';
import { usePeriod } from '../../components/filter-period.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { Ago } from '../../components/time.tsx';
import { ActionName, Outcome } from './action-name.tsx';
import classes from './audit.module.css';
import { AuditFilters, equivalentOf, isFiltered, queryOf } from './filters.tsx';
import { RecordDetail } from './record-detail.tsx';
import { VerifyChain } from './verify-chain.tsx';

const route = getRouteApi('/signed-in/administrators/audit');

export function AuditPage() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const nameOf = useCustomerName();
  const [opened, setOpened] = useState<AuditRecord | null>(null);
  const [verifying, setVerifying] = useState(false);
  const filters = { ...queryOf(search), ...usePeriod(search) };
  const listing = useListing<AuditRecord>(routes.audit, filters);
  const columns: Column<AuditRecord>[] = [
    {
      key: 'at',
      header: t('audit.when'),
      cell: ({ at }) => <Ago at={at} />,
    },
    {
      key: 'action',
      header: t('audit.action'),
      cell: (record) => (
        <>
          <Anchor
            component="button"
            type="button"
            className={classes.action}
            onClick={() => setOpened(record)}
          >
            <ActionName action={record.action} />
          </Anchor>
          <Text size="xs" c="dimmed" ff="monospace">
            {record.action}
          </Text>
        </>
      ),
    },
    { key: 'outcome', header: t('audit.outcome'), cell: ({ outcome }) => <Outcome outcome={outcome} /> },
    {
      key: 'who',
      header: t('audit.who'),
      cell: ({ account, customer_id }) => (
        <>
          {account === null ? t('common.unknown') : visible(account)}
          {customer_id !== null && (
            <Text size="xs" c="dimmed">
              {nameOf(customer_id)}
            </Text>
          )}
        </>
      ),
      wideOnly: true,
    },
    {
      key: 'source',
      header: t('audit.source'),
      cell: ({ source }) =>
        source === null ? (
          <Text size="sm" c="dimmed">
            {t('audit.here')}
          </Text>
        ) : (
          <Mono>{source}</Mono>
        ),
      wideOnly: true,
    },
    {
      key: 'target',
      header: t('audit.target'),
      cell: ({ target }) => target !== null && <Mono>{visible(target)}</Mono>,
      wideOnly: true,
    },
  ];
  return (
    <>
      <PageHeader
        title={t('audit.title')}
        description={t('audit.what')}
        actions={
          <>
            <CommandHint what={t('audit.title')} equivalent={equivalentOf('list', search)} />
            <Button
              component="a"
              variant="default"
              href={addressOf(routes.auditExport, { query: filters })}
              download="audit.jsonl"
              leftSection={<IconDownload size={16} aria-hidden />}
            >
              {t('audit.export')}
            </Button>
            <Button onClick={() => setVerifying(true)}>{t('audit.verify')}</Button>
          </>
        }
      />
      <AuditFilters />
      <DataTable
        label={t('audit.title')}
        columns={columns}
        listing={listing}
        rowKey={({ id }) => id}
        empty={
          <EmptyState title={t('filter.nothing')} command={equivalentOf('list', search).command}>
            {isFiltered(search) ? t('filter.nothingWhat') : t('audit.none')}
          </EmptyState>
        }
      />
      {opened && <RecordDetail record={opened} close={() => setOpened(null)} />}
      {verifying && <VerifyChain close={() => setVerifying(false)} />}
    </>
  );
}
