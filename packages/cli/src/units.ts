/** Amounts as people type them, turned into what the API takes: cores, GiB, whole devices. */
import { InvalidArgumentError } from 'commander';

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
