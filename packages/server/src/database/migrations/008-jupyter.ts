/** The way into JupyterLab: tickets, and the sessions that they are exchanged for. */
import { sql } from 'kysely';
import type { Session } from '../database.ts';

// hash: SHA-256 of what the browser has. Both go with the session or token that they came from.
const statements = ['jupyter_tickets', 'jupyter_sessions'].flatMap((table) => [
  `create table ${table} (
    hash bytea primary key,
    token_id integer not null references tokens (id) on delete cascade,
    env_id text not null,
    expires_at timestamptz not null
  )`,
  `create index ${table}_token on ${table} (token_id)`,
]);

export async function up(session: Session): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(session);
}
