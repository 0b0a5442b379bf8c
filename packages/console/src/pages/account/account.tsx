/** What is a person's own: how the console looks, the password, where they are signed in, and their API tokens. */
import { Group, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { PageHeader } from '../../components/page-header.tsx';
import { Section } from '../../components/section.tsx';
import { ColorSchemeChoice } from '../../shell/color-scheme-choice.tsx';
import { LanguageChoice } from '../../shell/language-choice.tsx';
import { useSession } from '../../shell/use-session.ts';
import { ApiTokens } from './api-tokens.tsx';
import { ChangePassword } from './change-password.tsx';
import { SignIns } from './sign-ins.tsx';

export function AccountPage() {
  const { t } = useTranslation();
  const { account, customer, role } = useSession();
  return (
    <>
      <PageHeader title={t('account.title')} description={t(`account.who.${role}`, { account, customer })} />
      <Stack gap="2.5rem">
        <Section title={t('account.appearance')}>
          <Stack gap="sm">
            <Group>
              <Text w="7rem">{t('shell.language')}</Text>
              <LanguageChoice />
            </Group>
            <Group>
              <Text w="7rem">{t('shell.colorScheme')}</Text>
              <ColorSchemeChoice />
            </Group>
          </Stack>
        </Section>
        <ChangePassword />
        <SignIns />
        <ApiTokens />
      </Stack>
    </>
  );
}
