/** Keys that the keyboards of phones do not have. */
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import classes from './terminal.module.css';
import type { Workspace } from './workspace.ts';

/** Those that are no words have a name to be read. */
const keys: [label: string, name: KeyName | null, text: string][] = [
  ['Esc', null, '\x1b'],
  ['Tab', null, '\t'],
  ['↑', 'up', '\x1b[A'],
  ['↓', 'down', '\x1b[B'],
  ['←', 'left', '\x1b[D'],
  ['→', 'right', '\x1b[C'],
  ['|', 'pipe', '|'],
  ['/', 'slash', '/'],
  ['-', 'hyphen', '-'],
];
type KeyName = 'up' | 'down' | 'left' | 'right' | 'pipe' | 'slash' | 'hyphen';

/** What goes with Control most. */
const controls = ['C', 'D', 'Z', 'L', 'R'] as const;

export function KeyBar({ workspace }: { workspace: Workspace }) {
  const { t } = useTranslation();
  const [isControl, setControl] = useState(false);
  const press = (text: string) => {
    const pane = workspace.active;
    if (pane === undefined) return;
    // As xterm.js sends arrows to programs that asked for the keypad's.
    pane.type(pane.terminal.modes.applicationCursorKeysMode ? text.replace('\x1b[', '\x1bO') : text);
    pane.focus();
  };
  return (
    <footer className={classes.keyBar} aria-label={t('terminal.keyBar.label')}>
      <button type="button" aria-pressed={isControl} onClick={() => setControl(!isControl)}>
        Ctrl
      </button>
      {isControl
        ? controls.map((letter) => (
            <button
              key={letter}
              type="button"
              onClick={() => {
                press(String.fromCharCode(letter.charCodeAt(0) - 64));
                setControl(false);
              }}
            >
              {`^${letter}`}
            </button>
          ))
        : keys.map(([label, name, text]) => (
            <button
              key={label}
              type="button"
              aria-label={name === null ? undefined : t(`terminal.keyBar.${name}`)}
              onClick={() => press(text)}
            >
              {label}
            </button>
          ))}
    </footer>
  );
}
