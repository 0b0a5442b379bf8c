/**
 * Ends on paper the connections whose gateway did not live to tell of their end: it said that it has ended, or nothing
 * was heard of it for a minute. Started with the server.
 */
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { closeLost, silenceSeconds } from './table.ts';

const everyMs = 5000;

/**
 * While the database, or this server, was away, nobody could be heard: from then on the gateways have a minute.
 *
 * @returns a function that ends it
 */
export function watchLostConnections(
  { database, logger }: { database: Database; logger: Logger },
  hearingMs = silenceSeconds * 1000,
): () => Promise<void> {
  let hearingSince: number | null = null;
  let work = Promise.resolve();
  const look = async () => {
    try {
      const now = Date.now();
      hearingSince ??= now;
      const lost = await closeLost(database, now - hearingSince >= hearingMs);
      if (lost > 0) logger.info({ connections: lost }, 'connections ended with their gateway');
    } catch (error) {
      hearingSince = null;
      logger.warn(
        { error: (error as Error).message },
        'connections of lost gateways could not be looked for',
      );
    }
  };
  const turn = () => {
    work = work.then(look);
  };
  const timer = setInterval(turn, everyMs);
  turn();
  return async () => {
    clearInterval(timer);
    await work;
  };
}
