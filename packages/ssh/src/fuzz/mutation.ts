// Changes to payloads and to their order, all from one seed, so that a run can be had again.

import type { Entry, RecordedSession } from './session-file.ts';

/** Mulberry32: small, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to `bound` - 1. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let word = this.#state;
    word = Math.imul(word ^ (word >>> 15), word | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  of<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError('nothing to choose from');
    return choice;
  }
}

const bytes = [0, 1, 2, 0x0a, 0x2c, 0x7f, 0x80, 0xfe, 0xff];
const words = [0, 1, 2, 3, 255, 256, 32_767, 32_768, 35_000, 2 ** 18, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

type Change = (payload: Buffer, random: Random, corpus: readonly Buffer[]) => Buffer;

const changes: readonly Change[] = [
  function flipBit(payload, random) {
    const at = random.below(payload.length);
    payload[at] = (payload[at] ?? 0) ^ (1 << random.below(8));
    return payload;
  },
  function setByte(payload, random) {
    payload[random.below(payload.length)] = random.of(bytes);
    return payload;
  },
  function setWord(payload, random) {
    if (payload.length < 5) return payload;
    payload.writeUInt32BE(random.of(words), 1 + random.below(payload.length - 4));
    return payload;
  },
  function nudgeWord(payload, random) {
    if (payload.length < 5) return payload;
    const at = 1 + random.below(payload.length - 4);
    payload.writeUInt32BE((payload.readUInt32BE(at) + random.of([-1, 1, 4, -4])) >>> 0, at);
    return payload;
  },
  function cut(payload, random) {
    return payload.subarray(0, 1 + random.below(payload.length));
  },
  function lengthen(payload, random) {
    return Buffer.concat([payload, Buffer.alloc(random.of([1, 4, 100, 30_000]), random.of(bytes))]).subarray(
      0,
      32_900,
    );
  },
  function repeatPart(payload, random) {
    const start = random.below(payload.length);
    const part = payload.subarray(start, start + 1 + random.below(64));
    return Buffer.concat([payload.subarray(0, start), part, payload.subarray(start)]).subarray(0, 32_900);
  },
  function removePart(payload, random) {
    const start = 1 + random.below(payload.length);
    return Buffer.concat([payload.subarray(0, start), payload.subarray(start + 1 + random.below(16))]);
  },
  function splice(payload, random, corpus) {
    const other = random.of(corpus);
    return Buffer.concat([
      payload.subarray(0, 1 + random.below(payload.length)),
      other.subarray(random.below(other.length)),
    ]).subarray(0, 32_900);
  },
  function renumber(payload, random) {
    payload[0] = random.of([random.below(256), 5, 50, 61, 80, 90, 91, 93, 94, 95, 96, 97, 98, 99]);
    return payload;
  },
];

export function mutate(original: Buffer, random: Random, corpus: readonly Buffer[]): Buffer {
  let payload: Buffer = Buffer.from(original);
  const count = 1 + random.below(4);
  for (let index = 0; index < count; index += 1) payload = random.of(changes)(payload, random, corpus);
  return payload;
}

/** A session in which some payloads are changed, left out, said twice, swapped or taken from elsewhere. */
export function mutateSession(
  { entries }: RecordedSession,
  random: Random,
  corpus: readonly Buffer[],
): { entries: Entry[]; mutated: number } {
  const result: Entry[] = [];
  let mutated = 0;
  // One in two sessions gets far; the others are mostly nonsense.
  const rate = random.of([5, 20]);
  for (const entry of entries) {
    if (random.below(rate) > 0) {
      result.push(entry);
      continue;
    }
    mutated += 1;
    const { from } = entry;
    switch (random.below(8)) {
      case 0:
        break;
      case 1:
        result.push(entry, entry);
        break;
      case 2: {
        const before = result.pop();
        result.push(entry, ...(before === undefined ? [] : [before]));
        break;
      }
      case 3:
        result.push(entry, { from, payload: random.of(corpus) });
        break;
      default:
        result.push({ from, payload: mutate(entry.payload, random, corpus) });
    }
  }
  return { entries: result, mutated };
}
