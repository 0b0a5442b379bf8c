/** The last measurements of one environment, in as little memory as their numbers take. */

/** As the API calls them. Rates are a second's. */
export const usageColumns = [
  'cpu_cores',
  'memory_bytes',
  'gpu_share',
  'gpu_memory_bytes',
  'disk_bytes',
  'network_in_bytes',
  'network_out_bytes',
] as const;
type UsageColumn = (typeof usageColumns)[number];

/** null: not measured. */
export type UsageValues = Record<UsageColumn, number | null>;

/** `at`: milliseconds since the epoch. */
export type UsageSample = { at: number } & UsageValues;

export const nothingMeasured = Object.fromEntries(
  usageColumns.map((column) => [column, null]),
) as UsageValues;

const width = usageColumns.length + 1;

export class Samples {
  readonly #numbers: Float64Array;
  readonly #most: number;
  #count = 0;

  /** @param most how many are kept; the oldest go first */
  constructor(most: number) {
    this.#most = most;
    this.#numbers = new Float64Array(most * width);
  }

  add(sample: UsageSample): void {
    const place = (this.#count % this.#most) * width;
    const values = usageColumns.map((column) => sample[column] ?? NaN);
    this.#numbers.set([sample.at, ...values], place);
    this.#count += 1;
  }

  get last(): UsageSample | undefined {
    return this.#count === 0 ? undefined : this.#read(this.#count - 1);
  }

  /** First to last. */
  since(at: number): UsageSample[] {
    const kept = Math.min(this.#count, this.#most);
    return Array.from({ length: kept }, (_, index) => this.#read(this.#count - kept + index)).filter(
      (sample) => sample.at >= at,
    );
  }

  #read(index: number): UsageSample {
    const place = (index % this.#most) * width;
    const [at = 0, ...numbers] = this.#numbers.subarray(place, place + width);
    const values = usageColumns.map((column, each) => {
      const number = numbers[each] ?? NaN;
      return [column, Number.isNaN(number) ? null : number];
    });
    return { at, ...(Object.fromEntries(values) as UsageValues) };
  }
}
