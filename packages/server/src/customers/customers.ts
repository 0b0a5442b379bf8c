/** Customers: who environments, people, quotas and catalogues belong to. For administrators. */
import { BerthError } from '@berth/contract';
import type { Customer, UpdateCustomer } from '@berth/contract';
import { mustLeaveAdministrator } from '../accounts/accounts.ts';
import type { Principal } from '../accounts/principal.ts';
import { accountIdsOf, deleteAccounts } from '../accounts/table.ts';
import { deleteEntriesOf } from '../allowlists/table.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { isTaken } from '../database/database.ts';
import type { Services } from '../http/app.ts';
import type { Database, Session } from '../database/database.ts';
import { renewSecrets } from '../environments/table.ts';
import { cutPasswordLogins, passwordsOffSentence } from '../connections/end.ts';
import { announce } from '../events/notices.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { deleteAllOf } from '../ssh-authorities/table.ts';
import {
  belongings,
  findCustomer,
  insertCustomer,
  listCustomers,
  lockCustomer,
  markDeleted,
  setColumns,
} from './table.ts';
import type { CustomerView } from './table.ts';

const mostNamed = 5;

export async function customersPage(
  database: Database,
  { limit = 100, cursor, search }: { limit?: number; cursor?: string; search?: string },
): Promise<Page<Customer>> {
  const rows = await listCustomers(database, {
    search,
    after: readCursor(cursor, ['number'])?.[0] as number | undefined,
    limit: limit + 1,
  });
  return pageOf(rows, limit, ({ id }) => [id], presentCustomer);
}

/** @throws BerthError `not_found` */
export async function getCustomer(session: Session, id: number): Promise<Customer> {
  const row = await findCustomer(session, id);
  if (!row) throw noSuchCustomer(id);
  return presentCustomer(row);
}

/** @throws BerthError `name_taken` */
export async function createCustomer(database: Database, actor: Actor, name: string): Promise<Customer> {
  const wanted = readName(name);
  return database.transaction().execute(async (transaction) => {
    const id = await insertCustomer(transaction, wanted);
    if (id === undefined) throw nameTaken(wanted);
    await announce(transaction, { topic: 'customer', id });
    await audit(transaction, actor, {
      action: 'customer.create',
      target: wanted,
      customerId: id,
      detail: { id },
    });
    return getCustomer(transaction, id);
  });
}

/** @throws BerthError `not_found`, `name_taken` */
export async function updateCustomer(
  { database, settings }: Pick<Services, 'database' | 'settings'>,
  actor: Actor,
  id: number,
  input: UpdateCustomer,
): Promise<Customer> {
  const change = { ...input, ...(input.name === undefined ? {} : { name: readName(input.name) }) };
  try {
    return await database.transaction().execute(async (transaction) => {
      const before = await lockCustomer(transaction, id);
      if (before === undefined) throw noSuchCustomer(id);
      await setColumns(transaction, id, change);
      const target = change.name ?? before;
      if (change.name !== undefined) {
        const detail = { from: before };
        await audit(transaction, actor, { action: 'customer.rename', target, customerId: id, detail });
      }
      if (change.password_login !== undefined) {
        const detail = { password_login: change.password_login };
        await audit(transaction, actor, { action: 'customer.update', target, customerId: id, detail });
        await renewSecrets(transaction, id);
        await announce(transaction, { topic: 'customer', id });
        if (!change.password_login)
          await cutPasswordLogins(transaction, settings, { customer: id }, passwordsOffSentence);
      }
      return getCustomer(transaction, id);
    });
  } catch (error) {
    throw isTaken(error) && change.name !== undefined ? nameTaken(change.name) : error;
  }
}

/**
 * Its accounts, their tokens and their public keys, and its authorities go with it.
 *
 * @throws BerthError `not_found`, `in_use` while it has environments or kept files, or the account that asks
 */
export async function removeCustomer(
  database: Database,
  principal: Principal,
  actor: Actor,
  id: number,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const name = await lockCustomer(transaction, id);
    if (name === undefined) throw noSuchCustomer(id);
    if (id === principal.customerId)
      throw new BerthError('in_use', `The customer ${JSON.stringify(name)} is that of your own account.`, {
        cure: 'Have an administrator of another customer delete it.',
      });
    const held = await belongings(transaction, id);
    if (held.length > 0) throw hasBelongings(name, held);
    const accounts = await accountIdsOf(transaction, id);
    await mustLeaveAdministrator(transaction, accounts);
    const keys = await deleteAccounts(transaction, accounts);
    await deleteAllOf(transaction, id);
    await deleteEntriesOf(transaction, { customerId: id });
    await markDeleted(transaction, id);
    await announce(transaction, { topic: 'customer', id });
    await audit(transaction, actor, {
      action: 'customer.delete',
      target: name,
      customerId: id,
      detail: { id, accounts: accounts.length, ssh_keys: keys.length },
    });
  });
}

function readName(name: string): string {
  const read = name.normalize('NFC').trim();
  if (read === '')
    throw new BerthError('bad_request', 'name: must hold more than spaces.', { field: 'name' });
  return read;
}

function hasBelongings(name: string, held: { id: string; kept: boolean }[]): BerthError {
  const list = (ids: string[]) =>
    ids.length > mostNamed
      ? `${ids.slice(0, mostNamed).join(', ')} and ${ids.length - mostNamed} more`
      : ids.join(', ');
  const environments = held.filter(({ kept }) => !kept).map(({ id }) => id);
  const kept = held.filter(({ kept }) => kept).map(({ id }) => id);
  const what = [
    ...(environments.length > 0 ? [`environments (${list(environments)})`] : []),
    ...(kept.length > 0 ? [`kept files of deleted environments (${list(kept)})`] : []),
  ].join(' and ');
  return new BerthError('in_use', `The customer ${JSON.stringify(name)} has ${what}.`, {
    cure: 'Delete them first.',
  });
}

function nameTaken(name: string): BerthError {
  return new BerthError('name_taken', `name: ${JSON.stringify(name)} is the name of another customer.`, {
    field: 'name',
  });
}

function noSuchCustomer(id: number): BerthError {
  return new BerthError('not_found', `There is no customer ${id}.`);
}

function presentCustomer({ created_at, ...row }: CustomerView): Customer {
  return { ...row, created_at: created_at.toISOString() };
}
