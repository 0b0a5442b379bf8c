/** One row of a list in full, beside the list. */
import { Drawer, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

interface Props {
  title: ReactNode;
  close: () => void;
  children: ReactNode;
}

export function DetailDrawer({ title, close, children }: Props) {
  const { t } = useTranslation();
  return (
    <Drawer
      opened
      onClose={close}
      position="right"
      size="min(34rem, 100vw)"
      title={title}
      closeButtonProps={{ 'aria-label': t('common.close') }}
      styles={{ title: { fontWeight: 600, overflowWrap: 'anywhere' } }}
    >
      <Stack gap="lg">{children}</Stack>
    </Drawer>
  );
}
