/** Queries on the catalogue of images. */
import type { ImageCheck } from '@berth/contract';
import { sql } from 'kysely';
import type { Insertable, Updateable } from 'kysely';
import type { Session } from '../database/database.ts';
import type { ImageRow, Tables } from '../database/schema.ts';

/** `visibleTo`: the customer that may use them; null: all of them. */
const rows = (session: Session, visibleTo: number | null) => {
  const query = session.selectFrom('images').selectAll();
  return visibleTo === null
    ? query
    : query.where(sql<boolean>`(customers is null or ${visibleTo}::integer = any(customers))`);
};

/** By name. */
export async function listImages(
  session: Session,
  options: { visibleTo: number | null; after: string | undefined; limit: number },
): Promise<ImageRow[]> {
  let query = rows(session, options.visibleTo).orderBy('name').limit(options.limit);
  if (options.after !== undefined) query = query.where('name', '>', options.after);
  return query.execute();
}

export async function findImage(
  session: Session,
  name: string,
  visibleTo: number | null,
): Promise<ImageRow | undefined> {
  return rows(session, visibleTo).where('name', '=', name).executeTakeFirst();
}

/** Until the transaction ends it is neither changed nor deleted. */
export async function holdImage(
  session: Session,
  name: string,
  visibleTo: number | null,
): Promise<ImageRow | undefined> {
  return rows(session, visibleTo).where('name', '=', name).forShare().executeTakeFirst();
}

export async function lockImage(session: Session, name: string): Promise<ImageRow | undefined> {
  return rows(session, null).where('name', '=', name).forUpdate().executeTakeFirst();
}

export async function insertImage(
  session: Session,
  row: Insertable<Tables['images']>,
): Promise<ImageRow | undefined> {
  return session
    .insertInto('images')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returningAll()
    .executeTakeFirst();
}

export async function updateImage(
  session: Session,
  name: string,
  change: Updateable<Tables['images']>,
): Promise<ImageRow> {
  return session
    .updateTable('images')
    .set(change)
    .where('name', '=', name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** What was found counts only for the reference that was looked into. */
export async function writeCheck(
  session: Session,
  name: string,
  reference: string,
  check: ImageCheck,
): Promise<void> {
  await session
    .updateTable('images')
    .set({ last_check: JSON.stringify(check) })
    .where('name', '=', name)
    .where('reference', '=', reference)
    .execute();
}

export async function deleteImage(session: Session, name: string): Promise<void> {
  await session.deleteFrom('images').where('name', '=', name).execute();
}

/** The environment image that Berth builds; at each start the one that belongs to this Berth. */
export async function setDefaultImage(session: Session, reference: string): Promise<void> {
  await session
    .insertInto('images')
    .values({ name: 'default', reference })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({
        reference,
        last_check: sql`case when images.reference = ${reference} then images.last_check end`,
      }),
    )
    .execute();
}
