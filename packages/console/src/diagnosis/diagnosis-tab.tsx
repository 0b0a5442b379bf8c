/** Why nobody gets in, or it does not run: what the server finds, and what an SSH client printed. */
import type { Diagnosis, Environment } from '@berth/contract';
import { keyInQuestion } from '@berth/contract/explain';
import type { Explanation } from '@berth/contract/explain';
import { pathOf, routes } from '@berth/contract/paths';
import { Button, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client.ts';
import { diagnose } from '../api/diagnosis.ts';
import { CommandHint, commandLine } from '../components/command-hint.tsx';
import { ProblemAlert } from '../components/problem-alert.tsx';
import { Section } from '../components/section.tsx';
import { ClientOutput } from './client-output.tsx';
import { CheckList } from './findings.tsx';
import classes from './findings.module.css';
import { useFindingWords } from './words.ts';

export function DiagnosisTab({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id: id } = environment;
  const [source, setSource] = useState('');
  const asked = useMutation({
    mutationFn: (explanation: Explanation | null) => {
      const fingerprint = explanation && keyInQuestion(explanation);
      return diagnose(id, { ...(source && { source }), ...(fingerprint && { fingerprint }) });
    },
  });
  const { error } = asked;
  const fieldError = error instanceof ApiError && error.field === 'source' ? error : null;
  // So that they are there by the time that something is found.
  useFindingWords();
  const ask = (event: FormEvent) => {
    event.preventDefault();
    asked.mutate(null);
  };
  return (
    <Stack gap="2.25rem">
      <Section
        title={t('diagnosis.title')}
        description={t('diagnosis.what')}
        actions={
          <CommandHint
            what={t('diagnosis.title')}
            equivalent={{
              command: commandLine('diagnose', id, ...(source === '' ? [] : ['--source', source])),
              request: `GET ${pathOf(routes.environmentDiagnosis, { id })}${source === '' ? '' : `?source=${encodeURIComponent(source)}`}`,
            }}
          />
        }
      >
        <form className={classes.ask} onSubmit={ask}>
          <TextInput
            label={t('diagnosis.source')}
            placeholder={t('diagnosis.sourceOwn')}
            value={source}
            maxLength={64}
            spellCheck={false}
            autoComplete="off"
            error={fieldError?.message}
            onChange={(event) => setSource(event.currentTarget.value.trim())}
          />
          <Button type="submit" variant="default" loading={asked.isPending}>
            {t('diagnosis.ask')}
          </Button>
        </form>
        <ProblemAlert error={fieldError === null ? error : null} />
        <div role="status">{asked.data && <Result diagnosis={asked.data} />}</div>
      </Section>
      <ClientOutput environment={environment} isAsking={asked.isPending} onAsk={asked.mutate} />
    </Stack>
  );
}

function Result({ diagnosis: { checks, source } }: { diagnosis: Diagnosis }) {
  const { t } = useTranslation();
  const problems = checks.filter(({ verdict }) => verdict === 'problem');
  const unclear = checks.filter(({ verdict }) => verdict === 'unknown');
  return (
    <>
      <Text fw={500}>
        {problems.length === 0 ? t('diagnosis.well') : t('diagnosis.problems', { count: problems.length })}
      </Text>
      {source !== null && (
        <Text size="sm" c="dimmed">
          {t('diagnosis.for', { source })}
        </Text>
      )}
      <CheckList checks={[...problems, ...unclear]} />
      <details className={classes.all}>
        <summary>{t('diagnosis.all', { count: checks.length })}</summary>
        <CheckList checks={checks} />
      </details>
    </>
  );
}
