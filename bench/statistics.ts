/** The value below which the share `q` of the samples lies (nearest rank). */
export function quantile(samples: number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('no samples');
  return value;
}

export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
