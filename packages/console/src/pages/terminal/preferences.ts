/** How a person likes terminals: kept in the browser, the same in all of its windows. */
import { useSyncExternalStore } from 'react';
import { themeNames } from './themes.ts';
import type { ThemeName } from './themes.ts';

export interface Preferences {
  theme: ThemeName;
  fontSize: number;
  copyOnSelect: boolean;
  askBeforePaste: boolean;
  screenReader: boolean;
}

export const fontSizes = { least: 8, usual: 14, most: 32 } as const;
const key = 'berth-terminal';
const usual: Preferences = {
  theme: 'auto',
  fontSize: fontSizes.usual,
  copyOnSelect: true,
  askBeforePaste: true,
  screenReader: false,
};

let current = read();
const listeners = new Set<() => void>();

addEventListener('storage', (event) => {
  if (event.key !== key) return;
  current = read();
  for (const listener of listeners) listener();
});

export function preferences(): Preferences {
  return current;
}

export function setPreferences(change: Partial<Preferences>): void {
  current = fitting({ ...current, ...change });
  localStorage.setItem(key, JSON.stringify(current));
  for (const listener of listeners) listener();
}

export function onPreferences(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(onPreferences, preferences);
}

function read(): Preferences {
  try {
    return fitting({ ...usual, ...(JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Preferences>) });
  } catch {
    return usual;
  }
}

/** Whatever somebody, or an older Berth, has written there. */
function fitting({ theme, fontSize, copyOnSelect, askBeforePaste, screenReader }: Preferences): Preferences {
  const size = Math.round(Number(fontSize)) || fontSizes.usual;
  return {
    theme: themeNames.includes(theme) ? theme : 'auto',
    fontSize: Math.min(Math.max(size, fontSizes.least), fontSizes.most),
    copyOnSelect: copyOnSelect !== false,
    askBeforePaste: askBeforePaste !== false,
    screenReader: screenReader === true,
  };
}
