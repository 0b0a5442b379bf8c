/**
 * Credentials of an environment: its password, its host key, and the files that carry them into its container.
 */
import type { Exposure } from '@berth/contract';
import { generateHostKey } from '@berth/ssh';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { CredentialsRow, EnvironmentRow } from '../database/schema.ts';
import type { SecretFiles } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { cryptHash, makePassword } from '../secrets/password.ts';
import { openVariables } from '../environments/variables.ts';
import { hostKeyPurpose, passwordPurpose } from '../secrets/sealed-columns.ts';
import type { Settings } from '../settings.ts';
import { allowsPasswords } from '../customers/table.ts';
import { listKeys } from '../ssh-keys/table.ts';

const usualPasswordLength = 16;
const dayMs = 24 * 60 * 60 * 1000;

export interface NewPassword {
  plain: string;
  hash: string;
}

/** Hashing keeps the processor busy for many milliseconds: not for a transaction, in which others wait for its locks. */
export function newPassword({ passwordMinLength }: Pick<Settings, 'passwordMinLength'>): NewPassword {
  const plain = makePassword(Math.max(usualPasswordLength, passwordMinLength));
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
    .set({
      ...passwordColumns(keyRing, id, password),
      password_changed_at: sql<Date>`clock_timestamp()`,
      password_notice_at: null,
    })
    .where('env_id', '=', id)
    .execute();
}

export type PasswordAges = Pick<Settings, 'passwordMaxAgeDays' | 'passwordNoticeDays'>;

/** Notice is given at once where it would have to be given before the password was made. */
export function noticeDaysOf({ passwordMaxAgeDays, passwordNoticeDays }: PasswordAges): number {
  return Math.min(passwordMaxAgeDays, passwordNoticeDays);
}

/** When the password will be replaced; null: never. It is not before its owner has known for the days of notice. */
export function passwordExpiry(changedAt: Date, noticeAt: Date | null, ages: PasswordAges): Date | null {
  if (ages.passwordMaxAgeDays === 0) return null;
  const byAge = changedAt.getTime() + ages.passwordMaxAgeDays * dayMs;
  const byNotice = noticeAt === null ? byAge : noticeAt.getTime() + noticeDaysOf(ages) * dayMs;
  return new Date(Math.max(byAge, byNotice));
}

export async function readCredentials(session: Session, id: string): Promise<CredentialsRow> {
  return session.selectFrom('ssh_credentials').selectAll().where('env_id', '=', id).executeTakeFirstOrThrow();
}

export function plainPassword(keyRing: KeyRing, row: CredentialsRow): string {
  return keyRing.open(row.password, passwordPurpose(row.env_id));
}

/** In the place of a hash: no password is right (shadow(5)). */
const noPassword = '*';

/**
 * What the container needs to let the right people in, hashes and keys and no password, and their own variables.
 *
 * @param exposure of the container that reads them. Behind the gateway only its certificates get in: what is people's
 *   would be a way around it.
 */
export async function secretFiles(
  session: Session,
  keyRing: KeyRing,
  environment: Pick<EnvironmentRow, 'id' | 'customer_id' | 'env_vars' | 'password_login'>,
  authorityPublic: string,
  exposure: Exposure,
): Promise<{ files: SecretFiles; hostKeyPublic: string }> {
  const credentials = await readCredentials(session, environment.id);
  const direct = exposure === 'direct';
  const keys = direct ? await listKeys(session, environment.customer_id) : [];
  const takesPasswords =
    direct && environment.password_login && (await allowsPasswords(session, environment.customer_id));
  return {
    hostKeyPublic: credentials.host_key_public,
    files: {
      password_hash: `${takesPasswords ? credentials.password_hash : noPassword}\n`,
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
