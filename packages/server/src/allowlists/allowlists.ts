/**
 * Allowlists: the networks from which environments can be reached, of a customer and of single environments.
 *
 * An address gets in when an entry of the environment or of its customer covers it; without any entry everybody does. The
 * gateway decides by what is announced here, and connections that a change shuts out end.
 */
import {
  BerthError,
  NetworkError,
  canonicalAddress,
  covers,
  formatNetwork,
  mostAllowlistEntries,
  readNetwork,
} from '@berth/contract';
import type {
  AddAllowlistEntry,
  AllowlistCheck,
  AllowlistEntry,
  CheckAllowlist,
  ListAllowlist,
} from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import { lockCustomer } from '../customers/table.ts';
import type { Database, Session } from '../database/database.ts';
import type { AllowlistEntryRow } from '../database/schema.ts';
import { findEnvironment, lockEnvironment } from '../environments/table.ts';
import { addEvents } from '../events/events.ts';
import { announce } from '../events/notices.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { countEntries, deleteEntry, insertEntry, listEntries, networksFor } from './table.ts';

export async function allowlistPage(
  database: Database,
  principal: Principal,
  { limit = 100, cursor, env_id, customer_id }: ListAllowlist,
): Promise<Page<AllowlistEntry>> {
  const after = (readCursor(cursor, ['number'])?.[0] as number | undefined) ?? 0;
  const visible = visibleCustomer(principal);
  const rows =
    visible === null || customer_id === undefined || visible === customer_id
      ? await listEntries(database, {
          customerId: customer_id ?? visible,
          envId: env_id,
          after,
          limit: limit + 1,
        })
      : [];
  return pageOf(rows, limit, ({ id }) => [id], presentEntry);
}

/**
 * @throws BerthError `bad_request` for what is no network, `duplicate_entry`, `allowlist_full`, `not_found` when there is no
 *   such environment, `wrong_state` when it is being deleted, `forbidden`, `unknown_reference`
 */
export async function addEntry(
  database: Database,
  asker: Asker,
  { network: text, env_id, note = '', customer_id }: AddAllowlistEntry,
): Promise<AllowlistEntry> {
  const network = networkOf(text, 'network');
  return database.transaction().execute(async (transaction) => {
    const place = await placeFor(transaction, asker.principal, { env_id, customer_id }, lockEnvironment);
    if (place.wanted === 'deleted')
      throw new BerthError('wrong_state', `The environment ${place.envId} is being deleted.`, {
        field: 'env_id',
      });
    // One after the other, so that the count holds.
    if ((await lockCustomer(transaction, place.customerId)) === undefined) {
      throw new BerthError('unknown_reference', `customer_id: there is no customer ${place.customerId}.`, {
        field: 'customer_id',
      });
    }
    await mustHaveRoom(transaction, place);
    const row = await insertEntry(transaction, {
      customer_id: place.customerId,
      env_id: place.envId,
      network,
      note: note.normalize('NFC').trim(),
    });
    if (!row) {
      throw new BerthError('duplicate_entry', `network: ${network} is in the allowlist already.`, {
        field: 'network',
      });
    }
    await tell(transaction, asker, row, 'add');
    return presentEntry(row);
  });
}

/** @throws BerthError `not_found` */
export async function removeEntry(database: Database, asker: Asker, id: number): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await deleteEntry(transaction, visibleCustomer(asker.principal), id);
    if (!row) throw new BerthError('not_found', `There is no allowlist entry ${id}.`);
    await tell(transaction, asker, row, 'remove');
  });
}

/**
 * Whether an address gets in, now or once `adding` is in the list: asked before somebody shuts himself out.
 *
 * @param source from where the question comes; null: the socket in the data folder
 * @throws BerthError `bad_request`, `not_found`, `forbidden`
 */
export async function checkAddress(
  database: Database,
  principal: Principal,
  source: string | null,
  { address: asked, env_id, customer_id, adding }: CheckAllowlist,
): Promise<AllowlistCheck> {
  const address = asked === undefined ? source && (canonicalAddress(source) ?? null) : addressOf(asked);
  const place = await placeFor(database, principal, { env_id, customer_id }, findEnvironment);
  const present = await networksFor(database, place.customerId, place.envId);
  const networks = adding === undefined ? present : [...present, networkOf(adding, 'adding')];
  const covering = address === null ? [] : networks.filter((each) => covers(readNetwork(each), address));
  return {
    address,
    limited: present.length > 0,
    allowed: address === null ? null : networks.length === 0 || covering.length > 0,
    covered_by: [...new Set(covering)],
  };
}

interface Place {
  customerId: number;
  envId: string | null;
  /** Of the environment. */
  wanted?: string;
}

/** @throws BerthError `not_found`, `forbidden` */
async function placeFor(
  session: Session,
  principal: Principal,
  { env_id, customer_id }: { env_id: string | undefined; customer_id: number | undefined },
  find: (
    session: Session,
    id: string,
    customerId: number | null,
  ) => Promise<{ customer_id: number; wanted?: string } | undefined>,
): Promise<Place> {
  const visible = visibleCustomer(principal);
  if (customer_id !== undefined && visible !== null && customer_id !== visible) {
    throw new BerthError('forbidden', 'customer_id: only an administrator may name another customer.', {
      field: 'customer_id',
      cure: 'Leave it out: the list is then that of your own customer.',
    });
  }
  if (env_id === undefined) return { customerId: customer_id ?? principal.customerId, envId: null };
  const row = await find(session, env_id, customer_id ?? visible);
  if (!row) throw new BerthError('not_found', `There is no environment ${JSON.stringify(env_id)}.`);
  return {
    customerId: row.customer_id,
    envId: env_id,
    ...(row.wanted === undefined ? {} : { wanted: row.wanted }),
  };
}

/** @throws BerthError `bad_request` */
function networkOf(text: string, field: string): string {
  try {
    return formatNetwork(readNetwork(text));
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    throw new BerthError('bad_request', `${field}: ${error.message}.`, {
      field,
      cure: error.cure,
      cause: error,
    });
  }
}

/** @throws BerthError `bad_request` */
function addressOf(text: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined) return address;
  throw new BerthError('bad_request', `address: is ${JSON.stringify(text)}, which is no address.`, {
    field: 'address',
    cure: 'Write one such as 203.0.113.7 or 2001:db8::7, or leave it out for the one that asks.',
  });
}

/** @throws BerthError `allowlist_full` */
async function mustHaveRoom(session: Session, { customerId, envId }: Place): Promise<void> {
  const bounds: [number, number, string][] = [
    [await countEntries(session, { customerId }), mostAllowlistEntries.customer, 'The customer'],
  ];
  if (envId !== null)
    bounds.push([
      await countEntries(session, { envId }),
      mostAllowlistEntries.environment,
      `The environment ${envId}`,
    ]);
  const full = bounds.find(([count, most]) => count >= most);
  if (full) throw new BerthError('allowlist_full', `${full[2]} has ${full[1]} entries.`);
}

/** The audit log, and whoever decides by the list. */
async function tell(
  session: Session,
  asker: Asker,
  row: AllowlistEntryRow,
  act: 'add' | 'remove',
): Promise<void> {
  const { id, customer_id, env_id, network, note } = row;
  await audit(session, asker, {
    action: `allowlist.${act}`,
    target: network,
    customerId: customer_id,
    detail: { id, env_id, note },
  });
  if (env_id === null) {
    await announce(session, { topic: 'customer', id: customer_id });
    return;
  }
  const what = act === 'add' ? `put ${network} into` : `took ${network} out of`;
  await addEvents(session, env_id, [
    { kind: 'request', message: `${asker.principal.account} ${what} its allowlist.` },
  ]);
}

function presentEntry({ created_at, ...row }: AllowlistEntryRow): AllowlistEntry {
  return { ...row, created_at: created_at.toISOString() };
}
