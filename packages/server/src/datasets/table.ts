/** Queries on data sets. */
import { BerthError } from '@berth/contract';
import { sql } from 'kysely';
import type { Insertable, Updateable } from 'kysely';
import type { Session } from '../database/database.ts';
import type { DatasetRow, Tables } from '../database/schema.ts';
import type { DatasetMount } from '../runtime/runtime.ts';

export type DatasetWithUse = DatasetRow & { environments: number };

/** `visibleTo`: the customer that may mount them, whose environments are counted; null: all of them. */
const rows = (session: Session, visibleTo: number | null) => {
  const query = session
    .selectFrom('datasets as d')
    .selectAll('d')
    .select(
      sql<number>`(
        select count(*)::integer from environments e
        where e.datasets @> array[d.name] and e.status <> 'deleted'
          and (${visibleTo}::integer is null or e.customer_id = ${visibleTo}::integer)
      )`.as('environments'),
    );
  return visibleTo === null ? query : query.where(mayMount(visibleTo));
};

const mayMount = (customerId: number) =>
  sql<boolean>`(customers is null or ${customerId}::integer = any(customers))`;

/** By name. */
export async function listDatasets(
  session: Session,
  options: { visibleTo: number | null; after: string | undefined; limit: number },
): Promise<DatasetWithUse[]> {
  let query = rows(session, options.visibleTo).orderBy('name').limit(options.limit);
  if (options.after !== undefined) query = query.where('name', '>', options.after);
  return query.execute();
}

export async function findDataset(
  session: Session,
  name: string,
  visibleTo: number | null,
): Promise<DatasetWithUse | undefined> {
  return rows(session, visibleTo).where('name', '=', name).executeTakeFirst();
}

export async function lockDataset(session: Session, name: string): Promise<DatasetRow | undefined> {
  return session.selectFrom('datasets').selectAll().where('name', '=', name).forUpdate().executeTakeFirst();
}

/**
 * The data sets for an environment of the customer, in the order of their names here; they stay until the transaction
 * ends. One that the customer may not mount is refused in the words for one that does not exist.
 *
 * @throws BerthError `unknown_reference` naming the first that is none
 */
export async function datasetsFor(
  session: Session,
  customerId: number,
  names: readonly string[],
): Promise<DatasetRow[]> {
  if (names.length === 0) return [];
  const found = await session
    .selectFrom('datasets')
    .selectAll()
    .where('name', 'in', names)
    .where(mayMount(customerId))
    .orderBy('name')
    .forShare()
    .execute();
  const known = new Set(found.map(({ name }) => name));
  const unknown = names.find((name) => !known.has(name));
  if (unknown === undefined) return found;
  throw new BerthError('unknown_reference', `datasets: there is no data set ${JSON.stringify(unknown)}.`, {
    field: 'datasets',
  });
}

/** What a workload mounts; one that is gone from the catalogue is left out. */
export async function specDatasets(session: Session, names: readonly string[]): Promise<DatasetMount[]> {
  if (names.length === 0) return [];
  const found = await session
    .selectFrom('datasets')
    .select(['name', 'kind', 'source', 'read_only as readOnly'])
    .where('name', 'in', names)
    .orderBy('name')
    .execute();
  return found;
}

/** Two that are added at once see each other's folders one after the other. */
export async function lockFolders(
  session: Session,
): Promise<Pick<DatasetRow, 'name' | 'source' | 'read_only'>[]> {
  await sql`select pg_advisory_xact_lock(7203553)`.execute(session);
  return session
    .selectFrom('datasets')
    .select(['name', 'source', 'read_only'])
    .where('kind', '=', 'folder')
    .orderBy('name')
    .execute();
}

/** @returns whether the name was free */
export async function insertDataset(session: Session, row: Insertable<Tables['datasets']>): Promise<boolean> {
  const inserted = await session
    .insertInto('datasets')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .executeTakeFirst();
  return inserted !== undefined;
}

export async function updateDataset(
  session: Session,
  name: string,
  change: Updateable<Tables['datasets']>,
): Promise<void> {
  await session.updateTable('datasets').set(change).where('name', '=', name).execute();
}

export async function deleteDataset(session: Session, name: string): Promise<void> {
  await session.deleteFrom('datasets').where('name', '=', name).execute();
}

/** An environment of a customer that is not among those, and mounts the data set. */
export async function mountedByAnother(
  session: Session,
  name: string,
  customers: number[],
): Promise<string | undefined> {
  const row = await session
    .selectFrom('environments')
    .select('id')
    .where(sql<boolean>`datasets @> array[${name}]::text[]`)
    .where('status', '<>', 'deleted')
    .where(sql<boolean>`not customer_id = any(${sql.val(customers)}::integer[])`)
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  return row?.id;
}
