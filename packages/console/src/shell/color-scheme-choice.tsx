import { SegmentedControl, useMantineColorScheme } from '@mantine/core';
import { useTranslation } from 'react-i18next';

const schemes = ['auto', 'light', 'dark'] as const;

export function ColorSchemeChoice() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <SegmentedControl
      size="xs"
      aria-label={t('shell.colorScheme')}
      data={schemes.map((value) => ({ value, label: t(`shell.colorSchemes.${value}`) }))}
      value={colorScheme}
      onChange={setColorScheme}
    />
  );
}
