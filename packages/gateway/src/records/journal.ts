/**
 * The journal of one worker: a file of records that the server has not acknowledged, and of each live connection the
 * last that was recorded, so that whoever finds the journal of a dead worker can end its connections. Written before
 * anything is sent; what one write(2) took survives the process.
 *
 *   spool/ID.journal   one JSON document a line: a record, or {"acknowledged": OFFSET} for all lines up to there
 *   spool/ID.lock      held with flock(2) by the worker, or by whoever takes over what it left
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ConnectionRecord, GatewayRecord, GatewayRecordLine } from '@berth/contract';
import { takeLock } from './lock.ts';

const ending = '.journal';
const { O_CREAT, O_NOFOLLOW, O_RDWR, O_TRUNC } = constants;
/** Smaller files are not worth a compaction. */
const smallBytes = 256 * 1024;
const newline = 0x0a;
const marker = '{"acknowledged":';

/** Ids of the workers whose journals there are. */
export function journalsIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => (name.endsWith(ending) ? name.slice(0, -ending.length) : []));
}

export class Journal {
  readonly id: string;
  readonly #folder: string;
  readonly #lock: number;
  readonly #bytes: number;
  #file: number;
  #size = 0;
  /** All before this offset is acknowledged. */
  #acknowledged = 0;
  #compactAt = smallBytes;
  /** Whether offsets are in somebody's hands, so that the file must stay as it is. */
  #isSending = false;
  /** The last record of each connection that has not ended, and the worker's own. */
  readonly live = new Map<string, ConnectionRecord>();
  gateway: GatewayRecord | null = null;

  private constructor(folder: string, id: string, lock: number, bytes: number) {
    this.id = id;
    this.#folder = folder;
    this.#lock = lock;
    this.#bytes = bytes;
    this.#file = openSync(this.#path(ending), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    this.#readAll();
  }

  /**
   * Opens a journal, the worker's own or one that was left.
   *
   * @param bytes from which size on records of connections that newer ones have replaced are left out
   * @returns null when a living process has it
   */
  static async open(folder: string, id: string, bytes = 8 * 1024 * 1024): Promise<Journal | null> {
    const lock = await takeLock(join(folder, `${id}.lock`));
    if (lock === null) return null;
    try {
      return new Journal(folder, id, lock, bytes);
    } catch (error) {
      closeSync(lock);
      throw error;
    }
  }

  get hasUnsent(): boolean {
    return this.unsentBytes > 0;
  }

  get unsentBytes(): number {
    return this.#size - this.#acknowledged;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  get lastWrittenAt(): Date {
    return fstatSync(this.#file).mtime;
  }

  /** Writes records, all or none. @throws the system's error, as when the disk is full; then nothing was kept */
  append(records: readonly GatewayRecordLine[]): void {
    this.#write(textOf(records));
    for (const record of records) this.#remember(record);
    this.#compactIfDue();
  }

  /**
   * The next records to send, as they stand in the file, with the offset to acknowledge; undefined when there is none.
   * `acknowledge` or `release` must follow.
   *
   * @param limit how many bytes are read at once
   */
  next(limit = 256 * 1024): { lines: string[]; end: number } | undefined {
    while (this.hasUnsent) {
      const chunk = this.#read(this.#acknowledged, Math.min(limit, this.#size - this.#acknowledged));
      const end = chunk.lastIndexOf(newline) + 1;
      // A line that is longer.
      if (end === 0) {
        limit *= 2;
        continue;
      }
      const lines = linesIn(chunk.subarray(0, end)).filter((line) => !line.startsWith(marker));
      if (lines.length > 0) {
        this.#isSending = true;
        return { lines, end: this.#acknowledged + end };
      }
      this.#acknowledged += end;
    }
    return undefined;
  }

  /** They did not arrive. */
  release(): void {
    this.#isSending = false;
    this.#compactIfDue();
  }

  acknowledge(end: number): void {
    this.#isSending = false;
    this.#acknowledged = end;
    try {
      this.#write(`${marker}${end}}\n`);
    } catch {
      // The disk is full: after a crash these records come twice, which does no harm.
    }
    this.#compactIfDue();
  }

  /** Removes the journal; all in it was acknowledged. */
  remove(): void {
    rmSync(this.#path(ending), { force: true });
    rmSync(this.#path('.new'), { force: true });
    rmSync(this.#path('.lock'), { force: true });
    this.close();
  }

  /** Leaves the journal to whoever comes next. */
  close(): void {
    closeSync(this.#file);
    closeSync(this.#lock);
  }

  #path(suffix: string): string {
    return join(this.#folder, `${this.id}${suffix}`);
  }

  #remember(record: GatewayRecordLine): void {
    if (record.type === 'gateway') this.gateway = record.ended ? null : record;
    if (record.type !== 'connection') return;
    if (record.ended_at === null) this.live.set(record.id, record);
    else this.live.delete(record.id);
  }

  #readAll(): void {
    const content = this.#read(0, fstatSync(this.#file).size);
    this.#size = content.lastIndexOf(newline) + 1;
    ftruncateSync(this.#file, this.#size);
    for (const document of documentsIn(content)) {
      if (isRecord(document)) this.#remember(document);
      else if (typeof document === 'object' && document !== null && 'acknowledged' in document)
        this.#acknowledged = Number(document.acknowledged);
    }
  }

  #read(from: number, bytes: number): Buffer {
    const into = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const read = readSync(this.#file, into, filled, bytes - filled, from + filled);
      if (read === 0) break;
      filled += read;
    }
    return into.subarray(0, filled);
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      this.#size += writeWhole(this.#file, bytes, this.#size);
    } catch (error) {
      // What did go in must not become half a line.
      ftruncateSync(this.#file, this.#size);
      throw error;
    }
  }

  #compactIfDue(): void {
    if (this.#size > this.#compactAt && !this.#isSending) this.#compact();
  }

  /**
   * Writes the file anew: of live connections the last record, then what is not acknowledged. Where that is more than
   * the bound, records of connections which have newer ones are left out; attempts and ends never are.
   */
  #compact(): void {
    const known = [...(this.gateway === null ? [] : [this.gateway]), ...this.live.values()];
    const head = Buffer.from(textOf(known));
    let unsent = this.#read(this.#acknowledged, this.#size - this.#acknowledged);
    if (unsent.length > this.#bytes) unsent = withoutReplaced(unsent);
    // The last marker counts; those among the records tell of the file as it was.
    const content = Buffer.concat([head, unsent, Buffer.from(`${marker}${head.length}}\n`)]);
    const file = openSync(this.#path('.new'), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    try {
      writeWhole(file, content, 0);
      renameSync(this.#path('.new'), this.#path(ending));
    } catch {
      // The disk is full: the file as it is still holds everything.
      closeSync(file);
      rmSync(this.#path('.new'), { force: true });
      this.#compactAt = this.#size * 2;
      return;
    }
    closeSync(this.#file);
    this.#file = file;
    this.#size = content.length;
    this.#acknowledged = head.length;
    // Writing it anew must not become the main work, however much there is.
    this.#compactAt = Math.max(smallBytes, content.length * 2);
  }
}

function writeWhole(file: number, bytes: Buffer, position: number): number {
  let written = 0;
  while (written < bytes.length)
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
  return written;
}

function textOf(records: readonly GatewayRecordLine[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

function linesIn(content: Buffer): string[] {
  return content
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
}

/** Lines that are no documents, as after a power cut, are left out. */
function documentsIn(content: Buffer): unknown[] {
  return linesIn(content).flatMap((line) => {
    try {
      return [JSON.parse(line) as unknown];
    } catch {
      return [];
    }
  });
}

function isRecord(document: unknown): document is GatewayRecordLine {
  return typeof document === 'object' && document !== null && 'type' in document;
}

function withoutReplaced(content: Buffer): Buffer {
  const records = documentsIn(content).filter(isRecord);
  const last = new Map<string, GatewayRecordLine>();
  for (const record of records) if (record.type === 'connection') last.set(record.id, record);
  const kept = records.filter((record) => record.type !== 'connection' || last.get(record.id) === record);
  return Buffer.from(textOf(kept));
}
