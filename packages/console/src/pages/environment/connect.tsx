/** Everything that a client needs to get in. */
import type { Environment, SshAccess } from '@berth/contract';
import { Alert, Anchor, Button, Group, Modal, Skeleton, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { resetPassword, sshQuery } from '../../api/environments.ts';
import { CopyField } from '../../components/copy-field.tsx';
import { EquivalentFields } from '../../components/command-hint.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { Ago } from '../../components/time.tsx';
import { useFormat } from '../../i18n/format.ts';
import { addressOf, jetbrainsLink, vscodeLink } from './editors.ts';
import classes from './environment.module.css';
import { equivalentOf } from './equivalents.ts';

export function Connect({ environment }: { environment: Environment }) {
  const { data: ssh, error, refetch } = useQuery(sshQuery(environment.env_id));
  return (
    <div className={classes.columns}>
      <div className={classes.stack}>
        <ProblemAlert error={error} retry={() => void refetch()} />
        {ssh === undefined && error === null && <Skeleton height="12rem" />}
        {ssh !== undefined && (
          <>
            <Login environment={environment} ssh={ssh} />
            <Editors ssh={ssh} />
            <HostKey ssh={ssh} />
            <OtherWays ssh={ssh} />
          </>
        )}
      </div>
      <Facts environment={environment} />
    </div>
  );
}

function Login({ environment, ssh }: { environment: Environment; ssh: SshAccess }) {
  const { t } = useTranslation();
  const { ssh_command, ssh_password, password_expires_at } = ssh;
  return (
    <Section title={t('environment.login')} description={t('environment.loginWhat')}>
      {ssh_command === null && (
        <Alert variant="default" mb="sm">
          {t('environment.noWayIn')}
        </Alert>
      )}
      <div className={classes.fields}>
        {ssh_command !== null && (
          <Field label={t('environment.command')}>
            <CopyField value={ssh_command} label={t('environment.command')} />
          </Field>
        )}
        <Field label={t('environment.user')}>
          <CopyField value={addressOf(ssh)?.user ?? ssh.ssh_username} label={t('environment.user')} />
        </Field>
        <Field label={t('environment.password')}>
          <div>
            <Group gap="xs" wrap="nowrap">
              <div style={{ flex: 1, minWidth: 0 }}>
                <CopyField value={ssh_password} label={t('environment.password')} secret />
              </div>
              <ResetPassword id={environment.env_id} />
            </Group>
            <Text size="xs" c="dimmed" mt={4}>
              {!environment.password_login && t('environment.passwordOff')}
              {environment.password_login && password_expires_at !== null && (
                <>
                  {t('environment.passwordExpires')} <Ago at={password_expires_at} />
                </>
              )}
            </Text>
          </div>
        </Field>
        {ssh.sftp_url !== null && (
          <Field label={t('environment.sftp')}>
            <CopyField value={ssh.sftp_url} label={t('environment.sftp')} />
          </Field>
        )}
      </div>
    </Section>
  );
}

function Field({ label, children }: { label: string; children: ReactNode }) {
  return (
    <>
      <span>{label}</span>
      {children}
    </>
  );
}

function ResetPassword({ id }: { id: string }) {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [opened, { open, close }] = useDisclosure();
  const reset = useMutation({
    mutationFn: () => resetPassword(id),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: sshQuery(id).queryKey });
      close();
    },
  });
  return (
    <>
      <Button variant="default" onClick={open}>
        {t('environment.reset')}
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title={t('environment.resetTitle')}
        closeButtonProps={{ 'aria-label': t('common.close') }}
      >
        <Stack>
          <Text>{t('environment.resetWhat')}</Text>
          <EquivalentFields equivalent={equivalentOf('reset-password', id)} />
          <ProblemAlert error={reset.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('common.cancel')}
            </Button>
            <Button loading={reset.isPending} onClick={() => reset.mutate()}>
              {t('environment.resetAction')}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function Editors({ ssh }: { ssh: SshAccess }) {
  const { t } = useTranslation();
  const address = addressOf(ssh);
  if (address === null || ssh.vscode_config === null) return null;
  return (
    <Section
      title={t('environment.editors')}
      description={
        <>
          {t('environment.editorsWhat')}{' '}
          <AnchorLink to="/environments/$id/tutorial" params={{ id: ssh.env_id }} underline="always">
            {t('environment.tutorial')}
          </AnchorLink>
        </>
      }
    >
      <Stack gap="sm">
        <CopyField value={ssh.vscode_config} label={t('environment.vscodeBlock')} block />
        <Group gap="sm">
          <Button component="a" variant="default" href={vscodeLink(address)}>
            {t('environment.openVscode')}
          </Button>
          <Button component="a" variant="default" href={jetbrainsLink(address)}>
            {t('environment.openJetbrains')}
          </Button>
        </Group>
      </Stack>
    </Section>
  );
}

function HostKey({ ssh }: { ssh: SshAccess }) {
  const { t } = useTranslation();
  return (
    <Section title={t('environment.hostKey')} description={t('environment.hostKeyWhat')}>
      <div className={classes.fields}>
        {ssh.host_keys.map(({ type, fingerprint }) => (
          <Field key={type} label={type}>
            <CopyField value={fingerprint} label={t('environment.fingerprintOf', { type })} />
          </Field>
        ))}
        {ssh.known_hosts !== null && (
          <Field label={t('environment.knownHosts')}>
            <CopyField value={ssh.known_hosts} label={t('environment.knownHosts')} block />
          </Field>
        )}
      </div>
    </Section>
  );
}

function OtherWays({ ssh }: { ssh: SshAccess }) {
  const { t } = useTranslation();
  const { shared_port_command, jump_command, shared_known_hosts, jump_known_hosts, ssh_port } = ssh;
  if (shared_port_command === null) return null;
  return (
    <Section title={t('environment.otherWays')} description={t('environment.otherWaysWhat')}>
      <div className={classes.fields}>
        {ssh_port !== null && (
          <Field label={t('environment.sharedPort')}>
            <CopyField value={shared_port_command} label={t('environment.sharedPort')} />
          </Field>
        )}
        {jump_command !== null && (
          <Field label={t('environment.jump')}>
            <CopyField value={jump_command} label={t('environment.jump')} />
          </Field>
        )}
        {shared_known_hosts !== null && ssh_port !== null && (
          <Field label={t('environment.sharedKnownHosts')}>
            <CopyField value={shared_known_hosts} label={t('environment.sharedKnownHosts')} block />
          </Field>
        )}
        {jump_known_hosts !== null && (
          <Field label={t('environment.jumpKnownHosts')}>
            <CopyField value={jump_known_hosts} label={t('environment.jumpKnownHosts')} block />
          </Field>
        )}
      </div>
    </Section>
  );
}

function Facts({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { resources, running_resources, datasets, env_vars, sudo, exposure, created_at, started_at } =
    environment;
  const { cpu, memory, gpu, storage } = running_resources ?? resources;
  const facts: [string, ReactNode][] = [
    [t('environment.facts.image'), environment.image],
    [t('environment.facts.cpu'), format.number(cpu)],
    [t('environment.facts.memory'), t('environment.gib', { amount: format.number(memory) })],
    ...(gpu > 0 ? [[t('environment.facts.gpu'), format.number(gpu)] satisfies [string, ReactNode]] : []),
    [t('environment.facts.storage'), t('environment.gib', { amount: format.number(storage) })],
    [t('environment.facts.datasets'), datasets.length === 0 ? t('environment.none') : format.list(datasets)],
    [t('environment.facts.variables'), env_vars.length === 0 ? t('environment.none') : format.list(env_vars)],
    [t('environment.facts.sudo'), sudo ? t('environment.on') : t('environment.off')],
    [t('environment.facts.exposure'), t(`exposure.${exposure}`)],
    [t('environment.facts.created'), <Ago key="created" at={created_at} />],
    ...(started_at === null
      ? []
      : [
          [t('environment.facts.started'), <Ago key="started" at={started_at} />] satisfies [
            string,
            ReactNode,
          ],
        ]),
  ];
  return (
    <Section title={t('environment.about')}>
      <dl className={classes.facts}>
        {facts.map(([name, value]) => (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Text size="sm" mt="md">
        <Anchor href="/api/docs">{t('signIn.api')}</Anchor>
      </Text>
    </Section>
  );
}
