/** A list with nothing in it: why that is, and what to do. */
import { Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './empty-state.module.css';

interface Props {
  title: string;
  children?: ReactNode;
  /** What does the same in a terminal. */
  command?: string;
  action?: ReactNode;
}

export function EmptyState({ title, children, command, action }: Props) {
  return (
    <Stack className={classes.empty} gap="xs" align="center">
      <Title order={2}>{title}</Title>
      {children && (
        <Text c="dimmed" maw="32rem">
          {children}
        </Text>
      )}
      {command && (
        <Text component="code" size="sm" ff="monospace" c="dimmed">
          {command}
        </Text>
      )}
      {action}
    </Stack>
  );
}
