/** A form over the page: its fields, what the server says to them, and how a terminal does the same. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '../api/client.ts';
import { CommandHint } from './command-hint.tsx';
import type { Equivalent } from './command-hint.tsx';
import { ProblemAlert } from './problem-alert.tsx';

interface Props {
  title: string;
  close: () => void;
  /** What is done, on the button. */
  action: string;
  submit: () => void;
  pending: boolean;
  disabled?: boolean;
  error: Error | null;
  /** Fields that show what is wrong with them themselves. */
  fields?: readonly string[];
  equivalent: Equivalent;
  size?: string;
  children: ReactNode;
}

export function FormDialog({
  title,
  close,
  action,
  submit,
  pending,
  disabled = false,
  error,
  fields = [],
  equivalent,
  size = 'md',
  children,
}: Props) {
  const { t } = useTranslation();
  const isAtField = error instanceof ApiError && error.field !== undefined && fields.includes(error.field);
  return (
    <Modal
      opened
      onClose={close}
      title={title}
      size={size}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Stack>
          {children}
          {!isAtField && <ProblemAlert error={error} />}
          <Group justify="flex-end" gap="sm">
            <CommandHint what={action} equivalent={equivalent} />
            <Button variant="default" onClick={close}>
              {t('common.cancel')}
            </Button>
            <Button type="submit" loading={pending} disabled={disabled}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** What the server says to one field, with the cure. */
export function errorAt(error: Error | null, field: string): string | undefined {
  if (!(error instanceof ApiError) || error.field !== field) return undefined;
  return error.cure === null ? error.message : `${error.message} ${error.cure}`;
}
