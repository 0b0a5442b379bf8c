// The payloads of a session, as both sides sent them after the key exchange, in the order in which they arrived at a
// gateway: what the fuzzers start from. A file is a row of entries: who sent it (1 byte: 0 client, 1 upstream), the
// length (4 bytes) and the payload. record.ts makes them from stock clients and servers; a sequence that once found a
// fault is kept beside them.

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Reader, Writer } from '../wire.ts';
import type { Side } from '../relay/relay-channel.ts';

export interface Entry {
  readonly from: Side;
  readonly payload: Buffer;
}

export interface RecordedSession {
  readonly name: string;
  readonly entries: readonly Entry[];
}

const folder = join(import.meta.dirname, 'corpus');

export function readCorpus(): RecordedSession[] {
  return globSync('*.session', { cwd: folder })
    .sort()
    .map((file) => ({ name: basename(file, '.session'), entries: parse(readFileSync(join(folder, file))) }));
}

/** Returns the file's path. */
export function writeSession({ name, entries }: RecordedSession): string {
  const writer = new Writer();
  for (const { from, payload } of entries) writer.byte(from === 'client' ? 0 : 1).string(payload);
  const file = join(folder, `${name}.session`);
  writeFileSync(file, writer.toBuffer());
  return file;
}

function parse(bytes: Buffer): Entry[] {
  const reader = new Reader(bytes);
  const entries: Entry[] = [];
  while (reader.remaining > 0) {
    const from = reader.byte('side') === 0 ? 'client' : 'upstream';
    entries.push({ from, payload: Buffer.from(reader.string('payload')) });
  }
  return entries;
}
