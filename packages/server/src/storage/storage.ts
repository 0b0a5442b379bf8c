/**
 * Files that outlive their environment: kept when it was deleted, for a new one that takes them over, or until somebody
 * removes them for good.
 */
import { BerthError } from '@berth/contract';
import type { KeptStorage, ListKeptStorage } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import type { Database, Session } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { addEvents } from '../events/events.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { adopterOf, drop, listKept, lockKept } from './table.ts';
import type { KeptRow } from './table.ts';

/** Whether there are files that somebody may miss: it ran, or took over those of another. */
export function hasFiles(row: Pick<EnvironmentRow, 'id' | 'storage_id' | 'first_started_at'>): boolean {
  return row.first_started_at !== null || row.storage_id !== row.id;
}

export async function keptStorage(
  database: Database,
  principal: Principal,
  { limit = 100, cursor, search, customer_id }: ListKeptStorage,
): Promise<Page<KeptStorage>> {
  const rows = await listKept(database, {
    visibleTo: visibleCustomer(principal),
    customerId: customer_id,
    search,
    after: readCursor(cursor, ['string'])?.[0] as string | undefined,
    limit: limit + 1,
  });
  return pageOf(rows, limit, ({ id }) => [id], present);
}

/** They are being removed when this returns. @throws BerthError `not_found` */
export async function removeKeptStorage(database: Database, asker: Asker, id: string): Promise<KeptStorage> {
  return database.transaction().execute(async (transaction) => {
    const row = await lockKept(transaction, id, visibleCustomer(asker.principal));
    if (!row) throw new BerthError('not_found', `There are no kept files of ${JSON.stringify(id)}.`);
    const generation = await drop(transaction, id);
    const message = `${asker.principal.account} asked: remove the files that were kept.`;
    await addEvents(transaction, id, [{ kind: 'request', message }], generation);
    await audit(transaction, asker, { action: 'storage.delete', target: id, customerId: row.customer_id });
    return present(row);
  });
}

/**
 * The files of a deleted environment for a new one of the customer, which takes them over in this transaction.
 *
 * @throws BerthError `unknown_reference`, `in_use`
 */
export async function storageFor(session: Session, customerId: number, id: string): Promise<KeptRow> {
  const row = await lockKept(session, id, customerId);
  if (row) return row;
  const adopter = await adopterOf(session, id, customerId);
  if (adopter !== undefined) {
    throw new BerthError('in_use', `adopt_storage: the files of ${id} are those of ${adopter} already.`, {
      field: 'adopt_storage',
      cure: `Delete ${adopter} with keep_storage=true, then take them over from it.`,
    });
  }
  throw new BerthError(
    'unknown_reference',
    `adopt_storage: there are no kept files of ${JSON.stringify(id)}.`,
    {
      field: 'adopt_storage',
      cure: 'GET /api/storage lists those that are kept.',
    },
  );
}

function present({ id, name, customer_id, storage, storage_kept_since }: KeptRow): KeptStorage {
  return { env_id: id, name, customer_id, storage, kept_since: storage_kept_since.toISOString() };
}
