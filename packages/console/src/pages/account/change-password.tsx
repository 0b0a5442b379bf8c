import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { routes } from '@berth/contract/paths';
import { ApiError } from '../../api/client.ts';
import { changePassword, sessionQuery } from '../../api/session.ts';
import { ProblemAlert } from '../../components/problem-alert.tsx';
import { Section } from '../../components/section.tsx';
import { NewPasswordFields, noPassword } from './new-password-fields.tsx';

export function ChangePassword() {
  const { t } = useTranslation();
  const queryClient = useQueryClient();
  const [current, setCurrent] = useState('');
  const [chosen, setChosen] = useState(noPassword);
  const change = useMutation({
    mutationFn: () => changePassword({ current, new: chosen.wanted }),
    onSuccess: async () => {
      setCurrent('');
      setChosen(noPassword);
      await queryClient.invalidateQueries({ queryKey: [routes.tokens] });
      await queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
    },
  });
  const { error } = change;
  const isWrong = error instanceof ApiError && error.field === 'current';
  const isAtField = error instanceof ApiError && error.field !== undefined;
  return (
    <Section title={t('account.password')} description={t('account.passwordWhat')}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate();
        }}
      >
        <Stack maw="23rem" gap="sm">
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
          <NewPasswordFields value={chosen} onChange={setChosen} error={error} />
          {!isAtField && <ProblemAlert error={error} />}
          <Group>
            <Button
              type="submit"
              variant="default"
              loading={change.isPending}
              disabled={chosen.wanted !== chosen.repeated || chosen.wanted === ''}
            >
              {t('account.changePassword')}
            </Button>
            {change.isSuccess && (
              <Text role="status" size="sm">
                {t('account.passwordChanged')}
              </Text>
            )}
          </Group>
        </Stack>
      </form>
    </Section>
  );
}
