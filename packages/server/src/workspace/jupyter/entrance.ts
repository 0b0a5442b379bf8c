/**
 * Who gets to JupyterLab's origin: whoever is signed in at Berth's own takes a ticket there, which is good once and for
 * half a minute, and here it is exchanged for a session of this one environment. The browser never has here what it
 * has there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { BerthError, links } from '@berth/contract';
import type { Principal } from '../../accounts/principal.ts';
import type { Database } from '../../database/database.ts';
import type { Services } from '../../http/app.ts';
import { signInLifeMs } from '../../sign-in/sign-in.ts';
import { principalsOfTokens } from '../../tokens/table.ts';
import { mustMayUse } from '../inside.ts';
import type { JupyterOrigin } from './origin.ts';
import { deleteSession, findSession, insertOpening, takeTicket } from './table.ts';
import type { Opening } from './table.ts';

const ticketSeconds = 30;
/** At most so long a session is believed to be there still. */
const believedMs = 2000;
const mostBelieved = 10_000;

/**
 * @returns the address that takes the ticket
 * @throws BerthError `not_found`, `forbidden`, `jupyter_not_served`
 */
export async function issueTicket(services: Services, principal: Principal, id: string): Promise<string> {
  const environment = mustMayUse(services.directory, principal, id);
  const origin = mustBeServed(services);
  if (principal.tokenId === null)
    throw new BerthError('forbidden', 'JupyterLab is opened in a browser that is signed in.', {
      cure: 'Sign in at the address of this Berth and open it there.',
    });
  if (!origin.isolated && environment.customerId !== principal.customerId)
    throw new BerthError(
      'forbidden',
      "Another customer's JupyterLab is opened only where each environment has a host name of its own: here its scripts could reach your own environments.",
      { cure: 'Set jupyter.publicUrl to one with "*.", such as https://*.jupyter.example.com.' },
    );
  const ticket = secret();
  const opening = { tokenId: principal.tokenId, environment: id };
  await insertOpening(services.database, 'jupyter_tickets', hashOf(ticket), opening, ticketSeconds);
  return links.jupyterEntrance(origin.originOf(id), ticket);
}

/** @throws BerthError `jupyter_not_served` */
export function mustBeServed({ addresses }: Services): JupyterOrigin {
  if (addresses.jupyter) return addresses.jupyter;
  throw new BerthError('jupyter_not_served', 'JupyterLab has no address of its own at this Berth.');
}

export interface LabSession extends Opening {
  /** Names it; its secret cannot be found from it. */
  id: string;
  principal: Principal;
}

/** The sessions of browsers, as this server knows them. */
export class LabSessions {
  readonly #database: Database;
  readonly #believed = new Map<string, { session: LabSession; until: number }>();

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @returns the environment, and what the cookie is to hold
   * @throws BerthError `jupyter_entrance` for a ticket that is not good (any more)
   */
  async enter(ticket: string): Promise<{ environment: string; value: string }> {
    const value = secret();
    const opening = await this.#database.transaction().execute(async (transaction) => {
      const taken = await takeTicket(transaction, hashOf(ticket));
      if (taken)
        await insertOpening(transaction, 'jupyter_sessions', hashOf(value), taken, signInLifeMs / 1000);
      return taken;
    });
    if (!opening)
      throw new BerthError('jupyter_entrance', 'This link was used already, or is older than half a minute.');
    return { environment: opening.environment, value };
  }

  /** @returns undefined for a cookie that opens nothing (any more) */
  async find(value: string): Promise<LabSession | undefined> {
    const hash = hashOf(value);
    const id = hash.toString('hex');
    const known = this.#believed.get(id);
    if (known && known.until > Date.now()) return known.session;
    this.#believed.delete(id);
    const opening = await findSession(this.#database, hash);
    const principal =
      opening && (await principalsOfTokens(this.#database, [opening.tokenId])).get(opening.tokenId);
    if (!opening || !principal) return undefined;
    const session = { ...opening, id, principal };
    if (this.#believed.size >= mostBelieved) this.#believed.clear();
    this.#believed.set(id, { session, until: Date.now() + believedMs });
    return session;
  }

  /** Its id, whether there is such a session or not. */
  idOf(value: string): string {
    return hashOf(value).toString('hex');
  }

  /** It opens nothing any more, on any server. */
  async end(id: string): Promise<void> {
    this.#believed.delete(id);
    await deleteSession(this.#database, Buffer.from(id, 'hex'));
  }
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

function hashOf(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
