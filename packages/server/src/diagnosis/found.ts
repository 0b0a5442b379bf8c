/** What a look found: a code of the catalogue with the facts that its sentences need. */
import type { Facts, FactsOf, FindingCode } from '@berth/contract';

export interface Found {
  code: FindingCode;
  facts: Facts;
}

type Given<Code extends FindingCode> = keyof FactsOf<Code> extends never
  ? [facts?: Facts]
  : [facts: FactsOf<Code> & Facts];

export function found<Code extends FindingCode>(code: Code, ...[facts = {}]: Given<Code>): Found {
  return { code, facts };
}

/** `2026-11-24 19:05 UTC`, and never too early. */
export function minute(moment: Date): string {
  const whole = new Date(Math.ceil(moment.getTime() / 60_000) * 60_000).toISOString();
  return `${whole.slice(0, 10)} ${whole.slice(11, 16)} UTC`;
}

/** What a program or a stranger said, as it may be shown: on one line, and short. */
export function quoted(text: string, longest = 300): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, longest);
}

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

export function mebibytes(bytes: number): number {
  return Math.floor(bytes / mebibyte);
}

/** To a tenth. */
export function gibibytes(bytes: number): number {
  return Math.floor((bytes / gibibyte) * 10) / 10;
}
