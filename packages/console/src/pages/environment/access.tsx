/** Who gets in, and what they may do: networks, passwords, forwarding, waking, lockouts. */
import type { Environment, UpdateEnvironment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { Checkbox, Stack, Switch } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { environmentQuery, updateEnvironment } from '../../api/environments.ts';
import { CommandHint, commandLine } from '../../components/command-hint.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { forwardingKinds } from '../create/draft.ts';
import { Allowlist } from './allowlist.tsx';
import classes from './environment.module.css';

export function Access({ environment }: { environment: Environment }) {
  const { t } = useTranslation();
  const { env_id: id } = environment;
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: (body: UpdateEnvironment) => updateEnvironment(id, body),
    onSuccess: (changed) => queryClient.setQueryData(environmentQuery(id).queryKey, changed),
    onSettled: () => setAsked({}),
  });
  /** A switch stands where it was put while the server is asked. */
  const [asked, setAsked] = useState<UpdateEnvironment>({});
  const set = (body: UpdateEnvironment) => {
    setAsked(body);
    change.mutate(body);
  };
  const { password_login = environment.password_login, wake = environment.wake } = asked;
  const forwarding = { ...environment.forwarding, ...asked.forwarding };
  const allowed = forwardingKinds.filter((kind) => forwarding[kind]);
  const isPending = change.isPending;
  return (
    <div className={classes.stack}>
      <Allowlist environment={environment} />
      <Section
        title={t('environment.logins')}
        description={t('environment.loginsWhat')}
        actions={
          <CommandHint
            what={t('environment.logins')}
            equivalent={{
              command: commandLine(
                'set',
                id,
                '--password-login',
                password_login ? 'on' : 'off',
                '--wake',
                wake ? 'on' : 'off',
                '--forwarding',
                allowed.join(',') || 'none',
              ),
              request: `PATCH ${pathOf(routes.environment, { id })}`,
              body: { password_login, wake, forwarding },
            }}
          />
        }
      >
        <Stack gap="md" maw="36rem">
          <Switch
            label={t('environment.passwordLogin')}
            description={password_login ? t('environment.passwordLoginOn') : t('environment.passwordOff')}
            checked={password_login}
            disabled={isPending}
            onChange={(event) => set({ password_login: event.currentTarget.checked })}
          />
          <Switch
            label={t('create.wake')}
            description={t('create.wakeWhat')}
            checked={wake}
            disabled={isPending}
            onChange={(event) => set({ wake: event.currentTarget.checked })}
          />
          <fieldset className={classes.choices}>
            <legend>{t('create.forwarding')}</legend>
            <Stack gap="xs" mt="xs">
              {forwardingKinds.map((kind) => (
                <Checkbox
                  key={kind}
                  label={t(`forwarding.${kind}`)}
                  checked={forwarding[kind]}
                  disabled={isPending}
                  onChange={(event) => set({ forwarding: { [kind]: event.currentTarget.checked } })}
                />
              ))}
            </Stack>
          </fieldset>
          <ProblemAlert error={change.error} />
        </Stack>
      </Section>
    </div>
  );
}
