/** The top of a page: its title, which the browser's tab shows too, what it is, and what can be done on it. */
import { Group, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import type { ReactNode } from 'react';
import { useArrival } from '../app/arrival.ts';
import classes from './page-header.module.css';

interface Props {
  title: string;
  /** Stands before the title, such as a way back. */
  above?: ReactNode;
  /** Stands beside the title, such as a state. */
  beside?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, above, beside, description, actions }: Props) {
  useDocumentTitle(`${title} · Berth`);
  const heading = useArrival<HTMLHeadingElement>();
  return (
    <header className={classes.header}>
      <div>
        {above}
        <Group gap="sm" align="center">
          <Title order={1} ref={heading} tabIndex={-1} className={classes.title}>
            {title}
          </Title>
          {beside}
        </Group>
        {description && (
          <Text c="dimmed" maw="42rem" mt={4}>
            {description}
          </Text>
        )}
      </div>
      {actions && <div className={classes.actions}>{actions}</div>}
    </header>
  );
}
