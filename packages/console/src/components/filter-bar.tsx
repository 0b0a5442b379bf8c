/** What a list is narrowed to. Where all of it stands in the page's address, a view can be kept and sent. */
import { Button, TextInput } from '@mantine/core';
import { useDebouncedCallback, useDisclosure } from '@mantine/hooks';
import { IconFilter } from '@tabler/icons-react';
import { useEffect, useId, useState } from 'react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import classes from './filter-bar.module.css';

interface Props {
  /** Takes all filters away; left out where none is set. */
  clear?: (() => void) | undefined;
  /** Whether they are so many that a phone shows them only when asked. */
  folds?: boolean;
  children: ReactNode;
}

export function FilterBar({ clear, folds = false, children }: Props) {
  const { t } = useTranslation();
  const [unfolded, { toggle }] = useDisclosure();
  const id = useId();
  return (
    <>
      {folds && (
        <Button
          className={classes.toggle}
          size="compact-sm"
          variant="default"
          leftSection={<IconFilter size={16} aria-hidden />}
          aria-expanded={unfolded}
          aria-controls={id}
          onClick={toggle}
        >
          {clear ? t('filter.narrowed') : t('filter.narrow')}
        </Button>
      )}
      <div id={id} className={classes.bar} role="search" data-folded={(folds && !unfolded) || undefined}>
        {children}
        {clear && (
          <Button size="compact-sm" variant="subtle" color="gray" onClick={clear}>
            {t('filter.clear')}
          </Button>
        )}
      </div>
    </>
  );
}

interface TextProps {
  label: string;
  value: string | undefined;
  set: (value: string | undefined) => void;
  icon?: ReactNode;
  maxLength?: number;
  /** Words to choose from; others are taken too. */
  words?: readonly string[];
}

/** Waits until somebody stops typing. */
export function FilterText({ label, value = '', set, icon, maxLength = 64, words }: TextProps) {
  const [typed, setTyped] = useState(value);
  const later = useDebouncedCallback((text: string) => set(text.trim() || undefined), 250);
  // The address changes by other means too: the way back, the button that clears the filters.
  useEffect(() => setTyped(value), [value]);
  const listId = useId();
  return (
    <>
      <TextInput
        type="search"
        className={classes.text}
        aria-label={label}
        placeholder={label}
        leftSection={icon}
        maxLength={maxLength}
        list={words && listId}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          later(event.currentTarget.value);
        }}
      />
      {words && (
        <datalist id={listId}>
          {words.map((word) => (
            <option key={word} value={word} />
          ))}
        </datalist>
      )}
    </>
  );
}
