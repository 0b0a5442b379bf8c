import { Checkbox, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { datasetsQuery } from '../../api/catalogue.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import type { Draft } from './draft.ts';

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

export function Datasets({ draft, change }: Props) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(datasetsQuery);
  if (data?.items.length === 0) return null;
  return (
    <Section title={t('create.datasets')} description={t('create.datasetsWhat')}>
      <ProblemAlert error={error} retry={() => void refetch()} />
      <Checkbox.Group
        aria-label={t('create.datasets')}
        value={draft.datasets}
        onChange={(datasets) => change({ datasets })}
      >
        <Stack gap="xs">
          {data?.items.map(({ name, description, mount_path, read_only }) => (
            <Checkbox
              key={name}
              value={name}
              label={name}
              description={
                <>
                  <Text span ff="monospace" size="xs">
                    {mount_path}
                  </Text>
                  {` · ${read_only ? t('create.readOnly') : t('create.writable')}`}
                  {description && ` · ${description}`}
                </>
              }
            />
          ))}
        </Stack>
      </Checkbox.Group>
    </Section>
  );
}
