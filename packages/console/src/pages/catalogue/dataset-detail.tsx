import type { Dataset } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Group, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { removeDataset } from '../../api/catalogue-changes.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { DetailDrawer } from '../../components/detail-drawer.tsx';
import { Facts, Mono } from '../../components/facts.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';
import { Customers } from './customers-field.tsx';
import { DatasetForm } from './dataset-form.tsx';

export function DatasetDetail({ dataset, close }: { dataset: Dataset; close: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { role } = useSession();
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const { name, kind, source, read_only, description, customers, mount_path, environments, created_at } =
    dataset;
  return (
    <DetailDrawer title={name} close={close}>
      <div>
        <Text size="sm" c="dimmed">
          {t('catalogue.mount')}
        </Text>
        <CopyField value={mount_path} label={t('catalogue.mount')} />
      </div>
      <Facts
        facts={[
          [t('catalogue.description'), description || null],
          [t('catalogue.access'), read_only ? t('create.readOnly') : t('create.writable')],
          [t(`catalogue.kinds.${kind}`), source === null ? null : <Mono>{source}</Mono>],
          [t('catalogue.customers'), role === 'admin' ? <Customers customers={customers} /> : null],
          [t('catalogue.mountedBy'), format.number(environments)],
          [t('catalogue.added'), format.moment(created_at)],
        ]}
      />
      {role === 'admin' && (
        <Group gap="xs">
          <Button variant="default" size="compact-sm" onClick={() => setEditing(true)}>
            {t('catalogue.change')}
          </Button>
          <Button variant="default" size="compact-sm" onClick={() => setDeleting(true)}>
            {t('common.delete')}
          </Button>
        </Group>
      )}
      {editing && <DatasetForm dataset={dataset} close={() => setEditing(false)} />}
      {deleting && <DeleteDataset name={name} close={() => setDeleting(false)} gone={close} />}
    </DetailDrawer>
  );
}

function DeleteDataset({ name, close, gone }: { name: string; close: () => void; gone: () => void }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const remove = useMutation({
    mutationFn: () => removeDataset(name),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.datasets] });
      gone();
    },
  });
  return (
    <Confirm
      title={t('catalogue.deleteDataset', { name })}
      close={close}
      action={t('common.delete')}
      confirm={() => remove.mutate()}
      pending={remove.isPending}
      error={remove.error}
      equivalent={{
        command: commandLine('datasets remove', name),
        request: `DELETE ${pathOf(routes.dataset, { name })}`,
      }}
    >
      {t('catalogue.deleteDatasetWhat')}
    </Confirm>
  );
}
