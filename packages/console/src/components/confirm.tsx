/** Asks once more before something ends. What is gone for good asks for its name: confirm-by-typing.tsx. */
import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { CommandHint } from './command-hint.tsx';
import type { Equivalent } from './command-hint.tsx';
import { ProblemAlert } from './problem-alert.tsx';

interface Props {
  close: () => void;
  title: string;
  /** What is done, on the button. */
  action: string;
  /** What ends, and what stays. */
  children: ReactNode;
  confirm: () => void;
  pending: boolean;
  error: Error | null;
  equivalent?: Equivalent | undefined;
}

export function Confirm({ close, title, action, children, confirm, pending, error, equivalent }: Props) {
  const { t } = useTranslation();
  return (
    <Modal opened onClose={close} title={title} closeButtonProps={{ 'aria-label': t('common.close') }}>
      <Stack>
        <Text component="div">{children}</Text>
        <ProblemAlert error={error} />
        <Group justify="flex-end" gap="sm">
          {equivalent && <CommandHint what={action} equivalent={equivalent} />}
          <Button variant="default" onClick={close} data-autofocus>
            {t('common.cancel')}
          </Button>
          <Button color="red" onClick={confirm} loading={pending}>
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
