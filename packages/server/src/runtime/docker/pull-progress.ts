/**
 * How far the pull of an image is, from what the engine says of its layers.
 *
 * The engine says how large a layer is only once it begins to fetch it; until then it counts as large as the others are on
 * the mean. What is fetched still has to be unpacked, which takes about half as long again.
 */

/** One line of what the engine says while it pulls. */
export interface PullLine {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
}

interface Layer {
  /** null: not known. */
  bytes: number | null;
  /** 0 to 1. */
  fetched: number;
  unpacked: number;
}

const fetchingPart = 2 / 3;

export class PullProgress {
  readonly #layers = new Map<string, Layer>();
  #percent = 0;

  /** @returns whole percents, which never go back; 100 only when all that is known of is done */
  take({ id, status = '', progressDetail = {} }: PullLine): number {
    if (id === undefined || !layerStates.test(status)) return this.#percent;
    const layer = this.#layers.get(id) ?? { bytes: null, fetched: 0, unpacked: 0 };
    this.#layers.set(id, layer);
    const { current = 0, total = 0 } = progressDetail;
    const part = total > 0 ? Math.min(current / total, 1) : 0;
    if (total > 0) layer.bytes ??= total;
    if (status === 'Downloading') layer.fetched = part;
    else if (/^(Verifying|Download complete)/.test(status)) layer.fetched = 1;
    else if (status === 'Extracting') Object.assign(layer, { fetched: 1, unpacked: part });
    else if (status === 'Pull complete') Object.assign(layer, { fetched: 1, unpacked: 1 });
    // One that was there already has nothing to be done.
    else if (status === 'Already exists') this.#layers.delete(id);
    this.#percent = Math.max(this.#percent, this.#now());
    return this.#percent;
  }

  #now(): number {
    const layers = [...this.#layers.values()];
    const known = layers.flatMap(({ bytes }) => bytes ?? []);
    const mean = known.length === 0 ? 1 : known.reduce((sum, bytes) => sum + bytes, 0) / known.length;
    let all = 0;
    let done = 0;
    for (const { bytes, fetched, unpacked } of layers) {
      all += bytes ?? mean;
      done += (bytes ?? mean) * (fetchingPart * fetched + (1 - fetchingPart) * unpacked);
    }
    return all === 0 ? 0 : Math.floor((done / all) * 100 + 1e-9);
  }
}

/** Other lines are of the image as a whole, whose id is its tag. */
const layerStates =
  /^(Pulling fs layer|Waiting|Downloading|Verifying Checksum|Download complete|Extracting|Pull complete|Already exists)$/;
