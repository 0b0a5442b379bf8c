/** Queries on customers. A deleted one's row stays, since history refers to it. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';

export interface CustomerView {
  id: number;
  name: string;
  created_at: Date;
  accounts: number;
  environments: number;
  password_login: boolean;
}

const views = (session: Session) =>
  session
    .selectFrom('customers')
    .select((e) => [
      'customers.id',
      'customers.name',
      'customers.created_at',
      'customers.password_login',
      e
        .selectFrom('accounts')
        .select(sql<number>`count(*)::integer`.as('count'))
        .whereRef('accounts.customer_id', '=', 'customers.id')
        .$asScalar()
        .$notNull()
        .as('accounts'),
      e
        .selectFrom('environments')
        .select(sql<number>`count(*)::integer`.as('count'))
        .whereRef('environments.customer_id', '=', 'customers.id')
        .where('environments.status', '<>', 'deleted')
        .$asScalar()
        .$notNull()
        .as('environments'),
    ])
    .where('customers.deleted_at', 'is', null);

export async function listCustomers(
  session: Session,
  options: { search: string | undefined; after: number | undefined; limit: number },
): Promise<CustomerView[]> {
  let query = views(session).orderBy('customers.id').limit(options.limit);
  if (options.search !== undefined)
    query = query.where(sql<boolean>`strpos(lower(customers.name), lower(${options.search})) > 0`);
  if (options.after !== undefined)
    query = query.where('customers.id', '>', sql<number>`${options.after}::bigint`);
  return query.execute();
}

export async function findCustomer(session: Session, id: number): Promise<CustomerView | undefined> {
  return views(session).where('customers.id', '=', id).executeTakeFirst();
}

/** Held while its things change, so that nothing is given to a customer that is being deleted. @returns its name */
export async function lockCustomer(session: Session, id: number): Promise<string | undefined> {
  const row = await session
    .selectFrom('customers')
    .select('name')
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  return row?.name;
}

/** @returns undefined when the name is in use */
export async function insertCustomer(session: Session, name: string): Promise<number | undefined> {
  const row = await session
    .insertInto('customers')
    .values({ name })
    .onConflict((conflict) => conflict.column('name').where('deleted_at', 'is', null).doNothing())
    .returning('id')
    .executeTakeFirst();
  return row?.id;
}

/** @throws an error of the unique index when the name is in use */
export async function setColumns(
  session: Session,
  id: number,
  change: { name?: string; password_login?: boolean },
): Promise<void> {
  await session.updateTable('customers').set(change).where('id', '=', id).execute();
}

/** Whether passwords open the customer's environments at all. */
export async function allowsPasswords(session: Session, id: number): Promise<boolean> {
  const { password_login } = await session
    .selectFrom('customers')
    .select('password_login')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return password_login;
}

/** The environments that it has, and those deleted ones whose files are kept. */
export async function belongings(
  session: Session,
  customerId: number,
): Promise<{ id: string; kept: boolean }[]> {
  return session
    .selectFrom('environments')
    .select(['id', sql<boolean>`status = 'deleted'`.as('kept')])
    .where('customer_id', '=', customerId)
    .where((e) => e.or([e('status', '<>', 'deleted'), e('storage_kept_since', 'is not', null)]))
    .orderBy('id')
    .execute();
}

export async function markDeleted(session: Session, id: number): Promise<void> {
  await session.deleteFrom('quotas').where('customer_id', '=', id).execute();
  await session
    .updateTable('customers')
    .set({ deleted_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute();
}
