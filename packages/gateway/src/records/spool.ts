/**
 * What a worker owes its server: records go into the journal first and to the server in batches; what dead workers left
 * in their journals is brought along. A full disk keeps them in memory as long as they fit, and stops nobody.
 */
import { hostname } from 'node:os';
import type { ConnectionRecord, GatewayRecord, GatewayRecordLine } from '@berth/contract';
import { Journal, journalsIn } from './journal.ts';
import type { Delivery } from './delivery.ts';
import type { Recorder } from './recorder.ts';

/** How long records wait for others. */
const batchMs = 250;
const retryMs = { first: 250, longest: 2000 };
/** How often the numbers of live connections are written down while the server is away. */
const awayWriteMs = 10_000;
const gatewayMs = 5000;
/** How often is looked for journals of the dead, besides when a worker is known to have ended. */
const orphansMs = 30_000;
/** Records in memory while the disk is full. */
const mostHeld = 20_000;

export interface SpoolParts {
  folder: string;
  /** The worker's id. */
  gateway: string;
  version: string;
  delivery: Pick<Delivery, 'deliver'>;
  log(line: string): void;
  /** For the gateway record. */
  numbers(): { connections: number; draining: boolean; metrics: Record<string, number> };
}

export class Spool implements Recorder {
  readonly #parts: SpoolParts;
  readonly #journal: Journal;
  readonly #startedAt = new Date().toISOString();
  /** Connections whose start was recorded, and whose end was not. */
  readonly #live = new Set<string>();
  /** Newest numbers of live connections that the journal does not have yet. */
  readonly #numbers = new Map<string, ConnectionRecord>();
  /** What the disk did not take. */
  #held: GatewayRecordLine[] = [];
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<boolean> | null = null;
  #failures = 0;
  #wroteNumbersMs = 0;
  #gatewayToldMs = 0;
  #isStopped = false;
  #adopting: Promise<void> | null = null;
  readonly #clock: NodeJS.Timeout;
  readonly #orphanClock: NodeJS.Timeout;

  private constructor(parts: SpoolParts, journal: Journal) {
    this.#parts = parts;
    this.#journal = journal;
    this.record(this.#gatewayRecord(false));
    this.#clock = setInterval(() => this.#schedule(0), gatewayMs);
    this.#orphanClock = setInterval(() => this.adoptOrphans(), orphansMs);
    this.adoptOrphans();
  }

  /** @throws the system's error: the spool's folder cannot be used */
  static async open(parts: SpoolParts): Promise<Spool> {
    const journal = await Journal.open(parts.folder, parts.gateway);
    if (journal === null) throw new Error(`the journal of worker ${parts.gateway} is somebody else's`);
    return new Spool(parts, journal);
  }

  record(line: GatewayRecordLine): void {
    if (line.type === 'connection' && line.ended_at === null && this.#live.has(line.id)) {
      this.#numbers.set(line.id, line);
    } else {
      this.#write([line]);
      if (line.type === 'connection') {
        this.#numbers.delete(line.id);
        if (line.ended_at === null) this.#live.add(line.id);
        else this.#live.delete(line.id);
      }
    }
    this.#schedule(batchMs);
  }

  async flush(): Promise<void> {
    if (this.#round !== null) await this.#round;
    await this.#deliverAll();
  }

  /** The last of this worker: tells that it ends, and removes its journal when the server has everything. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    clearInterval(this.#clock);
    clearInterval(this.#orphanClock);
    this.record(this.#gatewayRecord(true));
    await this.flush();
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#adopting;
    if (this.#journal.hasUnsent || this.#held.length > 0) this.#journal.close();
    else this.#journal.remove();
  }

  /** Takes over the journals of workers that live no more. */
  adoptOrphans(): void {
    if (this.#isStopped) return;
    this.#adopting ??= this.#adopt()
      .catch((error: Error) =>
        this.#parts.log(`a journal that was left cannot be taken over: ${error.message}`),
      )
      .finally(() => (this.#adopting = null));
  }

  #schedule(inMs: number): void {
    if (this.#isStopped || this.#timer !== null || this.#round !== null) return;
    const waitMs =
      this.#failures === 0 ? inMs : Math.min(retryMs.longest, retryMs.first * 2 ** (this.#failures - 1));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#deliverAll();
    }, waitMs);
  }

  /** One round: what is due goes to the server. @returns whether the server has it all */
  #deliverAll(): Promise<boolean> {
    this.#round ??= this.#deliverRound()
      .then(
        () => {
          this.#failures = 0;
          return true;
        },
        () => {
          this.#failures += 1;
          return false;
        },
      )
      .finally(() => {
        this.#round = null;
        if (this.#failures > 0 || this.#numbers.size > 0 || this.#journal.hasUnsent) this.#schedule(batchMs);
      });
    return this.#round;
  }

  async #deliverRound(): Promise<void> {
    const now = Date.now();
    const isAway = this.#failures > 0;
    if (this.#held.length > 0) this.#write([]);
    if (!isAway || now - this.#wroteNumbersMs >= awayWriteMs) {
      this.#wroteNumbersMs = now;
      const numbers = [...this.#numbers.values()];
      if (numbers.length > 0 && this.#held.length === 0 && this.#tryAppend(numbers)) this.#numbers.clear();
    }
    if (now - this.#gatewayToldMs >= gatewayMs - batchMs) {
      await this.#parts.delivery.deliver([JSON.stringify(this.#gatewayRecord(false))]);
      this.#gatewayToldMs = now;
    }
    await this.#deliverFrom(this.#journal);
    while (this.#held.length > 0) {
      const held = this.#held.slice(0, 1000);
      await this.#parts.delivery.deliver(held.map((line) => JSON.stringify(line)));
      this.#held.splice(0, held.length);
    }
  }

  async #deliverFrom(journal: Journal): Promise<void> {
    for (let batch = journal.next(); batch !== undefined; batch = journal.next()) {
      try {
        await this.#parts.delivery.deliver(batch.lines);
      } catch (error) {
        journal.release();
        throw error;
      }
      journal.acknowledge(batch.end);
    }
  }

  /** Into the journal, behind what the disk did not take before. */
  #write(lines: GatewayRecordLine[]): void {
    const all = [...this.#held, ...lines];
    if (this.#tryAppend(all)) {
      if (this.#held.length > 0) this.#parts.log('the disk takes records again');
      this.#held = [];
      return;
    }
    this.#held = all;
    if (this.#held.length <= mostHeld) return;
    const starts = this.#held.filter((line) => line.type !== 'connection' || line.ended_at !== null);
    const kept = starts.slice(-mostHeld);
    this.#lost += starts.length - kept.length;
    this.#held = kept;
    if (this.#lost > 0) this.#parts.log(`${this.#lost} records are lost, since disk and memory are full`);
  }

  #tryAppend(lines: GatewayRecordLine[]): boolean {
    try {
      this.#journal.append(lines);
      return true;
    } catch (error) {
      if (this.#held.length === 0)
        this.#parts.log(`records stay in memory, since they cannot be written: ${(error as Error).message}`);
      return false;
    }
  }

  #gatewayRecord(ended: boolean): GatewayRecord {
    const numbers = this.#parts.numbers();
    return {
      type: 'gateway',
      id: this.#parts.gateway,
      host: hostname().slice(0, 255),
      version: this.#parts.version,
      started_at: this.#startedAt,
      ...numbers,
      metrics: { ...numbers.metrics, berth_gateway_unsent_bytes: this.#journal.unsentBytes },
      ended,
    };
  }

  async #adopt(): Promise<void> {
    for (const id of journalsIn(this.#parts.folder)) {
      if (id === this.#parts.gateway) continue;
      const journal = await Journal.open(this.#parts.folder, id);
      if (journal === null) continue;
      try {
        finish(journal);
        await this.#deliverFrom(journal);
      } catch (error) {
        // The server is away: somebody comes again.
        journal.close();
        throw error;
      }
      journal.remove();
    }
  }
}

/** Writes the ends that the worker could not: of its connections, with the last numbers known, and its own. */
function finish(journal: Journal): void {
  const ended_at = journal.lastWrittenAt.toISOString();
  const over = { open_channels: 0, ended_at, end_reason: 'gateway ended' };
  const ends: ConnectionRecord[] = [];
  for (const record of journal.live.values()) ends.push({ ...record, ...over });
  const { gateway } = journal;
  const last = gateway === null ? [] : [{ ...gateway, connections: 0, draining: false, ended: true }];
  if (ends.length + last.length > 0) journal.append([...ends, ...last]);
}
