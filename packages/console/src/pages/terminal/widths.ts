/**
 * How many columns a character takes: as the C library inside an environment has it (wcwidth(3)), since programs there
 * reckon with that and the cursor must stand where they think it does. xterm.js's own tables are those of 2010 and 2018, and
 * those that join characters into one disagree with every shell's line editor.
 */
import type { IUnicodeVersionProvider } from '@xterm/xterm';
import { eastAsianWidth } from 'get-east-asian-width';

/** Marks that stand on the character before them, and what is not seen at all. */
const noWidth = /^[\p{Mn}\p{Me}\p{Cf}\p{Zl}\p{Zp}]$/u;

/** What the rules do not tell, in order: first and last of a range, and the columns. */
const exceptions: [first: number, last: number, width: 0 | 1 | 2][] = [
  [0xad, 0xad, 1], // the soft hyphen
  [0x600, 0x605, 1], // signs around numbers, and others that are drawn though they format
  [0x6dd, 0x6dd, 1],
  [0x70f, 0x70f, 1],
  [0x890, 0x891, 1],
  [0x8e2, 0x8e2, 1],
  [0x1160, 0x11ff, 0], // Hangul in the block that a first consonant begins
  [0x3164, 0x3164, 0],
  [0x3248, 0x324f, 2], // numbers on black squares
  [0xd7b0, 0xd7fb, 0],
  [0xffa0, 0xffa0, 0],
  [0xfff9, 0xfffb, 1],
  [0x110bd, 0x110bd, 1],
  [0x110cd, 0x110cd, 1],
  [0x13430, 0x1343f, 1],
];

export function widthOf(codepoint: number): 0 | 1 | 2 {
  for (const [first, last, width] of exceptions) {
    if (codepoint < first) break;
    if (codepoint <= last) return width;
  }
  return noWidth.test(String.fromCodePoint(codepoint)) ? 0 : eastAsianWidth(codepoint);
}

/** xterm.js asks for each character that is written: what was looked up is kept, as one more than it is. */
const known = new Uint8Array(0x11_0000);

export const unicodeWidths: IUnicodeVersionProvider = {
  version: 'wcwidth',
  wcwidth(codepoint) {
    const found = known[codepoint];
    if (found !== undefined && found > 0) return (found - 1) as 0 | 1 | 2;
    const width = codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0) ? 0 : widthOf(codepoint);
    known[codepoint] = width + 1;
    return width;
  },
  /** In xterm.js's form: whether it joins the character before it, and the width of both together. */
  charProperties(codepoint, preceding) {
    const width = this.wcwidth(codepoint);
    const before = (preceding >> 1) & 3;
    const joins = width === 0 && preceding !== 0 && before > 0;
    return ((joins ? Math.max(width, before) : width) << 1) | (joins ? 1 : 0);
  },
};
