/** Data sets: which folders and volumes are offered, to whom, and whether they can be written to. */
import { realpathSync } from 'node:fs';
import { BerthError } from '@berth/contract';
import type { AddDataset, Dataset, UpdateDataset } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { mustBeCustomers, shownCustomers } from '../customers/named.ts';
import type { Database, Session } from '../database/database.ts';
import { mustBeUnused } from '../environments/uses.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { RuntimeError, datasetPath } from '../runtime/runtime.ts';
import type { Settings } from '../settings.ts';
import { isWithin, mustBeAllowedFolder, mustBePlainPath } from './folders.ts';
import {
  deleteDataset,
  findDataset,
  insertDataset,
  listDatasets,
  lockDataset,
  lockFolders,
  mountedByAnother,
  updateDataset,
} from './table.ts';
import type { DatasetWithUse } from './table.ts';

export async function datasetsOf(
  database: Database,
  principal: Principal,
  { limit = 100, cursor }: { limit?: number; cursor?: string },
): Promise<Page<Dataset>> {
  const visibleTo = visibleCustomer(principal);
  const rows = await listDatasets(database, {
    visibleTo,
    after: readCursor(cursor, ['string'])?.[0] as string | undefined,
    limit: limit + 1,
  });
  return pageOf(
    rows,
    limit,
    ({ name }) => [name],
    (row) => presentDataset(row, visibleTo),
  );
}

/** @throws BerthError `not_found` */
export async function datasetOf(session: Session, principal: Principal, name: string): Promise<Dataset> {
  const visibleTo = visibleCustomer(principal);
  const row = await findDataset(session, name, visibleTo);
  if (!row) throw noSuchDataset(name);
  return presentDataset(row, visibleTo);
}

/** @throws BerthError `bad_request`, `unknown_reference`, `name_taken`, `in_use`, `runtime_unavailable` */
export async function addDataset(
  { database, runtime, settings }: Pick<Services, 'database' | 'runtime' | 'settings'>,
  actor: Actor,
  input: AddDataset,
): Promise<Dataset> {
  const { name, kind, read_only = true, description = '', customers = null } = input;
  if (kind === 'folder') mustBeOfferable(input.source, settings);
  else mustBeVolumeName(input.source);
  const source = await runtime.findDataset({ name, kind, source: input.source }).catch(asBadSource);
  // What a symbolic link leads to is as little the host's or Berth's.
  if (kind === 'folder') mustBeOfferable(source, settings);

  return database.transaction().execute(async (transaction) => {
    await mustBeCustomers(transaction, customers);
    if (kind === 'folder') await mustNotMeet(transaction, { name, source, read_only });
    const row = { name, kind, source, read_only, description, customers };
    if (!(await insertDataset(transaction, row))) {
      throw new BerthError('name_taken', `name: there is a data set ${JSON.stringify(name)} already.`, {
        field: 'name',
      });
    }
    await audit(transaction, actor, { action: 'dataset.add', target: name, detail: row });
    return present(transaction, name);
  });
}

/**
 * Environments take it over at their next start.
 *
 * @throws BerthError `not_found`, `unknown_reference`, `in_use`
 */
export async function changeDataset(
  database: Database,
  actor: Actor,
  name: string,
  change: UpdateDataset,
): Promise<Dataset> {
  return database.transaction().execute(async (transaction) => {
    const before = await lockDataset(transaction, name);
    if (!before) throw noSuchDataset(name);
    const { read_only = before.read_only, customers } = change;
    await mustBeCustomers(transaction, customers);
    if (customers) {
      const user = await mountedByAnother(transaction, name, customers);
      if (user !== undefined) {
        throw new BerthError(
          'in_use',
          `customers: ${user} mounts the data set ${name} and is of a customer that is not among them.`,
          { field: 'customers', cure: 'Take the data set out of that environment first.' },
        );
      }
    }
    if (before.kind === 'folder' && !read_only)
      await mustNotMeet(transaction, { name, source: before.source, read_only });
    await updateDataset(transaction, name, { ...change, read_only });
    await audit(transaction, actor, { action: 'dataset.update', target: name, detail: { ...change } });
    return present(transaction, name);
  });
}

/** Its files stay where they are. @throws BerthError `not_found`, `in_use` */
export async function removeDataset(database: Database, actor: Actor, name: string): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await lockDataset(transaction, name);
    if (!row) throw noSuchDataset(name);
    await mustBeUnused(transaction, { dataset: name });
    await deleteDataset(transaction, name);
    const { kind, source } = row;
    await audit(transaction, actor, { action: 'dataset.delete', target: name, detail: { kind, source } });
  });
}

function mustBeOfferable(path: string, { dataDir, datasetFolders }: Settings): void {
  mustBePlainPath(path);
  mustBeAllowedFolder(path, realpathSync(dataDir), datasetFolders);
}

function mustBeVolumeName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{1,254}$/.test(name)) return;
  throw new BerthError('bad_request', `source: ${JSON.stringify(name)} is not the name of a volume.`, {
    field: 'source',
    cure: 'Use one that "docker volume ls" shows.',
  });
}

/**
 * Whoever writes to a folder can put a symbolic link in the place of a folder in it, and would choose what is mounted
 * for those who have that one as a data set.
 */
async function mustNotMeet(
  session: Session,
  { name, source, read_only }: { name: string; source: string; read_only: boolean },
): Promise<void> {
  for (const other of await lockFolders(session)) {
    const [outer, inner] = isWithin(source, other.source)
      ? [other, { name, source, read_only }]
      : [{ name, source, read_only }, other];
    if (other.name === name || outer.source === inner.source) continue;
    if (outer.read_only || !isWithin(inner.source, outer.source)) continue;
    throw new BerthError(
      'in_use',
      `source: ${inner.source} lies in ${outer.source}, the data set ${outer.name}, which can be written to.`,
      {
        field: 'source',
        cure: `Make ${outer.name} read-only, or choose folders that do not lie in each other.`,
      },
    );
  }
}

function asBadSource(error: unknown): never {
  if (error instanceof RuntimeError && error.code === 'dataset_missing') {
    throw new BerthError('unknown_reference', `source: ${error.message}`, {
      field: 'source',
      cure: error.cure,
      cause: error,
    });
  }
  throw error;
}

async function present(session: Session, name: string): Promise<Dataset> {
  const row = await findDataset(session, name, null);
  if (!row) throw new Error('its row is locked');
  return presentDataset(row, null);
}

function noSuchDataset(name: string): BerthError {
  return new BerthError('not_found', `There is no data set ${JSON.stringify(name)}.`);
}

function presentDataset(row: DatasetWithUse, visibleTo: number | null): Dataset {
  const { name, kind, source, read_only, description, customers, environments, created_at } = row;
  return {
    name,
    kind,
    source: visibleTo === null ? source : null,
    read_only,
    description,
    customers: shownCustomers(customers, visibleTo),
    mount_path: datasetPath(name),
    environments,
    created_at: created_at.toISOString(),
  };
}
