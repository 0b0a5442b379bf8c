/** What is pasted into a terminal. */

/** How many lines there are; a break at the end begins no other. */
export function linesIn(text: string): number {
  return text.replace(/(\r\n|[\r\n])$/, '').split(/\r\n|[\r\n]/).length;
}

/**
 * Without what a terminal would take for more than text: control characters but tab and line breaks, and the marks that end
 * a bracketed paste, by which a copied text could run what follows in it.
 */
export function pastable(text: string): string {
  return text.replace(/(?![\t\r\n])\p{Cc}/gu, '');
}
