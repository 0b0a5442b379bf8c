/**
 * Housekeeping: every ten minutes, what has served its time goes, and old passwords are replaced.
 *
 * Of several servers on one database, the one that has the lock does it; a password is replaced under the lock of its
 * environment's row, so that also two that meet replace it once.
 */
import type { Services } from '../http/app.ts';
import { noticePasswords, replacePasswords } from './passwords.ts';
import { deleteExpired, lockHousekeeping } from './table.ts';

const everyMs = 10 * 60 * 1000;

/** @returns a function that ends it */
export function startHousekeeping(services: Services): () => Promise<void> {
  const { logger, stopping } = services;
  let work = Promise.resolve();
  const turn = () => {
    work = keepHouse(services).catch((error: Error) => {
      if (!stopping.aborted) logger.warn({ error: error.message }, 'housekeeping failed; trying again later');
    });
  };
  const timer = setInterval(turn, everyMs);
  turn();
  return async () => {
    clearInterval(timer);
    await work;
  };
}

/** One turn. Nothing happens while another server has one. */
export async function keepHouse(services: Services): Promise<void> {
  const { database, settings, logger, stopping } = services;
  // Piece by piece, so that nobody waits long for what the piece has locked.
  for (let more = true; more && !stopping.aborted;) {
    const deleted = await database
      .transaction()
      .execute(async (transaction) =>
        (await lockHousekeeping(transaction)) ? await deleteExpired(transaction, settings) : null,
      );
    if (deleted === null) return;
    more = Object.values(deleted).some((count) => count > 0);
    if (more) logger.debug({ deleted }, 'what has served its time was deleted');
  }
  if (settings.passwordMaxAgeDays === 0) return;
  await noticePasswords(services);
  await replacePasswords(services);
}
