/** A curve in one line of text. */

const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * @param values null: not measured, which is a space
 * @param full what the highest bar stands for; without it the greatest value
 * @param columns how wide it is at most; several values in one column are shown as their greatest
 */
export function sparkline(values: (number | null)[], columns: number, full?: number): string {
  const width = Math.min(columns, values.length);
  const shown = Array.from({ length: width }, (_, column) => {
    const first = Math.floor((column * values.length) / width);
    const last = Math.floor(((column + 1) * values.length) / width);
    const measured = values.slice(first, last).filter((value) => value !== null);
    return measured.length === 0 ? null : Math.max(...measured);
  });
  const top = full ?? Math.max(...shown.map((value) => value ?? 0));
  return shown
    .map((value) => {
      if (value === null) return ' ';
      const bar = top <= 0 ? 0 : Math.ceil((value / top) * bars.length) - 1;
      return bars[Math.min(Math.max(bar, 0), bars.length - 1)];
    })
    .join('');
}
