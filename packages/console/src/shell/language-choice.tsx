import { SegmentedControl } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { chooseLanguage, languages } from '../i18n/i18n.ts';
import type { Language } from '../i18n/i18n.ts';

const data = Object.entries(languages).map(([value, label]) => ({ value: value as Language, label }));

export function LanguageChoice() {
  const { t, i18n } = useTranslation();
  return (
    <SegmentedControl
      size="xs"
      aria-label={t('shell.language')}
      data={data}
      value={i18n.language as Language}
      onChange={(language) => void chooseLanguage(language)}
    />
  );
}
