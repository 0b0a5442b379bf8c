/** From where public keys are used. */
import { sql } from 'kysely';
import type { Session } from '../database.ts';

const statements = [
  // last_used_from: an address; null for keys that were last used before this.
  `alter table ssh_keys add column last_used_from text`,
];

export async function up(session: Session): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(session);
}
