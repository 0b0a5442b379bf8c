/** Keys that are the page's and not the program's. All have Control and Shift, which terminals cannot tell apart anyway. */
import { useEffect } from 'react';
import { fontSizes, preferences, setPreferences } from './preferences.ts';
import type { Workspace } from './workspace.ts';

/** By the key's place, so that they are where they are on every layout. */
export const shortcuts = {
  search: 'F',
  copy: 'C',
  splitRight: 'D',
  splitDown: 'E',
  next: 'K',
  before: 'J',
  pane: 'L',
  bar: 'M',
} as const;

/** For `aria-keyshortcuts`. */
export function ariaKeys(name: keyof typeof shortcuts): string {
  return `Control+Shift+${shortcuts[name]}`;
}

export function useShortcuts(workspace: Workspace, page: { search: () => void }): void {
  const { search } = page;
  useEffect(() => {
    const acts: Record<keyof typeof shortcuts, () => void> = {
      search,
      copy: () => void workspace.active?.copy(),
      splitRight: () => workspace.split('row'),
      splitDown: () => workspace.split('column'),
      next: () => workspace.showBeside(1),
      before: () => workspace.showBeside(-1),
      pane: () => workspace.focusNext(),
      bar: () => document.querySelector<HTMLElement>('[data-tab][aria-current=true]')?.focus(),
    };
    const byKey = new Map(
      Object.entries(shortcuts).map(([name, key]) => [`Key${key}`, acts[name as keyof typeof shortcuts]]),
    );
    const press = (event: KeyboardEvent) => {
      if (!event.ctrlKey || event.altKey || event.metaKey) return;
      const act = event.shiftKey ? byKey.get(event.code) : fontKeys.get(event.code);
      if (act === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };
    // Before xterm.js has them.
    addEventListener('keydown', press, { capture: true });
    return () => removeEventListener('keydown', press, { capture: true });
  }, [workspace, search]);
}

const larger = () => setPreferences({ fontSize: preferences().fontSize + 1 });
const smaller = () => setPreferences({ fontSize: preferences().fontSize - 1 });
const fontKeys = new Map([
  ['Equal', larger],
  ['NumpadAdd', larger],
  ['Minus', smaller],
  ['NumpadSubtract', smaller],
  ['Digit0', () => setPreferences({ fontSize: fontSizes.usual })],
]);
