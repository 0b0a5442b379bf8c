/** The list of what is revoked: one a customer, put in force as a whole. */
import type { SshRevocations } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { Button, FileButton, Group } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { clearRevocations, revocationsQuery, setRevocations } from '../../api/ssh-keys.ts';
import { CommandHint, commandLine, ofCustomer } from '../../components/command-hint.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { EmptyState } from '../../components/empty-state.tsx';
import { Facts } from '../../components/facts.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { useFormat } from '../../i18n/format.ts';
import { useSession } from '../../shell/use-session.ts';

export function Revocations({ customer }: { customer: number | undefined }) {
  const { t } = useTranslation();
  const session = useSession();
  const queryClient = useQueryClient();
  const customer_id = customer ?? session.customer_id;
  const { data: revoked, error } = useQuery(revocationsQuery(customer_id));
  const [clearing, setClearing] = useState(false);
  const reload = () => queryClient.invalidateQueries({ queryKey: [routes.sshRevocations] });
  const put = useMutation({
    mutationFn: async (file: File) =>
      setRevocations({ list: base64Of(new Uint8Array(await file.arrayBuffer())), customer_id }),
    onSuccess: reload,
  });
  const clear = useMutation({
    mutationFn: () => clearRevocations(customer_id),
    onSuccess: async () => {
      await reload();
      setClearing(false);
    },
  });
  const words = ofCustomer(customer);
  return (
    <Section
      title={t('keys.authorities.revocations')}
      description={t('keys.authorities.revocationsWhat')}
      actions={
        <Group gap="xs">
          <CommandHint
            what={t('keys.authorities.put')}
            equivalent={{
              command: commandLine('revocations set', 'revoked.krl', ...words),
              request: `PUT ${routes.sshRevocations}`,
              body: { list: 'U1NIS1JMAQo…', ...(customer && { customer_id: customer }) },
            }}
          />
          <FileButton onChange={(file) => file && put.mutate(file)}>
            {(props) => (
              <Button {...props} variant="default" loading={put.isPending}>
                {revoked ? t('keys.authorities.replace') : t('keys.authorities.put')}
              </Button>
            )}
          </FileButton>
        </Group>
      }
    >
      <ProblemAlert error={put.error ?? error} />
      {revoked === null && (
        <EmptyState
          title={t('keys.authorities.noRevocations')}
          command={commandLine('revocations set', 'revoked.krl', ...words)}
        >
          {t('keys.authorities.noRevocationsWhat')}
        </EmptyState>
      )}
      {revoked && <InForce revoked={revoked} clear={() => setClearing(true)} />}
      {clearing && (
        <Confirm
          title={t('keys.authorities.clearTitle')}
          close={() => setClearing(false)}
          action={t('keys.authorities.clear')}
          confirm={() => clear.mutate()}
          pending={clear.isPending}
          error={clear.error}
          equivalent={{
            command: commandLine('revocations clear', ...words),
            request: `DELETE ${routes.sshRevocations}?customer_id=${customer_id}`,
          }}
        >
          {t('keys.authorities.clearWhat')}
        </Confirm>
      )}
    </Section>
  );
}

function InForce({ revoked, clear }: { revoked: SshRevocations; clear: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const save = () => {
    const bytes = Uint8Array.from(atob(revoked.list), (character) => character.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
    const link = Object.assign(document.createElement('a'), { href: address, download: 'revoked.krl' });
    link.click();
    URL.revokeObjectURL(address);
  };
  return (
    <>
      <Facts
        facts={[
          [t('keys.authorities.size'), format.bytes(revoked.bytes)],
          [t('keys.authorities.version'), revoked.version],
          [t('keys.authorities.comment'), revoked.comment || null],
          [t('keys.authorities.since'), format.moment(revoked.updated_at)],
        ]}
      />
      <Group mt="md" gap="xs">
        <Button variant="default" size="compact-sm" onClick={save}>
          {t('keys.authorities.download')}
        </Button>
        <Button variant="default" size="compact-sm" onClick={clear}>
          {t('keys.authorities.clear')}
        </Button>
      </Group>
    </>
  );
}

function base64Of(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}
