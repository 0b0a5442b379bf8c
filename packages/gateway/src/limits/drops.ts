/**
 * Connections that were dropped before there was an attempt, for the audit log: one record a source, reason and some
 * seconds, with their number, so that a flood makes no flood of records. connection.ts adds, the recorder gets them.
 */
import type { Refusal, WayIn } from '@berth/contract';
import { newId } from '../id.ts';
import type { Recorder } from '../records/recorder.ts';

export interface DroppedConnection {
  reason: Extract<Refusal, 'banned' | 'flood' | 'not_allowed'>;
  source: string;
  sourcePort: number;
  way: WayIn;
  /** An environment's id; empty where nobody could tell. */
  target: string;
  customer: number | null;
  jumper: string | null;
}

const gatherMs = 5_000;
/** Different ones that are kept until they are recorded. */
const mostKept = 4096;

export class Drops {
  readonly #recorder: Recorder;
  readonly #kept = new Map<string, DroppedConnection & { count: number; at: string }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  add(dropped: DroppedConnection): void {
    const key = [dropped.reason, dropped.source, dropped.way, dropped.target].join(' ');
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      kept.count += 1;
      return;
    }
    if (this.#kept.size >= mostKept) this.flush();
    this.#kept.set(key, { ...dropped, count: 1, at: new Date().toISOString() });
    this.#timer ??= setTimeout(() => this.flush(), gatherMs);
  }

  /** Records what is kept. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const {
      reason,
      source,
      sourcePort,
      way,
      target,
      customer,
      jumper,
      count,
      at,
    } of this.#kept.values()) {
      this.#recorder.record({
        type: 'attempt',
        id: newId(),
        at,
        connection: null,
        way,
        target,
        jumper,
        user: '',
        source,
        source_port: sourcePort,
        client: '',
        method: null,
        accepted: false,
        reason,
        fingerprint: null,
        account: null,
        customer,
        count,
      });
    }
    this.#kept.clear();
  }
}
