/** Public keys: checked, kept once a customer, and carried to all of its running environments. */
import { BerthError } from '@berth/contract';
import type { AddSshKey, SshKey } from '@berth/contract';
import { KeyError, parsePublicKey } from '@berth/ssh';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import { cutConnections } from '../connections/end.ts';
import type { Database, Session } from '../database/database.ts';
import type { SshKeyRow } from '../database/schema.ts';
import { announce } from '../events/notices.ts';
import { renewSecrets } from '../environments/table.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import type { Settings } from '../settings.ts';
import { deleteKey, insertKey, listKeys } from './table.ts';

/** @throws BerthError `bad_ssh_key`, `duplicate_key` */
export async function addKey(
  database: Database,
  principal: Principal,
  actor: Actor,
  { name, public_key }: AddSshKey,
): Promise<SshKey> {
  const key = readKey(public_key);
  const row = await database.transaction().execute(async (transaction) => {
    const inserted = await insertKey(transaction, {
      customer_id: principal.customerId,
      account_id: principal.accountId,
      name,
      type: key.type,
      fingerprint: key.fingerprint,
      public_key: key.line,
    });
    if (!inserted) return undefined;
    await renewSecrets(transaction, principal.customerId);
    await announce(transaction, { topic: 'customer', id: principal.customerId });
    await audit(transaction, actor, {
      action: 'ssh_key.add',
      target: key.fingerprint,
      detail: { id: inserted.id, name },
    });
    return inserted;
  });
  if (!row)
    throw new BerthError('duplicate_key', `The key ${key.fingerprint} is there already.`, {
      field: 'public_key',
    });
  return presentKey(row);
}

/** Those of the asking account's customer; an administrator may name another. */
export async function keysOf(
  database: Database,
  principal: Principal,
  { limit = 100, cursor, customer_id }: { limit?: number; cursor?: string; customer_id?: number },
): Promise<Page<SshKey>> {
  const after = (readCursor(cursor, ['number'])?.[0] as number | undefined) ?? 0;
  const customerId = customer_id ?? principal.customerId;
  const visible = visibleCustomer(principal);
  const rows =
    visible === null || visible === customerId
      ? await listKeys(database, customerId, { after, limit: limit + 1 })
      : [];
  return pageOf(rows, limit, ({ id }) => [id], presentKey);
}

/** @throws BerthError `not_found` */
export async function removeKey(
  { database, settings }: Pick<Services, 'database' | 'settings'>,
  principal: Principal,
  actor: Actor,
  id: number,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await deleteKey(transaction, visibleCustomer(principal), id);
    if (!row) throw new BerthError('not_found', `There is no key ${id}.`);
    await renewSecrets(transaction, row.customer_id);
    await announce(transaction, { topic: 'customer', id: row.customer_id });
    await cutKeyLogins(transaction, settings, row);
    await audit(transaction, actor, {
      action: 'ssh_key.delete',
      target: row.fingerprint,
      customerId: row.customer_id,
      detail: { id, name: row.name },
    });
  });
}

/** Whoever came in by a key that is no more. */
export async function cutKeyLogins(
  session: Session,
  settings: Settings,
  { customer_id, fingerprint }: Pick<SshKeyRow, 'customer_id' | 'fingerprint'>,
): Promise<void> {
  const sentence = `The key ${fingerprint} was deleted.`;
  await cutConnections(session, settings, { customer: customer_id, fingerprint }, sentence);
}

function readKey(line: string) {
  try {
    return parsePublicKey(line);
  } catch (error) {
    if (error instanceof KeyError) {
      throw new BerthError('bad_ssh_key', `public_key: ${error.message}`, {
        field: 'public_key',
        cause: error,
      });
    }
    throw error;
  }
}

function presentKey(row: SshKeyRow): SshKey {
  const { id, customer_id, name, type, fingerprint, public_key, created_at, last_used_at } = row;
  return {
    id,
    customer_id,
    name,
    type,
    fingerprint,
    public_key,
    created_at: created_at.toISOString(),
    last_used_at: last_used_at?.toISOString() ?? null,
  };
}
