/** Puts samples together to minutes: of what flows the mean, of what is held the most. */
import { usageColumns } from './samples.ts';
import type { UsageSample, UsageValues } from './samples.ts';

export const minuteMs = 60_000;

/** `at`: the minute's beginning. */
export type UsageMinute = { envId: string; at: number } & UsageValues;

/** What is held, and not used by the second. */
const held: readonly (keyof UsageValues)[] = ['memory_bytes', 'gpu_memory_bytes', 'disk_bytes'];

export class Minutes {
  readonly #begun = new Map<string, { at: number; samples: UsageSample[] }>();

  /** @returns the minute that is over with this sample, if one is */
  add(envId: string, sample: UsageSample): UsageMinute | undefined {
    const at = Math.floor(sample.at / minuteMs) * minuteMs;
    const begun = this.#begun.get(envId);
    if (begun?.at === at) {
      begun.samples.push(sample);
      return undefined;
    }
    this.#begun.set(envId, { at, samples: [sample] });
    return begun && summed(envId, begun);
  }

  /** Those that began before. They are over. */
  take(before: number): UsageMinute[] {
    const over = [...this.#begun].filter(([, { at }]) => at < before);
    return over.map(([envId, begun]) => {
      this.#begun.delete(envId);
      return summed(envId, begun);
    });
  }
}

function summed(envId: string, { at, samples }: { at: number; samples: UsageSample[] }): UsageMinute {
  const values = usageColumns.map((column) => {
    const measured = samples.map((sample) => sample[column]).filter((value) => value !== null);
    if (measured.length === 0) return [column, null];
    const mean = measured.reduce((sum, value) => sum + value, 0) / measured.length;
    return [column, held.includes(column) ? Math.max(...measured) : mean];
  });
  return { envId, at, ...(Object.fromEntries(values) as UsageValues) };
}
