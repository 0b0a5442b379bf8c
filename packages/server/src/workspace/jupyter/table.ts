/** Queries on the tickets and sessions of JupyterLab. Both are known by their SHA-256 only. */
import { sql } from 'kysely';
import type { Session } from '../../database/database.ts';

/** What a ticket or a session opens, and for which sign-in: it goes with that (on delete cascade). */
export interface Opening {
  tokenId: number;
  environment: string;
}

type Kind = 'jupyter_tickets' | 'jupyter_sessions';

/** Those that have expired go on this occasion. */
export async function insertOpening(
  session: Session,
  kind: Kind,
  hash: Buffer,
  { tokenId, environment }: Opening,
  lifeSeconds: number,
): Promise<void> {
  await session.deleteFrom(kind).where('expires_at', '<', now).execute();
  const expires_at = sql<Date>`${now} + make_interval(secs => ${sql.lit(lifeSeconds)})`;
  await session
    .insertInto(kind)
    .values({ hash, token_id: tokenId, env_id: environment, expires_at })
    .execute();
}

/** It is good once. @returns undefined when there is none, or its time is over */
export async function takeTicket(session: Session, hash: Buffer): Promise<Opening | undefined> {
  const row = await session
    .deleteFrom('jupyter_tickets')
    .where('hash', '=', hash)
    .returning(['token_id', 'env_id', sql<boolean>`expires_at > ${now}`.as('good')])
    .executeTakeFirst();
  return row?.good === true ? { tokenId: row.token_id, environment: row.env_id } : undefined;
}

export async function findSession(session: Session, hash: Buffer): Promise<Opening | undefined> {
  const row = await session
    .selectFrom('jupyter_sessions')
    .select(['token_id', 'env_id'])
    .where('hash', '=', hash)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row && { tokenId: row.token_id, environment: row.env_id };
}

export async function deleteSession(session: Session, hash: Buffer): Promise<void> {
  await session.deleteFrom('jupyter_sessions').where('hash', '=', hash).execute();
}

const now = sql<Date>`clock_timestamp()`;
