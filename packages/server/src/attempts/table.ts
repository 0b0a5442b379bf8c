/** Queries on attempts. */
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';

/** A connection that a stop ended has ended a moment after it, by another machine's clock. */
const clockDifference = sql`interval '5 seconds'`;

/** Whether whoever comes now was connected to the environment at that moment: by address, key, or account. */
export async function wasConnectedAt(
  session: Session,
  environment: string,
  moment: Date,
  who: { source: string; fingerprint: string | null; account: string | null },
): Promise<boolean> {
  const row = await session
    .selectFrom('connections')
    .select('id')
    .where('env_id', '=', environment)
    .where('started_at', '<=', moment)
    .where(sql<boolean>`coalesce(ended_at, 'infinity') >= ${moment}::timestamptz - ${clockDifference}`)
    .where((e) =>
      e.or([
        e('source', '=', who.source),
        e('fingerprint', '=', who.fingerprint),
        e('account', '=', who.account),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
