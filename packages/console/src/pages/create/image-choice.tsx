import type { Image } from '@berth/contract';
import { Radio, Skeleton, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { imagesQuery } from '../../api/catalogue.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Card } from './card.tsx';
import classes from './create.module.css';
import { presets } from './draft.ts';
import type { Draft } from './draft.ts';

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

/** What the server takes where no image is named. */
const defaultName = 'default';

export function ImageChoice({ draft, change }: Props) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery(imagesQuery);
  const images = data?.items;
  const chosen = draft.image ?? images?.find(({ name }) => name === defaultName)?.name ?? images?.[0]?.name;
  const choose = (name: string) => {
    const wanted = images?.find((each) => each.name === name)?.default_resources ?? {};
    const resources = { ...presets.medium, gpu: 0, storage: 20, ...wanted };
    const isMedium = resources.cpu === presets.medium.cpu && resources.memory === presets.medium.memory;
    change({ image: name === defaultName ? null : name, resources, size: isMedium ? 'medium' : 'custom' });
  };
  return (
    <Section title={t('create.image')} description={t('create.imageWhat')}>
      <ProblemAlert error={error} retry={() => void refetch()} />
      {images === undefined && error === null && <Skeleton height="5rem" />}
      <Radio.Group value={chosen ?? ''} onChange={choose} aria-label={t('create.image')}>
        <div className={classes.cards}>
          {images?.map((image) => (
            <Card
              key={image.name}
              value={image.name}
              title={image.name}
              disabled={image.check?.usable === false}
            >
              <Text size="sm" c="dimmed">
                {image.description || t('create.noDescription')}
              </Text>
              <Check image={image} />
            </Card>
          ))}
        </div>
      </Radio.Group>
    </Section>
  );
}

function Check({ image: { check } }: { image: Image }) {
  const { t } = useTranslation();
  if (check === null || (check.usable && check.findings.every(({ result }) => result === 'ok'))) return null;
  return (
    <Text size="xs" c={check.usable ? 'dimmed' : 'red'} mt={4}>
      {check.usable ? t('create.imageWarns') : t('create.imageUnusable')}
    </Text>
  );
}
