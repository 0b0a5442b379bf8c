/** Accounts: the people and programs of a customer. Each Berth keeps at least one administrator. */
import { BerthError } from '@berth/contract';
import type { Account, CreateAccount, CreatedAccount, Role, UpdateAccount } from '@berth/contract';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { lockCustomer } from '../customers/table.ts';
import type { Database, Session } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import { renewSecrets } from '../environments/table.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { cutKeyLogins } from '../ssh-keys/ssh-keys.ts';
import { claimLoginName } from '../login-names/table.ts';
import { accountHash, makePassword, mustBeGoodPassword } from '../secrets/password.ts';
import { deleteSignIns } from '../tokens/table.ts';
import { visibleCustomer } from './principal.ts';
import type { Principal } from './principal.ts';
import {
  deleteAccounts,
  findAccount,
  insertAccount,
  listAccounts,
  lockAdministrators,
  setPassword,
  setRole,
} from './table.ts';
import type { AccountView } from './table.ts';

const shortestMade = 16;

export async function accountsPage(
  database: Database,
  principal: Principal,
  query: { limit?: number; cursor?: string; customer_id?: number; role?: Role; search?: string },
): Promise<Page<Account>> {
  const { limit = 100 } = query;
  const rows = await listAccounts(database, {
    visibleTo: visibleCustomer(principal),
    customerId: query.customer_id,
    role: query.role,
    search: query.search,
    after: readCursor(query.cursor, ['number'])?.[0] as number | undefined,
    limit: limit + 1,
  });
  return pageOf(rows, limit, ({ id }) => [id], presentAccount);
}

/** @throws BerthError `not_found` */
export async function getAccount(session: Session, principal: Principal, id: number): Promise<Account> {
  return presentAccount(await mustFind(session, id, visibleCustomer(principal)));
}

/** @throws BerthError `weak_password`, `name_taken`, `unknown_reference` when there is no such customer */
export async function createAccount(
  { database, settings }: Pick<Services, 'database' | 'settings'>,
  principal: Principal,
  actor: Actor,
  { name, role = 'member', customer_id = principal.customerId, password: given }: CreateAccount,
): Promise<CreatedAccount> {
  const made = given === undefined ? makePassword(Math.max(shortestMade, settings.passwordMinLength)) : null;
  if (typeof given === 'string') mustBeGoodPassword(settings, given, 'password');
  const password = made ?? given ?? null;
  const hash = password === null ? null : await accountHash(password);
  return database.transaction().execute(async (transaction) => {
    if (!(await lockCustomer(transaction, customer_id)))
      throw new BerthError('unknown_reference', `customer_id: there is no customer ${customer_id}.`, {
        field: 'customer_id',
      });
    if (!(await claimLoginName(transaction, name, 'account')))
      throw new BerthError('name_taken', `name: ${JSON.stringify(name)} is in use on this Berth.`, {
        field: 'name',
      });
    const id = await insertAccount(transaction, { customer_id, name, role, password_hash: hash });
    await announce(transaction, { topic: 'account', name });
    await audit(transaction, actor, {
      action: 'account.create',
      target: name,
      customerId: customer_id,
      detail: { id, role, has_password: hash !== null },
    });
    return { ...presentAccount(await mustFind(transaction, id, null)), password: made };
  });
}

/**
 * A new password ends what the old one opened, but for what asks.
 *
 * @throws BerthError `not_found`, `weak_password`, `in_use` for the last administrator
 */
export async function updateAccount(
  { database, settings }: Pick<Services, 'database' | 'settings'>,
  principal: Principal,
  actor: Actor,
  id: number,
  { role, password }: UpdateAccount,
): Promise<Account> {
  if (typeof password === 'string') mustBeGoodPassword(settings, password, 'password');
  await mustFind(database, id, null);
  const hash = typeof password === 'string' ? await accountHash(password) : null;
  return database.transaction().execute(async (transaction) => {
    if (role === 'member') await mustLeaveAdministrator(transaction, [id]);
    const before = await mustFind(transaction, id, null);
    if (role !== undefined) await setRole(transaction, id, role);
    if (password !== undefined) {
      await setPassword(transaction, id, hash);
      await deleteSignIns(transaction, id, principal.tokenId);
    }
    await audit(transaction, actor, {
      action: 'account.update',
      target: before.name,
      customerId: before.customer_id,
      detail: {
        ...(role === undefined ? {} : { role: { from: before.role, to: role } }),
        ...(password === undefined ? {} : { password: password === null ? 'removed' : 'changed' }),
      },
    });
    return presentAccount(await mustFind(transaction, id, null));
  });
}

/** Its tokens go at once, and its public keys open nothing more within two seconds. @throws BerthError `not_found`, `in_use` */
export async function removeAccount(
  { database, settings }: Pick<Services, 'database' | 'settings'>,
  principal: Principal,
  actor: Actor,
  id: number,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    await mustLeaveAdministrator(transaction, [id]);
    const account = await mustFind(transaction, id, null);
    if (id === principal.accountId)
      throw new BerthError('in_use', `The account ${account.name} is the one that asks.`, {
        cure: 'Have another administrator delete it.',
      });
    const keys = await deleteAccounts(transaction, [id]);
    if (keys.length > 0) await renewSecrets(transaction, account.customer_id);
    for (const key of keys) await cutKeyLogins(transaction, settings, key);
    await announce(transaction, { topic: 'customer', id: account.customer_id });
    await audit(transaction, actor, {
      action: 'account.delete',
      target: account.name,
      customerId: account.customer_id,
      detail: { id, role: account.role, ssh_keys: keys.length },
    });
  });
}

/** @throws BerthError `in_use` when none but these accounts is an administrator */
export async function mustLeaveAdministrator(session: Session, without: number[]): Promise<void> {
  const administrators = await lockAdministrators(session);
  if (administrators.some((id) => !without.includes(id))) return;
  throw new BerthError('in_use', 'That would leave this Berth without an administrator.', {
    cure: 'Make another account an administrator first.',
  });
}

async function mustFind(session: Session, id: number, visibleTo: number | null): Promise<AccountView> {
  const account = await findAccount(session, id, visibleTo);
  if (!account) throw new BerthError('not_found', `There is no account ${id}.`);
  return account;
}

function presentAccount(row: AccountView): Account {
  const { id, name, role, customer_id, customer, created_at, last_login_at, has_password } = row;
  return {
    id,
    name,
    role,
    customer_id,
    customer,
    created_at: created_at.toISOString(),
    last_login_at: last_login_at?.toISOString() ?? null,
    has_password,
  };
}
