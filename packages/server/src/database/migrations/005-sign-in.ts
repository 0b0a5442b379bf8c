/** What a person is shown of how they sign in. */
import { sql } from 'kysely';
import type { Session } from '../database.ts';

const statements = [
  // password_given: somebody else chose it, or Berth made it; the person is asked for one of their own.
  `alter table accounts add column password_given boolean not null default false`,
  // source: the address that a login or a session was made from.
  `alter table tokens add column source text`,
];

export async function up(session: Session): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(session);
}
