/** A field for a public key, by paste or from a file; under it stands which key it is, or why it is none. */
import { Button, FileButton, Group, Text, Textarea } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Facts, Mono } from '../../components/facts.tsx';
import { fingerprintOf, readPastedKey } from './pasted-key.ts';
import type { ReadKey } from './pasted-key.ts';
import classes from './ssh-keys.module.css';

const sample = 'ssh-ed25519 AAAA… me@laptop';

interface Props {
  label: string;
  description: string;
  value: string;
  set: (value: string) => void;
  /** What the server says to it. */
  error: string | undefined;
}

export function PastedKeyField({ label, description, value, set, error }: Props) {
  const { t } = useTranslation();
  const read = readPastedKey(value);
  const problem = typeof read === 'string' ? t(`keys.problems.${read}`) : undefined;
  return (
    <div>
      <Textarea
        data-autofocus
        label={label}
        description={description}
        placeholder={sample}
        required
        withAsterisk={false}
        autosize
        minRows={3}
        maxRows={8}
        maxLength={16384}
        spellCheck={false}
        autoComplete="off"
        value={value}
        onChange={(event) => set(event.currentTarget.value)}
        error={problem ?? error}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', wordBreak: 'break-all' } }}
      />
      <Group mt={6} justify="space-between" align="flex-start" wrap="nowrap">
        <div className={classes.read} role="status">
          {read !== null && typeof read !== 'string' && <WhichKey read={read} />}
        </div>
        <FileButton onChange={(file) => void file?.text().then(set)}>
          {(props) => (
            <Button {...props} variant="subtle" color="gray" size="compact-sm" flex="none">
              {t('keys.form.file')}
            </Button>
          )}
        </FileButton>
      </Group>
    </div>
  );
}

function WhichKey({ read }: { read: ReadKey }) {
  const { t } = useTranslation();
  const { data: fingerprint } = useQuery({
    queryKey: ['fingerprint', read.blob.join()],
    queryFn: () => fingerprintOf(read),
    staleTime: Infinity,
  });
  return (
    <>
      <Text size="sm" className={classes.good}>
        <IconCheck size={16} aria-hidden />
        {t('keys.form.itIs', { type: read.type, bits: read.bits })}
      </Text>
      <Facts
        facts={[
          [t('keys.form.fingerprint'), fingerprint ? <Mono>{fingerprint}</Mono> : null],
          [t('keys.form.comment'), read.comment === '' ? null : read.comment],
        ]}
      />
    </>
  );
}
