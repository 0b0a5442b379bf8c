/** Two or more lists on one page; which one is shown stands in the address. */
import { Tabs } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './page-tabs.module.css';

interface Props<Name extends string> {
  tabs: { name: Name; label: string; panel: ReactNode }[];
  shown: Name;
  show: (name: Name) => void;
}

export function PageTabs<Name extends string>({ tabs, shown, show }: Props<Name>) {
  return (
    <Tabs
      className={classes.tabs}
      value={shown}
      keepMounted={false}
      onChange={(value) => {
        const tab = tabs.find(({ name }) => name === value);
        if (tab !== undefined) show(tab.name);
      }}
    >
      <Tabs.List className={classes.list}>
        {tabs.map(({ name, label }) => (
          <Tabs.Tab key={name} value={name}>
            {label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {tabs.map(({ name, panel }) => (
        <Tabs.Panel key={name} value={name}>
          {panel}
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
