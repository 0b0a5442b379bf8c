/**
 * Credentials of an environment: its password, its host key, and the files that carry them into its container.
 */
import { generateHostKey } from '@berth/ssh';
import type { Session } from '../database/database.ts';
import type { CredentialsRow, EnvironmentRow } from '../database/schema.ts';
import type { SecretFiles } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { cryptHash, makePassword } from '../secrets/password.ts';
import { listKeys } from '../ssh-keys/table.ts';

const passwordPurpose = (id: string) => `environment-password:${id}`;
const hostKeyPurpose = (id: string) => `host-key:${id}`;

export interface NewPassword {
  plain: string;
  columns: Pick<CredentialsRow, 'password' | 'password_hash'>;
}

export function newPassword(keyRing: KeyRing, id: string): NewPassword {
  const plain = makePassword();
  return {
    plain,
    columns: { password: keyRing.seal(plain, passwordPurpose(id)), password_hash: cryptHash(plain) },
  };
}

export async function insertCredentials(session: Session, keyRing: KeyRing, id: string): Promise<string> {
  const password = newPassword(keyRing, id);
  const hostKey = generateHostKey();
  await session
    .insertInto('ssh_credentials')
    .values({
      env_id: id,
      ...password.columns,
      host_key: keyRing.seal(hostKey.privateKeyOpenSsh, hostKeyPurpose(id)),
      host_key_public: hostKey.publicLine,
    })
    .execute();
  return password.plain;
}

export async function readCredentials(session: Session, id: string): Promise<CredentialsRow> {
  return session.selectFrom('ssh_credentials').selectAll().where('env_id', '=', id).executeTakeFirstOrThrow();
}

export function plainPassword(keyRing: KeyRing, row: CredentialsRow): string {
  return keyRing.open(row.password, passwordPurpose(row.env_id));
}

/** What the container needs to let the right people in: hashes and keys, no password. */
export async function secretFiles(
  session: Session,
  keyRing: KeyRing,
  environment: Pick<EnvironmentRow, 'id' | 'customer_id'>,
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
    },
  };
}
