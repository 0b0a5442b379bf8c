/** Looks for a text in what a terminal shows and has shown. */
import { ActionIcon, Group, TextInput } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconLetterCase, IconRegex, IconX } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Pane } from './pane.ts';
import { usePane } from './pane-view.tsx';
import classes from './terminal.module.css';

const marks = {
  matchBackground: '#8a5a0066',
  matchOverviewRuler: '#8a5a00',
  activeMatchBackground: '#c2410c99',
  activeMatchColorOverviewRuler: '#c2410c',
};

export function SearchBar({ pane, close }: { pane: Pane; close: () => void }) {
  const { t } = useTranslation();
  const { found } = usePane(pane);
  const [text, setText] = useState('');
  const [caseSensitive, setCaseSensitive] = useState(false);
  const [regex, setRegex] = useState(false);
  const isBroken = regex && !isPattern(text);
  const options = { caseSensitive, regex, decorations: marks };
  const look = (direction: 1 | -1, incremental = false) => {
    if (isBroken) return;
    if (direction === 1) pane.search.findNext(text, { ...options, incremental });
    else pane.search.findPrevious(text, options);
  };
  useEffect(() => {
    if (text === '' || isBroken) pane.search.clearDecorations();
    else pane.search.findPrevious(text, { caseSensitive, regex, decorations: marks });
  }, [pane, text, caseSensitive, regex, isBroken]);
  useEffect(() => () => pane.search.clearDecorations(), [pane]);
  const count =
    text === '' || found === null
      ? ''
      : found.count === 0
        ? t('terminal.search.none')
        : t('terminal.search.found', { index: found.index + 1, count: found.count });
  return (
    <search className={classes.search}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          look(-1);
        }}
      >
        <Group gap={4} wrap="nowrap">
          <TextInput
            size="xs"
            autoFocus
            aria-label={t('terminal.search.label')}
            placeholder={t('terminal.search.label')}
            value={text}
            error={isBroken}
            spellCheck={false}
            onChange={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape') close();
              if (event.key === 'Enter' && event.shiftKey) {
                event.preventDefault();
                look(1);
              }
            }}
          />
          <span className={classes.count} aria-live="polite">
            {count}
          </span>
          <Toggle isOn={caseSensitive} set={setCaseSensitive} label={t('terminal.search.case')}>
            <IconLetterCase size={16} aria-hidden />
          </Toggle>
          <Toggle isOn={regex} set={setRegex} label={t('terminal.search.regex')}>
            <IconRegex size={16} aria-hidden />
          </Toggle>
          <ActionIcon type="submit" variant="subtle" color="gray" aria-label={t('terminal.search.before')}>
            <IconArrowUp size={16} aria-hidden />
          </ActionIcon>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={t('terminal.search.next')}
            onClick={() => look(1)}
          >
            <IconArrowDown size={16} aria-hidden />
          </ActionIcon>
          <ActionIcon variant="subtle" color="gray" aria-label={t('common.close')} onClick={close}>
            <IconX size={16} aria-hidden />
          </ActionIcon>
        </Group>
      </form>
    </search>
  );
}

interface ToggleProps {
  isOn: boolean;
  set: (isOn: boolean) => void;
  label: string;
  children: React.ReactNode;
}

function Toggle({ isOn, set, label, children }: ToggleProps) {
  return (
    <ActionIcon
      variant={isOn ? 'light' : 'subtle'}
      color="gray"
      aria-pressed={isOn}
      aria-label={label}
      title={label}
      onClick={() => set(!isOn)}
    >
      {children}
    </ActionIcon>
  );
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text).source !== '';
  } catch {
    return false;
  }
}
