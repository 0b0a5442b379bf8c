/**
 * Backups: every row and the key ring, as the database was at one moment, while the server goes on working.
 *
 * The file opens every secret of the installation. It is written to the data folder first and sent from there, so that
 * a slow client holds no transaction open: on the embedded database, which has one session, requests wait only while
 * the rows are read.
 */
import type { FileHandle } from 'node:fs/promises';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { openTemporary } from '../data-folder.ts';
import type { Session } from '../database/database.ts';
import { knownMigrations } from '../database/migrate.ts';
import type { Services } from '../http/app.ts';
import { backupFormat, writeBackup } from './format.ts';
import type { Part, RowCounts } from './format.ts';
import { backedUpTables, rowsAsJson } from './tables.ts';

export interface Backup {
  /** Without a name in any folder; the caller closes it. */
  file: FileHandle;
  sizeBytes: number;
  rows: RowCounts;
  madeAt: Date;
}

export async function makeBackup(services: Services, actor: Actor): Promise<Backup> {
  const { database, folder } = services;
  const madeAt = new Date();
  await audit(database, actor, { action: 'backup.make' });
  const file = await openTemporary(folder);
  try {
    const rows = await database
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute((snapshot) => writeBackup(file, partsOf(snapshot, services, madeAt)));
    const { size } = await file.stat();
    return { file, sizeBytes: size, rows, madeAt };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* partsOf(
  snapshot: Session,
  { keyRing, platform }: Services,
  madeAt: Date,
): AsyncGenerator<Part> {
  // Whether the snapshot was taken before or after a renewal, the keys before and after open all that is in it.
  const keysBefore = keyRing.lines;
  const { id } = await snapshot.selectFrom('installation').select('id').executeTakeFirstOrThrow();
  const keys = new Set([...keyRing.lines.split('\n'), ...keysBefore.split('\n')]);
  const header = {
    berth_backup: backupFormat,
    version: platform.version,
    migrations: [...knownMigrations],
    installation_id: id,
    made_at: madeAt.toISOString(),
  };
  yield { kind: 'header', header };
  yield { kind: 'key ring', lines: [...keys].join('\n') };
  for (const table of backedUpTables) {
    yield { kind: 'table', table };
    for await (const rows of rowsAsJson(snapshot, table)) {
      for (const json of rows) yield { kind: 'row', table, json };
    }
  }
}
