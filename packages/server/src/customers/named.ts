/** Customers that a request names, such as those that may use an image. */
import { BerthError } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';

/** null or left out: all of them. @throws BerthError `unknown_reference` naming the first that is none */
export async function mustBeCustomers(session: Session, ids: number[] | null | undefined): Promise<void> {
  if (ids === null || ids === undefined || ids.length === 0) return;
  const rows = await session
    .selectFrom('customers')
    .select('id')
    .where(sql<boolean>`id = any(${sql.val(ids)}::integer[])`)
    .where('deleted_at', 'is', null)
    .execute();
  const known = new Set(rows.map(({ id }) => id));
  const unknown = ids.find((id) => !known.has(id));
  if (unknown === undefined) return;
  throw new BerthError('unknown_reference', `customers: there is no customer ${unknown}.`, {
    field: 'customers',
  });
}

/** Who may use a thing, as far as the asking customer is told: of the others it learns nothing. null: it may see all. */
export function shownCustomers(customers: number[] | null, visibleTo: number | null): number[] | null {
  return customers === null || visibleTo === null ? customers : [visibleTo];
}
