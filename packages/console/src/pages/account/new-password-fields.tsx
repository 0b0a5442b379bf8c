/** The two fields in which a person chooses a password of their own. */
import { PasswordInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../../api/client.ts';
import { useProblemWords } from '../../components/problem-alert.tsx';

export interface NewPassword {
  wanted: string;
  repeated: string;
}

export const noPassword: NewPassword = { wanted: '', repeated: '' };

interface Props {
  value: NewPassword;
  onChange: (value: NewPassword) => void;
  error: Error | null;
}

export function NewPasswordFields({ value, onChange, error }: Props) {
  const { t } = useTranslation();
  const toggle = { 'aria-label': t('signIn.showPassword') };
  const { wanted, repeated } = value;
  // The server knows the policy; it says what is lacking and what does.
  const words = useProblemWords();
  const isWeak = error instanceof ApiError && error.field === 'new';
  const said = isWeak ? words(error) : { what: '', cure: null };
  const differs = repeated !== '' && !wanted.startsWith(repeated);
  return (
    <>
      <PasswordInput
        label={t('account.newPassword')}
        name="new"
        autoComplete="new-password"
        required
        withAsterisk={false}
        maxLength={1024}
        value={wanted}
        onChange={(event) => onChange({ wanted: event.currentTarget.value, repeated })}
        error={isWeak && `${said.what} ${said.cure ?? ''}`}
        visibilityToggleButtonProps={toggle}
      />
      <PasswordInput
        label={t('account.repeatPassword')}
        name="repeated"
        autoComplete="new-password"
        required
        withAsterisk={false}
        maxLength={1024}
        value={repeated}
        onChange={(event) => onChange({ wanted, repeated: event.currentTarget.value })}
        error={differs && t('account.differs')}
        visibilityToggleButtonProps={toggle}
      />
    </>
  );
}
