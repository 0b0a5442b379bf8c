/**
 * What a new installation begins with: its id, the certificate authority that the containers' sshd trusts, one
 * customer, and the account "admin" with a first password.
 */
import { randomBytes } from 'node:crypto';
import { generateHostKey } from '@berth/ssh';
import type { DataFolder } from '../data-folder.ts';
import { writeFileWhole } from '../data-folder.ts';
import type { Database } from '../database/database.ts';
import { principalOfAccount } from '../accounts/table.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { accountHash, makePassword } from '../secrets/password.ts';

export interface Installation {
  id: string;
  authorityPublic: string;
}

export async function firstStart(
  database: Database,
  keyRing: KeyRing,
  folder: DataFolder,
): Promise<{ installation: Installation; firstPassword: boolean }> {
  const existing = await readInstallation(database);
  if (existing && (await principalOfAccount(database, 'admin')))
    return { installation: existing, firstPassword: false };

  // The file first: killed in between, the next start writes both again.
  const password = makePassword();
  const passwordHash = await accountHash(password);
  const authority = generateHostKey();
  writeFileWhole(folder.file('admin-password'), `${password}\n`, 0o600);
  await database.transaction().execute(async (transaction) => {
    await transaction
      .insertInto('installation')
      .values({
        id: randomBytes(8).toString('hex'),
        authority_key: keyRing.seal(authority.privateKeyOpenSsh, 'authority'),
        authority_public: authority.publicLine,
      })
      .execute();
    const customer = await transaction
      .insertInto('customers')
      .values({ name: 'default' })
      .returning('id')
      .executeTakeFirstOrThrow();
    await transaction
      .insertInto('accounts')
      .values({ customer_id: customer.id, name: 'admin', role: 'admin', password_hash: passwordHash })
      .execute();
  });
  const installation = await readInstallation(database);
  if (!installation) throw new Error('the installation was just written');
  return { installation, firstPassword: true };
}

async function readInstallation(database: Database): Promise<Installation | undefined> {
  const row = await database.selectFrom('installation').select(['id', 'authority_public']).executeTakeFirst();
  return row && { id: row.id, authorityPublic: row.authority_public };
}
