/** What the environment is made of, to be changed: the name at once, all else from the next start. */
import type { Environment, UpdateEnvironment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { exposures, resourceBounds } from '@berth/contract/vocabulary';
import type { Exposure } from '@berth/contract/vocabulary';
import {
  Button,
  Checkbox,
  Group,
  NativeSelect,
  NumberInput,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { datasetsQuery } from '../../api/catalogue.ts';
import { updateEnvironment } from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useChange } from './actions.tsx';
import classes from './environment.module.css';

const amounts = ['cpu', 'memory', 'gpu', 'storage'] as const;

export function SettingsTab({ environment }: { environment: Environment }) {
  return (
    <div className={classes.stack}>
      <Name environment={environment} />
      <FromNextStart environment={environment} />
    </div>
  );
}

function Name({ environment: { env_id: id, name } }: { environment: Environment }) {
  const { t } = useTranslation();
  const [wanted, setWanted] = useState(name);
  const change = useChange(id);
  return (
    <Section title={t('environment.name')} description={t('environment.nameWhat', { id })}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(() => updateEnvironment(id, { name: wanted.trim() }));
        }}
      >
        <Stack gap="sm" maw="26rem">
          <TextInput
            aria-label={t('environment.name')}
            value={wanted}
            maxLength={64}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
          <ProblemAlert error={change.error} />
          <Group gap="xs">
            <Button
              type="submit"
              variant="default"
              loading={change.isPending}
              disabled={wanted.trim() === '' || wanted.trim() === name}
            >
              {t('environment.rename')}
            </Button>
            <CommandHint
              what={t('environment.rename')}
              equivalent={{
                command: commandLine('set', id, '--name', wanted.trim() || 'NAME'),
                request: `PATCH ${pathOf(routes.environment, { id })}`,
                body: { name: wanted.trim() || 'NAME' },
              }}
            />
          </Group>
        </Stack>
      </form>
    </Section>
  );
}

type Draft = Pick<Environment, 'resources' | 'datasets' | 'sudo' | 'exposure'>;

/** What differs from how it is. */
function changesOf(environment: Environment, draft: Draft): UpdateEnvironment {
  const resources = Object.fromEntries(
    amounts
      .filter((each) => draft.resources[each] !== environment.resources[each])
      .map((each) => [each, draft.resources[each]]),
  );
  const sameDatasets =
    draft.datasets.length === environment.datasets.length &&
    draft.datasets.every((each) => environment.datasets.includes(each));
  return {
    ...(Object.keys(resources).length === 0 ? {} : { resources }),
    ...(sameDatasets ? {} : { datasets: draft.datasets }),
    ...(draft.sudo === environment.sudo ? {} : { sudo: draft.sudo }),
    ...(draft.exposure === environment.exposure ? {} : { exposure: draft.exposure }),
  };
}

function commandOf(id: string, { resources, datasets, sudo, exposure }: UpdateEnvironment): string {
  return commandLine(
    'set',
    id,
    ...Object.entries(resources ?? {}).flatMap(([name, value]) => [
      `--${name}`,
      name === 'memory' || name === 'storage' ? `${value}Gi` : String(value),
    ]),
    ...(datasets === undefined
      ? []
      : datasets.length === 0
        ? ['--no-dataset']
        : datasets.flatMap((each) => ['--dataset', each])),
    ...(sudo === undefined ? [] : [sudo ? '--sudo' : '--no-sudo']),
    ...(exposure === undefined ? [] : ['--exposure', exposure]),
  );
}

function FromNextStart({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id: id, status } = environment;
  const [draft, setDraft] = useState<Draft>(environment);
  const set = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const change = useChange(id);
  const { data } = useQuery(datasetsQuery);
  const changes = changesOf(environment, draft);
  const isSame = Object.keys(changes).length === 0;
  return (
    <Section title={t('environment.nextStart')} description={t('environment.nextStartWhat')}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(() => updateEnvironment(id, changes));
        }}
      >
        <Stack gap="lg" maw="40rem">
          <Group gap="md">
            {amounts.map((each) => (
              <NumberInput
                key={each}
                w="8.5rem"
                label={t(`create.amounts.${each}`)}
                min={each === 'storage' ? environment.resources.storage : resourceBounds[each].minimum}
                max={resourceBounds[each].maximum}
                allowDecimal={each !== 'gpu'}
                clampBehavior="blur"
                value={draft.resources[each]}
                onChange={(value) =>
                  typeof value === 'number' && set({ resources: { ...draft.resources, [each]: value } })
                }
              />
            ))}
          </Group>
          {data !== undefined && data.items.length > 0 && (
            <Checkbox.Group
              label={t('create.datasets')}
              value={draft.datasets}
              onChange={(datasets) => set({ datasets })}
            >
              <Stack gap="xs" mt="xs">
                {data.items.map(({ name, mount_path }) => (
                  <Checkbox key={name} value={name} label={name} description={mount_path} />
                ))}
              </Stack>
            </Checkbox.Group>
          )}
          <Switch
            label={t('create.sudo')}
            description={t('create.sudoWhat')}
            checked={draft.sudo}
            onChange={(event) => set({ sudo: event.currentTarget.checked })}
          />
          <NativeSelect
            label={t('create.exposure')}
            description={t('create.exposureWhat')}
            data={exposures.map((value) => ({ value, label: t(`exposure.${value}`) }))}
            value={draft.exposure}
            onChange={(event) => set({ exposure: event.currentTarget.value as Exposure })}
          />
          <ProblemAlert error={change.error} />
          <Group gap="xs">
            <Button type="submit" variant="default" loading={change.isPending} disabled={isSame}>
              {t('environment.keep')}
            </Button>
            {!isSame && (
              <CommandHint
                what={t('environment.nextStart')}
                equivalent={{
                  command: commandOf(id, changes),
                  request: `PATCH ${pathOf(routes.environment, { id })}`,
                  body: changes,
                }}
              />
            )}
            <Text size="sm" c="dimmed" role="status">
              {change.isSuccess && isSame
                ? status === 'running'
                  ? t('environment.keptRestart')
                  : t('environment.kept')
                : isSame
                  ? t('environment.nothingChanged')
                  : ''}
            </Text>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
