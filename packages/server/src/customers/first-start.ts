/**
 * What a new installation begins with: its id, the certificate authority that the containers' sshd trusts, one
 * customer, and the account "admin" with a first password.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { SigningKey, generateHostKey, parsePrivateKey } from '@berth/ssh';
import { insertAccount } from '../accounts/table.ts';
import type { DataFolder } from '../data-folder.ts';
import { writeFileWhole } from '../data-folder.ts';
import type { Database } from '../database/database.ts';
import { claimLoginName } from '../login-names/table.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { authorityPurpose } from '../secrets/sealed-columns.ts';
import { accountHash, makePassword } from '../secrets/password.ts';

export interface Installation {
  id: string;
  authorityPublic: string;
  /** What the containers' sshd trusts. */
  authority: SigningKey;
}

export async function firstStart(
  database: Database,
  keyRing: KeyRing,
  folder: DataFolder,
): Promise<{ installation: Installation; firstPassword: boolean }> {
  const existing = await readInstallation(database, keyRing);
  if (existing) return { installation: existing, firstPassword: false };

  // The file first: killed in between, the next start writes both again.
  const password = makePassword();
  const passwordHash = await accountHash(password);
  const authority = generateHostKey();
  writeFileWhole(folder.file('admin-password'), `${password}\n`, 0o600);
  const isFirst = await database.transaction().execute(async (transaction) => {
    const inserted = await transaction
      .insertInto('installation')
      .values({
        id: randomBytes(8).toString('hex'),
        authority_key: keyRing.seal(authority.privateKeyOpenSsh, authorityPurpose),
        authority_public: authority.publicLine,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst();
    if (!inserted) return false;
    const customer = await transaction
      .insertInto('customers')
      .values({ name: 'default' })
      .returning('id')
      .executeTakeFirstOrThrow();
    await claimLoginName(transaction, 'admin', 'account');
    await insertAccount(transaction, {
      customer_id: customer.id,
      name: 'admin',
      role: 'admin',
      password_hash: passwordHash,
    });
    return true;
  });
  // Another server was first: the password is in its folder.
  if (!isFirst) rmSync(folder.file('admin-password'), { force: true });
  const installation = await readInstallation(database, keyRing);
  if (!installation) throw new Error('the installation was just written');
  return { installation, firstPassword: isFirst };
}

/** @throws Error when the database's secrets were sealed with a key that this server does not have */
async function readInstallation(database: Database, keyRing: KeyRing): Promise<Installation | undefined> {
  const row = await database
    .selectFrom('installation')
    .select(['id', 'authority_key', 'authority_public'])
    .executeTakeFirst();
  if (!row) return undefined;
  const authority = new SigningKey(parsePrivateKey(keyRing.open(row.authority_key, authorityPurpose)));
  return { id: row.id, authorityPublic: row.authority_public, authority };
}
