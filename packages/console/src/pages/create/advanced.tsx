/** What most people leave as it is: ports, rights, forwarding, variables, kept files. */
import { exposures, ownPortModes } from '@berth/contract/vocabulary';
import type { Exposure, OwnPortMode } from '@berth/contract/vocabulary';
import {
  ActionIcon,
  Button,
  Checkbox,
  Collapse,
  Group,
  NativeSelect,
  Stack,
  Switch,
  TextInput,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconChevronDown, IconChevronRight, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { keptStorageQuery } from '../../api/catalogue.ts';
import classes from './create.module.css';
import { forwardingKinds } from './draft.ts';
import type { Draft } from './draft.ts';

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  customer: number;
}

export function Advanced({ draft, change, customer }: Props) {
  const { t } = useTranslation();
  const [opened, { toggle }] = useDisclosure();
  const { data: kept } = useQuery(keptStorageQuery(customer));
  return (
    <section>
      <Button
        variant="subtle"
        color="gray"
        px="xs"
        aria-expanded={opened}
        leftSection={
          opened ? <IconChevronDown size={16} aria-hidden /> : <IconChevronRight size={16} aria-hidden />
        }
        onClick={toggle}
      >
        {t('create.advanced')}
      </Button>
      <Collapse expanded={opened}>
        <Stack gap="lg" pt="md" maw="34rem">
          <NativeSelect
            label={t('create.ownPort')}
            description={t(`create.ownPortWhat.${draft.ownPort}`)}
            data={ownPortModes.map((value) => ({ value, label: t(`create.ownPorts.${value}`) }))}
            value={draft.ownPort}
            onChange={(event) => change({ ownPort: event.currentTarget.value as OwnPortMode })}
          />
          <NativeSelect
            label={t('create.exposure')}
            description={t('create.exposureWhat')}
            data={[
              { value: '', label: t('create.exposureDefault') },
              ...exposures.map((value) => ({ value, label: t(`exposure.${value}`) })),
            ]}
            value={draft.exposure ?? ''}
            onChange={(event) => change({ exposure: (event.currentTarget.value || null) as Exposure | null })}
          />
          <Switch
            label={t('create.sudo')}
            description={t('create.sudoWhat')}
            checked={draft.sudo}
            onChange={(event) => change({ sudo: event.currentTarget.checked })}
          />
          <Switch
            label={t('create.wake')}
            description={t('create.wakeWhat')}
            checked={draft.wake}
            onChange={(event) => change({ wake: event.currentTarget.checked })}
          />
          <Switch
            label={t('create.passwordLogin')}
            description={t('create.passwordLoginWhat')}
            checked={draft.passwordLogin}
            onChange={(event) => change({ passwordLogin: event.currentTarget.checked })}
          />
          <Checkbox.Group
            label={t('create.forwarding')}
            value={forwardingKinds.filter((kind) => draft.forwarding[kind])}
            onChange={(chosen) =>
              change({
                forwarding: {
                  local: chosen.includes('local'),
                  remote: chosen.includes('remote'),
                  agent: chosen.includes('agent'),
                  x11: chosen.includes('x11'),
                  sftp: chosen.includes('sftp'),
                },
              })
            }
          >
            <Stack gap="xs" mt="xs">
              {forwardingKinds.map((kind) => (
                <Checkbox key={kind} value={kind} label={t(`forwarding.${kind}`)} />
              ))}
            </Stack>
          </Checkbox.Group>
          <Variables draft={draft} change={change} />
          {kept !== undefined && kept.items.length > 0 && (
            <NativeSelect
              label={t('create.adopt')}
              description={t('create.adoptWhat')}
              data={[
                { value: '', label: t('create.adoptNone') },
                ...kept.items.map(({ env_id, name }) => ({ value: env_id, label: `${name} (${env_id})` })),
              ]}
              value={draft.adopt ?? ''}
              onChange={(event) => change({ adopt: event.currentTarget.value || null })}
            />
          )}
        </Stack>
      </Collapse>
    </section>
  );
}

function Variables({ draft: { variables }, change }: Pick<Props, 'draft' | 'change'>) {
  const { t } = useTranslation();
  const set = (index: number, part: Partial<Draft['variables'][number]>) =>
    change({ variables: variables.map((each, at) => (at === index ? { ...each, ...part } : each)) });
  return (
    <Stack gap="xs">
      {variables.map(({ name, value }, index) => (
        <div key={index} className={classes.variable}>
          <TextInput
            label={t('create.variableName')}
            ff="monospace"
            value={name}
            maxLength={128}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => set(index, { name: event.currentTarget.value })}
          />
          <TextInput
            label={t('create.variableValue')}
            value={value}
            maxLength={8192}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => set(index, { value: event.currentTarget.value })}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={t('create.variableRemove', { name })}
            onClick={() => change({ variables: variables.filter((_, at) => at !== index) })}
          >
            <IconTrash size={18} aria-hidden />
          </ActionIcon>
        </div>
      ))}
      <Group>
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => change({ variables: [...variables, { name: '', value: '' }] })}
        >
          {t('create.variableAdd')}
        </Button>
      </Group>
    </Stack>
  );
}
