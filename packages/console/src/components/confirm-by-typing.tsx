/** Asks for a name before something is gone for good. */
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ProblemAlert } from './problem-alert.tsx';

interface Props {
  opened: boolean;
  close: () => void;
  title: string;
  /** What has to be typed. */
  name: string;
  /** What is done, on the button. */
  action: string;
  /** What will be gone, and what stays. */
  children: ReactNode;
  confirm: () => void;
  pending: boolean;
  error: Error | null;
}

export function ConfirmByTyping({
  opened,
  close,
  title,
  name,
  action,
  children,
  confirm,
  pending,
  error,
}: Props) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState('');
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={title}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name) confirm();
        }}
      >
        <Stack>
          <Text component="div">{children}</Text>
          <TextInput
            data-autofocus
            label={t('confirm.typeName', { name })}
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          />
          <ProblemAlert error={error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {t('common.cancel')}
            </Button>
            <Button type="submit" color="red" disabled={typed !== name} loading={pending}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
