/** Text for people: what a server or a person typed, made safe to print, aligned and short. */
import { styleText } from 'node:util';

/** Control, format (such as right-to-left overrides), lone surrogate, line and paragraph separators. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text on one line, with everything escaped that could move the cursor, hide or reorder what is read. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Several lines: line feeds and tabs keep their meaning, the rest is escaped. */
export function printableLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => line.split('\t').map(printable).join('\t'))
    .join('\n');
}

/** A JSON document that is safe on a terminal too: JSON.stringify leaves C1 controls and overrides as they are. */
export function jsonText(document: unknown, indent = 0): string {
  return JSON.stringify(document, null, indent).replace(unprintable, (character) =>
    character === '\n'
      ? character
      : [...Array(character.length).keys()]
          .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]/u;

/** Columns that printable text takes on a terminal. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    columns += wide.test(character) ? 2 : 1;
  }
  return columns;
}

function padded(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)));
}

/** How a word looks on a terminal that has colours; nothing of it is left in a pipe or with NO_COLOR. */
export type Look = 'bold' | 'green' | 'red' | 'yellow' | 'dim' | 'none';

export type Cell = string | { text: string; look: Look };

export function styled(text: string, look: Look): string {
  return look === 'none' ? text : styleText(look, text, { stream: process.stdout });
}

/** Aligned columns under a heading; cells are escaped here. */
export function table(heading: string[], rows: Cell[][]): string {
  const bold = heading.map((text): Cell => ({ text, look: 'bold' }));
  const lines = [bold, ...rows].map((row) =>
    row.map((cell) => {
      const { text, look } = typeof cell === 'string' ? { text: cell, look: 'none' as const } : cell;
      return { text: printable(text), look };
    }),
  );
  const widths = heading.map((_, column) =>
    lines.reduce((widest, line) => Math.max(widest, columnsOf(line[column]?.text ?? '')), 0),
  );
  return lines
    .map((line) =>
      line
        .map(({ text, look }, column) => {
          const shown = styled(text, look);
          return column === line.length - 1
            ? shown
            : shown + ' '.repeat(Math.max(0, (widths[column] ?? 0) - columnsOf(text)));
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Aligned "label  value" lines, indented by two; a value of several lines hangs under its first. */
export function labelled(rows: [label: string, value: string][]): string {
  const width = Math.max(...rows.map(([label]) => columnsOf(label)));
  return rows
    .flatMap(([label, value]) =>
      printableLines(value)
        .split('\n')
        .map((line, index) => `  ${padded(index === 0 ? label : '', width)}  ${line}`.trimEnd()),
    )
    .join('\n');
}

export function indented(text: string, spaces: number): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(spaces));
}

/** "3 min ago", "in 2 d" */
export function relativeTime(timestamp: string | null, nowMs = Date.now()): string {
  if (timestamp === null) return '-';
  const seconds = Math.floor((nowMs - Date.parse(timestamp)) / 1000);
  if (Number.isNaN(seconds)) return timestamp;
  if (Math.abs(seconds) < 5) return 'just now';
  return seconds < 0 ? `in ${span(-seconds, Math.round)}` : `${span(seconds, Math.floor)} ago`;
}

function span(seconds: number, round: (units: number) => number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${round(seconds / 60)} min`;
  if (seconds < 86_400) return `${round(seconds / 3600)} h`;
  return `${round(seconds / 86_400)} d`;
}

/** "0.4 s", "12 s", "3 min 20 s" */
export function duration(milliseconds: number): string {
  if (milliseconds < 9_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
