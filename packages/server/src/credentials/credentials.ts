/**
 * Credentials of an environment: its password, its host key, and the files that carry them into its container.
 */
import { generateHostKey } from '@berth/ssh';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { CredentialsRow, EnvironmentRow } from '../database/schema.ts';
import type { SecretFiles } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { cryptHash, makePassword } from '../secrets/password.ts';
import { openVariables } from '../environments/variables.ts';
import { listKeys } from '../ssh-keys/table.ts';

const passwordPurpose = (id: string) => `environment-password:${id}`;
const hostKeyPurpose = (id: string) => `host-key:${id}`;

export interface NewPassword {
  plain: string;
  hash: string;
}

/** Hashing keeps the processor busy for many milliseconds: not for a transaction, in which others wait for its locks. */
export function newPassword(): NewPassword {
  const plain = makePassword();
  return { plain, hash: cryptHash(plain) };
}

function passwordColumns(keyRing: KeyRing, id: string, { plain, hash }: NewPassword) {
  return { password: keyRing.seal(plain, passwordPurpose(id)), password_hash: hash };
}

export async function insertCredentials(
  session: Session,
  keyRing: KeyRing,
  id: string,
  password: NewPassword,
): Promise<void> {
  const hostKey = generateHostKey();
  await session
    .insertInto('ssh_credentials')
    .values({
      env_id: id,
      ...passwordColumns(keyRing, id, password),
      host_key: keyRing.seal(hostKey.privateKeyOpenSsh, hostKeyPurpose(id)),
      host_key_public: hostKey.publicLine,
    })
    .execute();
}

export async function updatePassword(
  session: Session,
  keyRing: KeyRing,
  id: string,
  password: NewPassword,
): Promise<void> {
  await session
    .updateTable('ssh_credentials')
    .set({ ...passwordColumns(keyRing, id, password), password_changed_at: sql<Date>`clock_timestamp()` })
    .where('env_id', '=', id)
    .execute();
}

export async function readCredentials(session: Session, id: string): Promise<CredentialsRow> {
  return session.selectFrom('ssh_credentials').selectAll().where('env_id', '=', id).executeTakeFirstOrThrow();
}

export function plainPassword(keyRing: KeyRing, row: CredentialsRow): string {
  return keyRing.open(row.password, passwordPurpose(row.env_id));
}

/** What the container needs to let the right people in, hashes and keys and no password, and their own variables. */
export async function secretFiles(
  session: Session,
  keyRing: KeyRing,
  environment: Pick<EnvironmentRow, 'id' | 'customer_id' | 'env_vars'>,
  authorityPublic: string,
): Promise<{ files: SecretFiles; hostKeyPublic: string }> {
  const credentials = await readCredentials(session, environment.id);
  const keys = await listKeys(session, environment.customer_id);
  return {
    hostKeyPublic: credentials.host_key_public,
    files: {
      password_hash: `${credentials.password_hash}\n`,
      authorized_keys: keys.map(({ public_key }) => `${public_key}\n`).join(''),
      ssh_host_ed25519_key: keyRing.open(credentials.host_key, hostKeyPurpose(environment.id)),
      'trusted_user_ca.pub': `${authorityPublic}\n`,
      principals: `${environment.id}\n`,
      variables: Object.entries(openVariables(keyRing, environment))
        .map(([name, value]) => `${name}=${value}\0`)
        .join(''),
    },
  };
}
