/** The terminal's colours: a light, a dark and a high-contrast set of the sixteen that programs name. */
import type { ITheme } from '@xterm/xterm';

export const themeNames = ['auto', 'light', 'dark', 'contrast'] as const;
export type ThemeName = (typeof themeNames)[number];

const light: ITheme = {
  background: '#fcfcfd',
  foreground: '#1f2933',
  cursor: '#0a5c88',
  cursorAccent: '#fcfcfd',
  selectionBackground: '#b9d9ec',
  selectionInactiveBackground: '#d8e2e9',
  scrollbarSliderBackground: '#1f293326',
  scrollbarSliderHoverBackground: '#1f293340',
  scrollbarSliderActiveBackground: '#1f293359',
  black: '#1f2933',
  red: '#b3261e',
  green: '#1b7042',
  yellow: '#8a5a00',
  blue: '#0a5c88',
  magenta: '#8b3a8f',
  cyan: '#0b6e72',
  white: '#5d6975',
  brightBlack: '#66727e',
  brightRed: '#c2410c',
  brightGreen: '#2c7a2f',
  brightYellow: '#936400',
  brightBlue: '#2563b0',
  brightMagenta: '#a13fa6',
  brightCyan: '#0f7c80',
  brightWhite: '#36414c',
};

const dark: ITheme = {
  background: '#0f1418',
  foreground: '#dfe5ea',
  cursor: '#7cc1ea',
  cursorAccent: '#0f1418',
  selectionBackground: '#2b4a5e',
  selectionInactiveBackground: '#263238',
  scrollbarSliderBackground: '#dfe5ea26',
  scrollbarSliderHoverBackground: '#dfe5ea40',
  scrollbarSliderActiveBackground: '#dfe5ea59',
  black: '#2f3942',
  red: '#ff8a80',
  green: '#7fd6a2',
  yellow: '#f0b955',
  blue: '#7cc1ea',
  magenta: '#dda3e2',
  cyan: '#74d3d0',
  white: '#c4ced6',
  brightBlack: '#8492a0',
  brightRed: '#ffab91',
  brightGreen: '#a5e6bd',
  brightYellow: '#ffd180',
  brightBlue: '#a8d8f5',
  brightMagenta: '#eec3f0',
  brightCyan: '#a0e8e5',
  brightWhite: '#f6f8fa',
};

const contrast: ITheme = {
  ...dark,
  background: '#000000',
  foreground: '#ffffff',
  cursor: '#ffff00',
  cursorAccent: '#000000',
  selectionBackground: '#ffffff',
  selectionForeground: '#000000',
  brightBlack: '#b0b0b0',
};

export function themeOf(name: ThemeName, scheme: 'light' | 'dark'): ITheme {
  return { light, dark, contrast }[name === 'auto' ? scheme : name];
}

/** What WCAG asks of small text, and more of whoever asks for it. */
export function contrastOf(name: ThemeName): number {
  return name === 'contrast' ? 7 : 4.5;
}
