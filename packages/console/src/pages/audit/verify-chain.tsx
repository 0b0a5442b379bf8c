/** The server reads the whole log and says whether it is as it was sealed. */
import type { AuditVerdict } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Button, Group, Modal, Progress as Bar, Stack, Text, TextInput } from '@mantine/core';
import { IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { verifyAudit } from '../../api/audit.ts';
import type { Progress } from '../../api/audit.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { CopyField } from '../../components/copy-field.tsx';
import { Facts } from '../../components/facts.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { useFormat } from '../../i18n/format.ts';
import classes from './audit.module.css';

export function VerifyChain({ close }: { close: () => void }) {
  const { t } = useTranslation();
  const [from, setFrom] = useState('');
  const [progress, setProgress] = useState<Progress | null>(null);
  const abort = useRef(new AbortController());
  useEffect(() => {
    // A page that is shown twice while it is worked on must not be stopped by its first end.
    abort.current = new AbortController();
    return () => abort.current.abort();
  }, []);
  const verify = useMutation({
    mutationFn: () => verifyAudit(from.trim(), setProgress, abort.current.signal),
    onMutate: () => setProgress(null),
  });
  const wrongHash = from.trim() !== '' && !/^[0-9a-f]{64}$/.test(from.trim());
  const words = from.trim() === '' ? [] : ['--from', from.trim()];
  const share = progress === null || progress.of_links === 0 ? 0 : progress.links / progress.of_links;
  return (
    <Modal
      opened
      onClose={close}
      title={t('audit.chain.title')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          verify.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{t('audit.chain.what')}</Text>
          <TextInput
            data-autofocus
            label={t('audit.chain.from')}
            description={t('audit.chain.fromWhat')}
            maxLength={64}
            autoComplete="off"
            spellCheck={false}
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
            error={wrongHash && t('audit.chain.noHash')}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          />
          {verify.isPending && (
            <Bar value={share * 100} size="sm" aria-label={t('audit.chain.title')} transitionDuration={0} />
          )}
          <div role="status">{verify.data && <Verdict verdict={verify.data} />}</div>
          <ProblemAlert error={verify.error} />
          <Group justify="flex-end" gap="sm">
            <CommandHint
              what={t('audit.verify')}
              equivalent={{
                command: commandLine('audit verify', ...words),
                request: `GET ${routes.auditVerify}${from.trim() === '' ? '' : `?from=${from.trim()}`}`,
              }}
            />
            <Button type="submit" loading={verify.isPending} disabled={wrongHash}>
              {t('audit.verify')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Verdict({ verdict }: { verdict: AuditVerdict }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { whole, records, links, unsealed, first_at, last_at, last_hash, records_since } = verdict;
  const { faults, fault_count } = verdict;
  const Icon = whole ? IconShieldCheck : IconShieldX;
  return (
    <Stack gap="sm">
      <div className={classes.verdict} data-whole={whole}>
        <Icon size={22} aria-hidden />
        <div>
          <Text fw={600}>
            {whole ? t('audit.chain.whole') : t('audit.chain.broken', { count: fault_count })}
          </Text>
          <Text size="sm" c="dimmed">
            {t('audit.chain.counts', { records: format.number(records), links: format.number(links) })}
          </Text>
        </div>
      </div>
      {faults.length > 0 && (
        <ul className={classes.faults}>
          {faults.map(({ kind, link, record, detail }) => (
            <li key={`${kind} ${link} ${record}`}>{detail}</li>
          ))}
        </ul>
      )}
      <Facts
        facts={[
          [t('audit.chain.first'), first_at === null ? null : format.moment(first_at)],
          [t('audit.chain.last'), last_at === null ? null : format.moment(last_at)],
          [t('audit.chain.unsealed'), format.number(unsealed)],
          [t('audit.chain.since'), records_since === null ? null : format.number(records_since)],
        ]}
      />
      {last_hash !== null && (
        <div>
          <Text size="sm" c="dimmed" mb={4}>
            {t('audit.chain.hash')}
          </Text>
          <CopyField value={last_hash} label={t('audit.chain.hashName')} />
        </div>
      )}
    </Stack>
  );
}
