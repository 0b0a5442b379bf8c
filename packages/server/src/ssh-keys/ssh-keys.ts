/** Public keys: checked, kept once a customer, and carried to all of its running environments. */
import { BerthError } from '@berth/contract';
import type { AddSshKey, SshKey } from '@berth/contract';
import { KeyError, parsePublicKey } from '@berth/ssh';
import type { Principal } from '../accounts/principal.ts';
import type { Database } from '../database/database.ts';
import type { SshKeyRow } from '../database/schema.ts';
import { renewSecrets } from '../environments/table.ts';
import { deleteKey, insertKey, listKeys } from './table.ts';

/** @throws BerthError `bad_ssh_key`, `duplicate_key` */
export async function addKey(
  database: Database,
  principal: Principal,
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
    if (inserted) await renewSecrets(transaction, principal.customerId);
    return inserted;
  });
  if (!row)
    throw new BerthError('duplicate_key', `The key ${key.fingerprint} is there already.`, {
      field: 'public_key',
    });
  return presentKey(row);
}

export async function allKeys(database: Database, principal: Principal): Promise<SshKey[]> {
  return (await listKeys(database, principal.customerId)).map(presentKey);
}

/** @throws BerthError `not_found` */
export async function removeKey(database: Database, principal: Principal, id: number): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    if (!(await deleteKey(transaction, principal.customerId, id))) {
      throw new BerthError('not_found', `There is no key ${id}.`);
    }
    await renewSecrets(transaction, principal.customerId);
  });
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
  const { id, name, type, fingerprint, public_key, created_at, last_used_at } = row;
  return {
    id,
    name,
    type,
    fingerprint,
    public_key,
    created_at: created_at.toISOString(),
    last_used_at: last_used_at?.toISOString() ?? null,
  };
}
