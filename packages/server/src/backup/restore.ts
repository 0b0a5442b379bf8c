/**
 * Restoring: the whole file is checked before anything is touched; then the tables are made anew as they were when the
 * backup was made, filled, and brought up to date, in one transaction. The key ring gets the backup's keys before that,
 * so that a crash at any point leaves a server that can open its secrets.
 *
 * The server ends and starts again afterwards, as the installation that the backup is of.
 */
import { rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { BerthError } from '@berth/contract';
import type { Restored } from '@berth/contract';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { openTemporary } from '../data-folder.ts';
import { notify } from '../database/database.ts';
import type { Session } from '../database/database.ts';
import { knownMigrations, runMigrations } from '../database/migrate.ts';
import type { Services } from '../http/app.ts';
import { linesOpen } from '../secrets/key-ring.ts';
import { authorityPurpose } from '../secrets/sealed-columns.ts';
import { readBackup, writeAll } from './format.ts';
import type { BackupHeader, RowCounts } from './format.ts';
import {
  backedUpTables,
  countEnvironments,
  dropTables,
  insertJson,
  leaseAll,
  setSequences,
} from './tables.ts';

const rowsAtOnce = 200;
const mostTries = 5;
const deadlockDetected = '40P01';

interface Checked {
  header: BackupHeader;
  keyRing: string;
  rows: RowCounts;
}

/** @throws BerthError `bad_backup`, `in_use` */
export async function restore(
  services: Services,
  actor: Actor,
  upload: AsyncIterable<Buffer>,
  { replace }: { replace: boolean },
): Promise<Restored> {
  const { folder, lifecycle, keyRing } = services;
  const file = await openTemporary(folder);
  try {
    await writeAll(file, upload);
    const checked = await check(file);
    if (!replace) await mustBeEmpty(services.database);
    keyRing.add(checked.keyRing);
    const resume = await lifecycle.pauseReconciler();
    try {
      await putIn(services, actor, file, checked, replace);
    } catch (error) {
      await resume();
      throw error;
    }
    const { installation_id, version, made_at } = checked.header;
    return { installation_id, version, made_at, rows: checked.rows };
  } finally {
    await file.close();
  }
}

/** @throws BerthError `bad_backup` */
async function check(file: FileHandle): Promise<Checked> {
  let header: BackupHeader | undefined;
  let keyRing: string | undefined;
  let rows: RowCounts | undefined;
  let installation: string | undefined;
  for await (const part of readBackup(file)) {
    if (part.kind === 'header') {
      header = part.header;
      mustBeKnown(header);
    } else if (part.kind === 'key ring') keyRing = part.lines;
    else if (part.kind === 'table') mustBeOurs(part.table);
    else if (part.kind === 'row' && part.table === 'installation') installation = part.json;
    else if (part.kind === 'end') ({ rows } = part);
  }
  if (!header || keyRing === undefined || !rows)
    throw new BerthError('bad_backup', 'The backup is damaged: its beginning is missing.');
  mustOpen(keyRing, installation);
  return { header, keyRing, rows };
}

function mustBeOurs(table: string): void {
  if (!(backedUpTables as readonly string[]).includes(table))
    throw new BerthError('bad_backup', `The backup holds a table ${table}, which there is not.`);
}

/** The key ring must be that of the secrets: the authority's key stands for all of them. */
function mustOpen(keyRing: string, installation: string | undefined): void {
  if (installation === undefined) throw new BerthError('bad_backup', 'The backup holds no installation.');
  if (!linesOpen(keyRing, authorityKeyOf(installation), authorityPurpose))
    throw new BerthError('bad_backup', "The backup's key ring does not open its secrets.");
}

function authorityKeyOf(installation: string): string {
  try {
    const { authority_key: sealed } = JSON.parse(installation) as { authority_key?: unknown };
    if (typeof sealed === 'string') return sealed;
  } catch {
    // said below
  }
  throw new BerthError('bad_backup', 'The backup is damaged: its installation is not of its form.');
}

/** Migrations have an order, so a state of the tables that this program can make is a beginning of its list. */
function mustBeKnown({ migrations, version }: BackupHeader): void {
  const newer = migrations.filter((name) => !knownMigrations.includes(name));
  const isBeginning =
    migrations.length > 0 && migrations.every((name, index) => name === knownMigrations[index]);
  if (newer.length === 0 && isBeginning) return;
  throw new BerthError(
    'bad_backup',
    newer.length > 0
      ? `The backup was made by a newer Berth (${version}; it has ${newer.join(', ')}).`
      : 'The backup is of a state of the database that never was.',
    { cure: `Restore it with Berth ${version} or later.` },
  );
}

/** @throws BerthError `in_use` */
async function mustBeEmpty(session: Session): Promise<void> {
  const count = await countEnvironments(session);
  if (count === 0) return;
  throw new BerthError(
    'in_use',
    `There ${count === 1 ? 'is 1 environment' : `are ${count} environments`} here, which a restore would forget.`,
    { cure: 'Restore into an empty Berth, or say ?replace=true (berth restore --replace).' },
  );
}

async function putIn(
  services: Services,
  actor: Actor,
  file: FileHandle,
  checked: Checked,
  replace: boolean,
): Promise<void> {
  const { database, folder } = services;
  for (let tries = 1; ; tries += 1) {
    try {
      const passwordStays = await database.transaction().execute(async (transaction) => {
        if (!replace) await mustBeEmpty(transaction);
        const before = await adminsPasswordHash(transaction);
        await dropTables(transaction);
        await fill(transaction, file, checked.header.migrations);
        await leaseAll(transaction, folder.serverId);
        await audit(transaction, actor, {
          action: 'backup.restore',
          target: checked.header.installation_id,
          detail: { made_at: checked.header.made_at, version: checked.header.version, replace },
        });
        await notify(transaction, JSON.stringify({ restoredBy: folder.serverId }));
        return before === (await adminsPasswordHash(transaction));
      });
      // It says the first password of an admin who is no longer.
      if (!passwordStays) rmSync(folder.file('admin-password'), { force: true });
      return;
    } catch (error) {
      const { code = '', message } = error as { code?: string; message: string };
      if (code === deadlockDetected && tries < mostTries) continue;
      // SQLSTATE classes 22 and 23: data that do not fit; 42: rows for a table that is not there.
      if (error instanceof BerthError || !/^(22|23|42)[0-9A-Z]{3}$/.test(code)) throw error;
      throw new BerthError('bad_backup', `The backup's rows do not fit the tables: ${message}.`, {
        cause: error,
      });
    }
  }
}

async function fill(session: Session, file: FileHandle, migrations: string[]): Promise<void> {
  await runMigrations(session, migrations);
  let table = '';
  let waiting: string[] = [];
  const flush = async () => {
    if (waiting.length > 0) await insertJson(session, table, waiting);
    waiting = [];
  };
  for await (const part of readBackup(file)) {
    if (part.kind === 'row') {
      waiting.push(part.json);
      if (waiting.length >= rowsAtOnce) await flush();
      continue;
    }
    await flush();
    if (part.kind === 'table') ({ table } = part);
  }
  await setSequences(session);
  await runMigrations(
    session,
    knownMigrations.filter((name) => !migrations.includes(name)),
  );
}

async function adminsPasswordHash(session: Session): Promise<string | null | undefined> {
  const row = await session
    .selectFrom('accounts')
    .select('password_hash')
    .where('name', '=', 'admin')
    .executeTakeFirst();
  return row?.password_hash;
}
