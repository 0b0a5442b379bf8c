/**
 * The first page of a person whose password somebody else made, the admin of a new Berth among them: what Berth is, a
 * password of one's own, and what comes next. Only who knows the password gets here; nobody claims a Berth by being first.
 */
import { Button, Group, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../../api/client.ts';
import { changePassword, forgetTypedPassword, sessionQuery, typedPassword } from '../../api/session.ts';
import { ButtonLink } from '../../components/links.tsx';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Mark } from '../../shell/word-mark.tsx';
import { NewPasswordFields, noPassword } from '../account/new-password-fields.tsx';
import classes from './welcome.module.css';

const route = getRouteApi('/signed-in-alone/welcome');

export function WelcomePage() {
  const { t } = useTranslation();
  const { from = '/environments' } = route.useSearch();
  // What was typed at the sign-in a moment ago is not asked for again.
  const [typed] = useState(typedPassword);
  useEffect(() => forgetTypedPassword, []);
  const [current, setCurrent] = useState(typed ?? '');
  const [chosen, setChosen] = useState(noPassword);
  const queryClient = useQueryClient();
  const change = useMutation({
    mutationFn: () => changePassword({ current, new: chosen.wanted }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey }),
  });
  const { error } = change;
  const isWrong = error instanceof ApiError && error.field === 'current';
  return (
    <main className={classes.page}>
      <Mark />
      <PageHeader title={t('account.welcome.title')} description={t('account.welcome.what')} />
      {change.isSuccess ? (
        <Stack gap="xl">
          <div role="status">
            <Title order={2}>{t('account.welcome.done')}</Title>
            <Text c="dimmed">{t('account.welcome.doneWhat')}</Text>
          </div>
          <div>
            <Title order={2}>{t('account.welcome.next')}</Title>
            <Text c="dimmed" mb="sm">
              {t('account.welcome.createWhat')}
            </Text>
            <Group>
              <ButtonLink to="/environments/new">{t('account.welcome.create')}</ButtonLink>
              {/* Loaded anew: it may be JupyterLab's, which is no page of the console. */}
              <Button component="a" href={from} variant="default">
                {t('account.welcome.goOn')}
              </Button>
            </Group>
          </div>
        </Stack>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            change.mutate();
          }}
        >
          <Title order={2}>{t('account.welcome.choose')}</Title>
          <Text c="dimmed" mb="md">
            {t('account.welcome.chooseWhat')}
          </Text>
          <Stack maw="23rem">
            {(typed === null || isWrong) && (
              <PasswordInput
                label={t('account.currentPassword')}
                name="current"
                autoComplete="current-password"
                required
                withAsterisk={false}
                maxLength={1024}
                value={current}
                onChange={(event) => setCurrent(event.currentTarget.value)}
                error={isWrong && t('account.wrongPassword')}
                visibilityToggleButtonProps={{ 'aria-label': t('signIn.showPassword') }}
              />
            )}
            <NewPasswordFields value={chosen} onChange={setChosen} error={error} />
            {!(error instanceof ApiError && error.field !== undefined) && <ProblemAlert error={error} />}
            <Group>
              <Button
                type="submit"
                loading={change.isPending}
                disabled={chosen.wanted !== chosen.repeated || chosen.wanted === ''}
              >
                {t('account.welcome.save')}
              </Button>
              <ButtonLink to={from} variant="subtle" color="gray">
                {t('account.welcome.later')}
              </ButtonLink>
            </Group>
          </Stack>
        </form>
      )}
    </main>
  );
}
