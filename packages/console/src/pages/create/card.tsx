/** One of several, as a card that is a radio button. */
import { Radio, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './create.module.css';

interface Props {
  value: string;
  title: string;
  children?: ReactNode;
  disabled?: boolean;
}

export function Card({ value, title, children, disabled = false }: Props) {
  return (
    <Radio.Card
      value={value}
      className={classes.card}
      disabled={disabled}
      data-disabled={disabled || undefined}
    >
      <Radio.Indicator />
      <div>
        <Text fw={500} lh={1.3}>
          {title}
        </Text>
        {children}
      </div>
    </Radio.Card>
  );
}
