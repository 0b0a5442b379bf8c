import type { Resources } from '@berth/contract';
import { resourceBounds } from '@berth/contract/vocabulary';
import { NumberInput, Radio, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import { Card } from './card.tsx';
import classes from './create.module.css';
import { presets, sizes } from './draft.ts';
import type { Draft, Size } from './draft.ts';

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

export function SizeChoice({ draft: { size, resources }, change }: Props) {
  const { t } = useTranslation();
  const format = useFormat();
  const choose = (wanted: Size) =>
    change({
      size: wanted,
      resources: wanted === 'custom' ? resources : { ...resources, ...presets[wanted] },
    });
  const set = (part: Partial<Resources>) => change({ resources: { ...resources, ...part } });
  return (
    <Section title={t('create.size')} description={t('create.sizeWhat')}>
      <Radio.Group value={size} onChange={(value) => choose(value as Size)} aria-label={t('create.size')}>
        <div className={classes.sizes}>
          {sizes.map((each) => (
            <Card key={each} value={each} title={t(`create.sizes.${each}`)}>
              <Text size="sm" c="dimmed">
                {each === 'custom'
                  ? t('create.customWhat')
                  : t('create.sizeOf', {
                      cpu: format.number(presets[each].cpu),
                      memory: format.number(presets[each].memory),
                    })}
              </Text>
            </Card>
          ))}
        </div>
      </Radio.Group>
      <div className={classes.numbers} style={{ marginTop: '1rem' }}>
        {size === 'custom' && (
          <>
            <Amount of="cpu" step={0.5} value={resources.cpu} set={(cpu) => set({ cpu })} />
            <Amount of="memory" step={1} value={resources.memory} set={(memory) => set({ memory })} />
          </>
        )}
        <Amount of="gpu" step={1} value={resources.gpu} set={(gpu) => set({ gpu })} />
        <Amount of="storage" step={10} value={resources.storage} set={(storage) => set({ storage })} />
      </div>
    </Section>
  );
}

interface AmountProps {
  of: keyof Resources;
  step: number;
  value: number;
  set: (value: number) => void;
}

function Amount({ of, step, value, set }: AmountProps) {
  const { t } = useTranslation();
  const { minimum, maximum } = resourceBounds[of];
  return (
    <NumberInput
      label={t(`create.amounts.${of}`)}
      min={minimum}
      max={maximum}
      step={step}
      allowDecimal={of !== 'gpu'}
      clampBehavior="blur"
      required
      withAsterisk={false}
      value={value}
      onChange={(chosen) => typeof chosen === 'number' && set(chosen)}
    />
  );
}
