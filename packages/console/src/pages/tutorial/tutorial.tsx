/** VS Code step by step. The pictures are Berth's own parts with this environment's values, drawn so that they are never old. */
import type { SshAccess } from '@berth/contract';
import { Loader, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { sshQuery } from '../../api/environments.ts';
import { CopyField } from '../../components/copy-field.tsx';
import { AnchorLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import classes from './tutorial.module.css';

const route = getRouteApi('/signed-in/environments/$id/tutorial');
const installCommand = 'code --install-extension ms-vscode-remote.remote-ssh';

export function TutorialPage() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const { data: ssh, error, refetch } = useQuery(sshQuery(id));
  return (
    <>
      <PageHeader
        title={t('tutorial.title')}
        above={
          <AnchorLink to="/environments/$id" params={{ id }} size="sm" c="dimmed">
            {t('tutorial.back')}
          </AnchorLink>
        }
        description={t('tutorial.what')}
      />
      <ProblemAlert error={error} retry={() => void refetch()} />
      {ssh === undefined && error === null && <Loader size="sm" aria-label={t('common.loading')} />}
      {ssh !== undefined && <Steps ssh={ssh} />}
    </>
  );
}

function Steps({ ssh }: { ssh: SshAccess }) {
  const { t } = useTranslation();
  const { env_id, vscode_config, host_keys, ssh_password } = ssh;
  return (
    <ol className={classes.steps}>
      <Step title={t('tutorial.install')} text={t('tutorial.installWhat')}>
        <CopyField value={installCommand} label={t('tutorial.install')} />
      </Step>
      {vscode_config !== null && (
        <Step title={t('tutorial.copy')} text={t('tutorial.copyWhat')}>
          <Picture of={t('environment.editors')}>
            <Title order={3}>{t('environment.editors')}</Title>
            <Text size="sm" c="dimmed" mb="xs">
              {t('environment.editorsWhat')}
            </Text>
            <div className={classes.pointed}>
              <CopyField value={vscode_config} label={t('environment.vscodeBlock')} block />
            </div>
          </Picture>
        </Step>
      )}
      <Step title={t('tutorial.paste')} text={t('tutorial.pasteWhat')} />
      <Step title={t('tutorial.connect')} text={t('tutorial.connectWhat')}>
        <CopyField value={env_id} label={t('tutorial.connect')} />
      </Step>
      <Step title={t('tutorial.trust')} text={t('tutorial.trustWhat')}>
        <Picture of={t('environment.hostKey')}>
          <Title order={3} mb="xs">
            {t('environment.hostKey')}
          </Title>
          <Stack gap="xs">
            {host_keys.map(({ type, fingerprint }) => (
              <CopyField key={type} value={fingerprint} label={t('environment.fingerprintOf', { type })} />
            ))}
          </Stack>
        </Picture>
      </Step>
      <Step title={t('tutorial.password')} text={t('tutorial.passwordWhat')}>
        <CopyField value={ssh_password} label={t('environment.password')} secret />
      </Step>
      <Step title={t('tutorial.work')} text={t('tutorial.workWhat')} />
      <Step title={t('tutorial.fails')} text={t('tutorial.failsWhat')} />
    </ol>
  );
}

function Step({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <li className={classes.step}>
      <Title order={2}>{title}</Title>
      <Text mb={children === undefined ? 0 : 'sm'}>{text}</Text>
      {children}
    </li>
  );
}

/** A part of another page as it stands there; it is looked at, not used. */
function Picture({ of, children }: { of: string; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <figure className={classes.picture}>
      <div inert className={classes.window}>
        {children}
      </div>
      <figcaption>{t('tutorial.picture', { what: of })}</figcaption>
    </figure>
  );
}
