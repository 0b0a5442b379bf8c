/**
 * Queries on login names: `ssh NAME@host` on the shared port leads to an environment or lets an account jump, so that
 * no name is both. Called where either is made, and where nothing of it is left.
 */
import type { Session } from '../database/database.ts';

/**
 * Of two that claim one name at the same time, the second waits for the first's transaction.
 *
 * @returns false when something is called so already; a deleted environment keeps its name until it is forgotten
 */
export async function claimLoginName(
  session: Session,
  name: string,
  kind: 'environment' | 'account',
): Promise<boolean> {
  const row = await session
    .insertInto('login_names')
    .values({ name, kind })
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .executeTakeFirst();
  return row !== undefined;
}

export async function releaseLoginNames(session: Session, names: string[]): Promise<void> {
  if (names.length > 0) await session.deleteFrom('login_names').where('name', 'in', names).execute();
}
