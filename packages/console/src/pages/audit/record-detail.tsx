/** One record in full, and the way to others like it. */
import type { AuditRecord } from '@berth/contract';
import { Button, Group } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { visible } from '../../app/visible.ts';
import { CopyField } from '../../components/copy-field.tsx';
import { useCustomerName } from '../../components/customer-filter.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import { ActionName, Outcome } from './action-name.tsx';
import type { AuditSearch } from './filters.tsx';

const route = getRouteApi('/signed-in/administrators/audit');

export function RecordDetail({ record, close }: { record: AuditRecord; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const nameOf = useCustomerName();
  const { id, at, action, outcome, account, customer_id, source, target, detail } = record;
  const only = (filter: AuditSearch, label: string) => (
    <Only key={label} filter={filter} close={close}>
      {label}
    </Only>
  );
  return (
    <DetailDrawer title={<ActionName action={action} />} close={close}>
      <Facts
        facts={[
          [t('audit.when'), format.moment(at)],
          [t('audit.action'), <Mono>{action}</Mono>],
          [t('audit.outcome'), <Outcome outcome={outcome} />],
          [t('audit.who'), account === null ? t('common.unknown') : visible(account)],
          [t('audit.customer'), customer_id === null ? null : nameOf(customer_id)],
          [t('audit.source'), source === null ? t('audit.here') : <Mono>{source}</Mono>],
          [t('audit.target'), target === null ? null : <Mono>{visible(target)}</Mono>],
          [t('audit.id'), <Mono>{String(id)}</Mono>],
        ]}
      />
      {Object.keys(detail).length > 0 && (
        <Section title={t('audit.detail')}>
          <Facts facts={Object.entries(detail).map(([name, value]) => [name, <Value value={value} />])} />
        </Section>
      )}
      <Group gap="xs">
        {only({ action }, t('audit.sameAction'))}
        {account !== null && only({ account }, t('audit.sameAccount'))}
        {source !== null && only({ source }, t('audit.sameSource'))}
        {target !== null && only({ target }, t('audit.sameTarget'))}
      </Group>
      <Section title={t('audit.record')}>
        <CopyField value={JSON.stringify(record, null, 2)} label={t('audit.record')} block />
      </Section>
    </DetailDrawer>
  );
}

function Value({ value }: { value: unknown }) {
  const { t } = useTranslation();
  if (value === null || value === '') return t('audit.nothing');
  return <Mono>{typeof value === 'string' ? visible(value) : JSON.stringify(value)}</Mono>;
}

interface OnlyProps {
  filter: AuditSearch;
  close: () => void;
  children: ReactNode;
}

function Only({ filter, close, children }: OnlyProps) {
  const navigate = route.useNavigate();
  return (
    <Button
      size="compact-sm"
      variant="default"
      onClick={() => {
        close();
        void navigate({ search: filter });
      }}
    >
      {children}
    </Button>
  );
}
