import type { AddDataset, Dataset, UpdateDataset } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { SegmentedControl, Stack, Switch, Text, TextInput, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { addDataset, updateDataset } from '../../api/catalogue-changes.ts';
import { commandLine } from '../../components/command-hint.tsx';
import { FormDialog, errorAt } from '../../components/form-dialog.tsx';
import { CustomersField, customerOptions } from './customers-field.tsx';

const kinds = ['folder', 'volume'] as const;

interface Props {
  /** Left out: a new one. */
  dataset?: Dataset;
  close: () => void;
}

export function DatasetForm({ dataset, close }: Props) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<AddDataset['kind']>('folder');
  const [source, setSource] = useState('');
  const [readOnly, setReadOnly] = useState(dataset?.read_only ?? true);
  const [description, setDescription] = useState(dataset?.description ?? '');
  const [customers, setCustomers] = useState(dataset?.customers ?? null);
  const body: UpdateDataset = { read_only: readOnly, description: description.trim(), customers };
  const added = { name: name.trim(), kind, source: source.trim(), ...body };
  const save = useMutation({
    mutationFn: () => (dataset ? updateDataset(dataset.name, body) : addDataset(added)),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: [routes.datasets] });
      close();
    },
  });
  const options = [
    ...(readOnly ? (dataset ? ['--read-only'] : []) : ['--writable']),
    ...(description.trim() === '' ? [] : ['--description', description.trim()]),
    ...customerOptions(customers),
  ];
  return (
    <FormDialog
      title={dataset ? t('catalogue.changeOf', { name: dataset.name }) : t('catalogue.addDataset')}
      close={close}
      action={dataset ? t('catalogue.save') : t('catalogue.addDataset')}
      submit={() => save.mutate()}
      pending={save.isPending}
      disabled={!dataset && (added.name === '' || added.source === '')}
      error={save.error}
      fields={['name', 'source', 'description', 'customers']}
      equivalent={
        dataset
          ? {
              command: commandLine('datasets set', dataset.name, ...options),
              request: `PATCH ${pathOf(routes.dataset, { name: dataset.name })}`,
              body,
            }
          : {
              command: commandLine(
                'datasets add',
                added.name || 'NAME',
                added.source || 'SOURCE',
                ...options,
              ),
              request: `POST ${routes.datasets}`,
              body: added,
            }
      }
    >
      {!dataset && (
        <>
          <TextInput
            data-autofocus
            label={t('catalogue.name')}
            description={t('catalogue.datasetNameWhat')}
            required
            withAsterisk={false}
            maxLength={32}
            autoComplete="off"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={errorAt(save.error, 'name')}
          />
          <Stack gap={6}>
            <Text size="sm" fw={500} id="dataset-kind">
              {t('catalogue.kind')}
            </Text>
            <SegmentedControl
              aria-labelledby="dataset-kind"
              value={kind}
              data={kinds.map((each) => ({ value: each, label: t(`catalogue.kinds.${each}`) }))}
              onChange={(chosen) => setKind(kinds.find((each) => each === chosen) ?? 'folder')}
            />
          </Stack>
          <TextInput
            label={t(`catalogue.sources.${kind}`)}
            description={t(`catalogue.sourcesWhat.${kind}`)}
            required
            withAsterisk={false}
            maxLength={1024}
            autoComplete="off"
            spellCheck={false}
            value={source}
            onChange={(event) => setSource(event.currentTarget.value)}
            error={errorAt(save.error, 'source')}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          />
        </>
      )}
      <Switch
        label={t('catalogue.mayWrite')}
        description={t('catalogue.mayWriteWhat')}
        checked={!readOnly}
        onChange={(event) => setReadOnly(!event.currentTarget.checked)}
      />
      <Textarea
        label={t('catalogue.description')}
        description={t('catalogue.descriptionWhat')}
        autosize
        maxRows={5}
        maxLength={500}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
        error={errorAt(save.error, 'description')}
      />
      <CustomersField value={customers} set={setCustomers} error={errorAt(save.error, 'customers')} />
    </FormDialog>
  );
}
