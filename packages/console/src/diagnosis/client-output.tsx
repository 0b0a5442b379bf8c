/** What an SSH client printed, pasted and explained in this browser, which sends none of it. */
import type { Environment } from '@berth/contract';
import { explainFor } from '@berth/contract/explain';
import type { Explanation } from '@berth/contract/explain';
import { Button, Text, Textarea } from '@mantine/core';
import { useDeferredValue, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Section } from '../components/section.tsx';
import { ClientFindingList } from './findings.tsx';

interface Props {
  environment: Environment;
  isAsking: boolean;
  /** Asks the server with what the client tried. */
  onAsk(explanation: Explanation): void;
}

export function ClientOutput({ environment, isAsking, onAsk }: Props) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const pasted = useDeferredValue(text);
  const { explanation, environment: meant } = useMemo(
    () => explainFor(pasted, [environment]),
    [pasted, environment],
  );
  const isOther = meant === null && explanation.conversation.host !== null;
  return (
    <Section title={t('diagnosis.output')} description={t('diagnosis.outputWhat')}>
      <Textarea
        label={t('diagnosis.paste')}
        placeholder={t('diagnosis.pasteLike', { command: 'ssh -v' })}
        value={text}
        rows={6}
        spellCheck={false}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <div role="status">
        {pasted.trim() !== '' && (
          <>
            {explanation.findings.length === 0 && <Text mt="sm">{t('diagnosis.nothingKnown')}</Text>}
            {isOther && (
              <Text mt="sm" c="dimmed">
                {t('diagnosis.otherPlace')}
              </Text>
            )}
            <ClientFindingList findings={explanation.findings} />
          </>
        )}
      </div>
      {explanation.findings.length > 0 && (
        <Button mt="sm" variant="default" loading={isAsking} onClick={() => onAsk(explanation)}>
          {t('diagnosis.askWith')}
        </Button>
      )}
    </Section>
  );
}
