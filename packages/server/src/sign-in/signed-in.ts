/**
 * Ends what lasts longer than a request, such as a stream of events, when the one who asked for it may no longer ask:
 * the token was deleted or has expired, or its account is gone, or has another role.
 *
 * All are looked up in one query, as long as there are any. While the database does not answer nobody is sent away.
 */
import type { Logger } from 'pino';
import type { Principal } from '../accounts/principal.ts';
import type { Database } from '../database/database.ts';
import { standingOfTokens } from '../tokens/table.ts';

const everyMs = 2000;

interface Follower {
  principal: Principal;
  onEnd: () => void;
}

export class SignedIn {
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #followers = new Set<Follower>();
  #timer: NodeJS.Timeout | null = null;

  constructor({ database, logger }: { database: Database; logger: Logger }) {
    this.#database = database;
    this.#logger = logger;
  }

  /**
   * @param onEnd called once, within some seconds of the end
   * @returns a function that ends the following
   */
  follow(principal: Principal, onEnd: () => void): () => void {
    // Whoever can open the socket in the data folder stays its owner.
    if (principal.tokenId === null) return () => undefined;
    const follower = { principal, onEnd };
    this.#followers.add(follower);
    this.#waitForNext();
    return () => this.#followers.delete(follower);
  }

  #waitForNext(): void {
    if (this.#timer !== null || this.#followers.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        this.#timer = null;
        this.#waitForNext();
      });
    }, everyMs).unref();
  }

  async #look(): Promise<void> {
    const followers = [...this.#followers];
    try {
      const tokenIds = new Set(followers.flatMap(({ principal }) => principal.tokenId ?? []));
      const standings = await standingOfTokens(this.#database, [...tokenIds]);
      for (const follower of followers) {
        const { tokenId, role, customerId } = follower.principal;
        const standing = standings.get(tokenId ?? 0);
        if (standing?.role === role && standing.customerId === customerId) continue;
        if (this.#followers.delete(follower)) follower.onEnd();
      }
    } catch (error) {
      this.#logger.debug(
        { error: (error as Error).message },
        'who is still signed in could not be looked up',
      );
    }
  }
}
