/** What was found out about an environment when it failed. */
import { sql } from 'kysely';
import type { Session } from '../database.ts';

const statements = [
  // A list of the API's CheckResult; null where there is none, as on what failed before this.
  `alter table environments add column failure_findings jsonb`,
];

export async function up(session: Session): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(session);
}
