import { Anchor, Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { ApiError } from '../../api/client.ts';
import { goTo } from '../../app/own-path.ts';
import { sessionQuery, signIn } from '../../api/session.ts';
import { PageHeader } from '../../components/page-header.tsx';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { LanguageChoice } from '../../shell/language-choice.tsx';
import { Mark } from '../../shell/word-mark.tsx';
import classes from './sign-in.module.css';
import '@mantine/core/styles/FloatingIndicator.layer.css';
import '@mantine/core/styles/SegmentedControl.layer.css';

const route = getRouteApi('/sign-in');

export function SignInPage() {
  const { t } = useTranslation();
  const { from } = route.useSearch();
  const router = useRouter();
  const queryClient = useQueryClient();
  const [account, setAccount] = useState('');
  const [password, setPassword] = useState('');
  const attempt = useMutation({
    mutationFn: () => signIn({ account: account.trim(), password }),
    onSuccess: (session) => {
      queryClient.setQueryData(sessionQuery.queryKey, session);
      // `from` is a path of this Berth, and nowhere else is gone to.
      if (session.password_given) void router.navigate({ to: '/welcome', search: from ? { from } : {} });
      else goTo(from ?? '/environments', (path) => router.history.push(path));
    },
    onError: () => setPassword(''),
  });
  const { error } = attempt;
  const isWrong = error instanceof ApiError && error.code === 'wrong_password';
  return (
    <main className={classes.page}>
      <div className={classes.sheet}>
        <Mark />
        <PageHeader title={t('signIn.title')} />
        <form
          onSubmit={(event) => {
            event.preventDefault();
            attempt.mutate();
          }}
        >
          <Stack>
            <TextInput
              label={t('signIn.account')}
              name="account"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              withAsterisk={false}
              maxLength={64}
              autoFocus
              value={account}
              onChange={(event) => setAccount(event.currentTarget.value)}
            />
            <PasswordInput
              label={t('signIn.password')}
              name="password"
              autoComplete="current-password"
              required
              withAsterisk={false}
              maxLength={1024}
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              error={isWrong && t('signIn.wrong')}
              visibilityToggleButtonProps={{ 'aria-label': t('signIn.showPassword') }}
            />
            {!isWrong && <ProblemAlert error={error} />}
            <Button type="submit" loading={attempt.isPending}>
              {t('signIn.action')}
            </Button>
          </Stack>
        </form>
        <details className={classes.first}>
          <summary>{t('signIn.firstTime')}</summary>
          <Text size="sm" c="dimmed" component="div">
            <Trans i18nKey="signIn.firstTimeHow" components={{ code: <code /> }} />
          </Text>
        </details>
        <div className={classes.foot}>
          <LanguageChoice />
          <Anchor size="sm" href="/api/docs">
            {t('signIn.api')}
          </Anchor>
        </div>
      </div>
    </main>
  );
}
