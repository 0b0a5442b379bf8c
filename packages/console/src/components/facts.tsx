/** What is known of one thing: names and values. */
import { Text } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './facts.module.css';

/** @param facts what is null or undefined is left out */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {facts.map(([name, value]) =>
        value === null || value === undefined ? null : (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** Addresses, ids, fingerprints: what is compared letter by letter. */
export function Mono({ children, dimmed = false }: { children: ReactNode; dimmed?: boolean }) {
  return (
    <Text
      component="span"
      size="sm"
      ff="monospace"
      {...(dimmed ? { c: 'dimmed' } : {})}
      style={{ overflowWrap: 'anywhere' }}
    >
      {children}
    </Text>
  );
}
