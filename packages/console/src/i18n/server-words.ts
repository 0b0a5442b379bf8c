/** Puts what the server says into the language that is shown, sentence by sentence, as far as that language has it. */
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';
import { serverSentencesOf } from './i18n.ts';
import { inOtherWords } from './sentences.ts';

export function useServerWords(): (text: string) => string {
  const { i18n } = useTranslation();
  const { language } = i18n;
  return useCallback(
    (text) => {
      const sentences = serverSentencesOf(language);
      return sentences === undefined ? text : inOtherWords(text, sentences);
    },
    [language],
  );
}
