/**
 * A backup's form: a gzip (RFC 1952) of JSON Lines, the same for both kinds of database.
 *
 *   {"berth_backup": 1, "version": ..., "migrations": [...], "installation_id": ..., "made_at": ...}
 *   {"key_ring": "..."}            opens every sealed value that follows
 *   {"table": "customers"}         then its rows
 *   {"row": {...}}
 *   {"end": {"rows": {"customers": 1, ...}, "sha256": "..."}}
 *
 * The hash is over every byte before the last line. The ten bytes of the gzip's own header, which nothing else covers,
 * are always the same, so that one changed byte anywhere is noticed.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { BerthError } from '@berth/contract';

export const backupFormat = 1;

export interface BackupHeader {
  berth_backup: number;
  version: string;
  migrations: string[];
  installation_id: string;
  made_at: string;
}

export type RowCounts = Record<string, number>;

export type Part =
  | { kind: 'header'; header: BackupHeader }
  | { kind: 'key ring'; lines: string }
  | { kind: 'table'; table: string }
  | { kind: 'row'; table: string; json: string }
  | { kind: 'end'; rows: RowCounts };

/** RFC 1952, 2.3: deflate, no flags, no time, no remark on the compression, unknown system. */
const gzipHeader = Buffer.from('1f8b08000000000000ff', 'hex');
const writeAtOnceCharacters = 64 * 1024;
const readAtOnceBytes = 64 * 1024;
const longestLineBytes = 64 * 1024 * 1024;
const rowStart = '{"row":';
const endStart = '{"end":';

/** Writes parts to the file and closes them with the counts and the hash. @returns the counts */
export async function writeBackup(file: FileHandle, parts: AsyncIterable<Part>): Promise<RowCounts> {
  const counts: RowCounts = {};
  const hash = createHash('sha256');
  async function* lines() {
    let waiting = '';
    for await (const part of parts) {
      if (part.kind === 'table') counts[part.table] = 0;
      if (part.kind === 'row') counts[part.table] = (counts[part.table] ?? 0) + 1;
      waiting += `${lineOf(part)}\n`;
      if (waiting.length < writeAtOnceCharacters) continue;
      hash.update(waiting);
      yield waiting;
      waiting = '';
    }
    hash.update(waiting);
    yield waiting;
    yield `${JSON.stringify({ end: { rows: counts, sha256: hash.digest('hex') } })}\n`;
  }
  let isFirst = true;
  const withOwnHeader = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (isFirst) chunk = Buffer.concat([gzipHeader, chunk.subarray(gzipHeader.length)]);
      isFirst = false;
      done(null, chunk);
    },
  });
  await pipeline(lines, createGzip(), withOwnHeader, (chunks: AsyncIterable<Buffer>) =>
    writeAll(file, chunks),
  );
  return counts;
}

/** Streams of a `FileHandle` keep it from being closed as long as they do not close it themselves. */
export async function writeAll(file: FileHandle, chunks: AsyncIterable<Buffer | string>): Promise<void> {
  for await (const chunk of chunks) await file.writeFile(chunk);
}

async function* readAll(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const { bytesRead, buffer } = await file.read(
      Buffer.alloc(readAtOnceBytes),
      0,
      readAtOnceBytes,
      position,
    );
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function lineOf(part: Part): string {
  switch (part.kind) {
    case 'header':
      return JSON.stringify(part.header);
    case 'key ring':
      return JSON.stringify({ key_ring: part.lines });
    case 'table':
      return JSON.stringify({ table: part.table });
    case 'row':
      return `${rowStart}${part.json}}`;
    case 'end':
      return '';
  }
}

/**
 * The parts of a backup as they come; the last is `end`, and only then all of it is known to be whole.
 *
 * @throws BerthError `bad_backup`
 */
export async function* readBackup(file: FileHandle): AsyncGenerator<Part> {
  const { size } = await file.stat();
  const start = Buffer.alloc(gzipHeader.length);
  await file.read(start, 0, start.length, 0);
  if (!start.subarray(0, 3).equals(gzipHeader.subarray(0, 3)))
    throw new BerthError('bad_backup', 'The file is not a backup of Berth: it is not a gzip file.');
  if (!start.equals(gzipHeader))
    throw new BerthError(
      'bad_backup',
      'The file is damaged, or was not compressed by Berth: its head is different.',
    );

  const hash = createHash('sha256');
  const counts: RowCounts = {};
  let table = '';
  let number = 0;
  let end: { rows: RowCounts; sha256: string } | undefined;
  const gunzip = createGunzip();
  for await (const line of linesOf(file, gunzip)) {
    number += 1;
    if (end) throw damaged(`line ${number} comes after its end`);
    if (line.startsWith(endStart)) {
      ({ end } = parsed(line, number) as { end: { rows: RowCounts; sha256: string } });
      continue;
    }
    hash.update(`${line}\n`);
    if (line.startsWith(rowStart)) {
      counts[table] = (counts[table] ?? 0) + 1;
      yield { kind: 'row', table, json: line.slice(rowStart.length, -1) };
      continue;
    }
    const value = parsed(line, number);
    if (number === 1) {
      yield { kind: 'header', header: headerFrom(value) };
    } else if (number === 2 && typeof value['key_ring'] === 'string') {
      yield { kind: 'key ring', lines: value['key_ring'] };
    } else if (number > 2 && typeof value['table'] === 'string' && /^[a-z_]{1,63}$/.test(value['table'])) {
      table = value['table'];
      counts[table] = 0;
      yield { kind: 'table', table };
    } else {
      throw damaged(`line ${number} is not of its form`);
    }
  }
  if (!end) throw damaged('its end is missing');
  if (end.sha256 !== hash.digest('hex')) throw damaged('what it holds is not what was written');
  if (JSON.stringify(end.rows) !== JSON.stringify(counts))
    throw damaged('it does not hold as many rows as it says');
  if (gunzip.bytesWritten !== size) throw damaged('something follows its end');
  yield { kind: 'end', rows: counts };
}

async function* linesOf(file: FileHandle, gunzip: ReturnType<typeof createGunzip>): AsyncGenerator<string> {
  const source = Readable.from(readAll(file));
  source.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        const line = Buffer.concat([rest, chunk.subarray(from, at)]).toString('utf8');
        rest = Buffer.alloc(0);
        from = at + 1;
        yield line;
      }
      rest = Buffer.concat([rest, chunk.subarray(from)]);
      if (rest.length > longestLineBytes) throw damaged('a line of it is far too long');
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw damaged('it is cut off');
    if (code.startsWith('Z_')) throw damaged('it cannot be decompressed');
    throw error;
  } finally {
    source.destroy();
  }
  if (rest.length > 0) throw damaged('its last line is cut off');
}

function parsed(line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw damaged(`line ${number} is not of its form`);
}

function headerFrom(value: Record<string, unknown>): BackupHeader {
  const { berth_backup, version, migrations, installation_id, made_at } = value;
  if (typeof berth_backup !== 'number')
    throw new BerthError('bad_backup', 'The file is not a backup of Berth: its first line is another.');
  if (berth_backup !== backupFormat) {
    throw new BerthError(
      'bad_backup',
      `The backup has the format ${berth_backup}; this Berth reads the format ${backupFormat}.`,
      { cure: `Restore it with the version of Berth that made it (${String(version)}) or a later one.` },
    );
  }
  const isHeader =
    [version, installation_id, made_at].every((each) => typeof each === 'string') &&
    Array.isArray(migrations) &&
    migrations.every((each) => typeof each === 'string');
  if (!isHeader) throw damaged('its first line is not of its form');
  return value as unknown as BackupHeader;
}

function damaged(what: string): BerthError {
  return new BerthError('bad_backup', `The backup is damaged: ${what}.`);
}
