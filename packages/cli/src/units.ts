/** Amounts and moments as people type them, turned into what the API takes: cores, GiB, whole devices, times. */
import { InvalidArgumentError } from 'commander';

const spans: Record<string, number> = { s: 1, min: 60, m: 60, h: 3600, d: 86_400, w: 604_800 };
const gibibytes: Record<string, number> = { M: 1 / 1024, G: 1, T: 1024 };

interface Bounds {
  minimum: number;
  maximum: number;
}

function within(value: number, { minimum, maximum }: Bounds, allowed: string): number {
  if (value >= minimum && value <= maximum) return value;
  throw new InvalidArgumentError(`Allowed: ${allowed}.`);
}

/** `2`, `0.5`, `500m` -> cores */
export function cores(bounds: Bounds): (value: string) => number {
  return (value) => {
    const match = /^(\d+(?:\.\d+)?)(m?)$/.exec(value);
    const number = match ? Number(match[1]) / (match[2] === 'm' ? 1000 : 1) : NaN;
    return within(
      number,
      bounds,
      `cores from ${bounds.minimum} to ${bounds.maximum}, such as 2, 0.5 or 500m`,
    );
  };
}

/** `16`, `16G`, `16Gi`, `512M`, `512Mi`, `1T` -> GiB */
export function gibibyteSize(bounds: Bounds): (value: string) => number {
  return (value) => {
    const match = /^(\d+(?:\.\d+)?)(?:([MGT])i?)?$/.exec(value);
    const number = match ? Number(match[1]) * (gibibytes[match[2] ?? 'G'] ?? NaN) : NaN;
    return within(
      number,
      bounds,
      `from ${bounds.minimum} to ${bounds.maximum} GiB, such as 16, 16G, 16Gi, 512M or 512Mi`,
    );
  };
}

/** A whole number, such as a count of devices or lines. */
export function wholeNumber(bounds: Bounds): (value: string) => number {
  return (value) =>
    within(
      /^\d+$/.test(value) ? Number(value) : NaN,
      bounds,
      `a whole number from ${bounds.minimum} to ${bounds.maximum}`,
    );
}

/** A time, or a span that counts back from now -> ISO 8601 in UTC */
export function moment(value: string): string {
  const span = /^(\d{1,6})(s|min|m|h|d|w)$/.exec(value);
  const atMs = span ? Date.now() - Number(span[1]) * (spans[span[2] ?? ''] ?? 0) * 1000 : Date.parse(value);
  if ((span ?? /^\d{4}-\d\d-\d\d/.exec(value)) && !Number.isNaN(atMs)) return new Date(atMs).toISOString();
  throw new InvalidArgumentError(
    'Allowed: a date or time such as 2026-02-03 or 2026-02-03T04:05:06Z, or a span such as 30min, 12h or 7d.',
  );
}

const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 1536 -> "1.5 KiB" */
export function bytesText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), binaryUnits.length - 1);
  const amount = bytes / 1024 ** power;
  return `${power > 0 && amount < 99.95 ? amount.toFixed(1) : Math.round(amount)} ${binaryUnits[power]}`;
}
