/** Text from a stranger, made fit for a sentence, a log and a terminal: escaped and cut short. */
export function quoted(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}...` : text;
  return `"${short.toWellFormed().replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}"]/gu, '?')}"`;
}
