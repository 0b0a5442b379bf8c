/** Numbers, sizes and times in the language that is shown. */
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
const steps: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

const lengths: [unit: string, seconds: number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

export type Format = ReturnType<typeof formatIn>;

export function useFormat(): Format {
  const { i18n } = useTranslation();
  return useMemo(() => formatIn(i18n.language), [i18n.language]);
}

export function formatIn(language: string) {
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' });
  const day = new Intl.DateTimeFormat(language, { dateStyle: 'medium' });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium', hourCycle: 'h23' });
  const hourMinute = new Intl.DateTimeFormat(language, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const list = new Intl.ListFormat(language);
  const inUnit = (value: number, unit: string, digits: number) =>
    new Intl.NumberFormat(language, {
      style: 'unit',
      unit,
      unitDisplay: 'short',
      maximumFractionDigits: digits,
    }).format(value);
  return {
    number: (value: number) => number.format(value),
    percent: (share: number) =>
      new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 }).format(share),
    /** Of 1024, as the machine counts them. */
    bytes(value: number) {
      const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
      return inUnit(value / 1024 ** power, units[power] ?? 'byte', power === 0 ? 0 : 1);
    },
    perSecond(value: number) {
      const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
      return inUnit(value / 1024 ** power, `${units[power] ?? 'byte'}-per-second`, power === 0 ? 0 : 1);
    },
    seconds: (value: number) => inUnit(value, 'second', value < 10 ? 1 : 0),
    /** In its two largest units: "2 hr 5 min". */
    duration(seconds: number) {
      const whole = Math.max(0, Math.round(seconds));
      const first = lengths.findIndex(([, length]) => whole >= length);
      const [large, small] = lengths.slice(first < 0 ? lengths.length - 1 : first);
      if (large === undefined) return '';
      const count = Math.floor(whole / large[1]);
      const rest = small === undefined ? 0 : Math.floor((whole % large[1]) / small[1]);
      const parts = [inUnit(count, large[0], 0)];
      if (small !== undefined && rest > 0) parts.push(inUnit(rest, small[0], 0));
      return parts.join(' ');
    },
    moment: (at: string | Date) => moment.format(new Date(at)),
    day: (at: string | Date) => day.format(new Date(at)),
    clock: (at: string | Date) => clock.format(new Date(at)),
    hourMinute: (at: number) => hourMinute.format(new Date(at)),
    list: (values: string[]) => list.format(values),
    /** "3 minutes ago", "in 2 days". */
    ago(at: string | Date, now: number = Date.now()) {
      const seconds = (new Date(at).getTime() - now) / 1000;
      const [unit, length] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1];
      return relative.format(Math.trunc(seconds / length), unit);
    },
  };
}
