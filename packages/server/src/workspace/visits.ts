/**
 * Connections into environments that several requests of a page share: each list of a folder and each file would be a login
 * of its own otherwise. One for a session or token, an address and an environment; it ends a minute after its last use.
 */
import { BerthError } from '@berth/contract';
import type { FastifyRequest } from 'fastify';
import type { Services } from '../http/app.ts';
import { openInside } from './inside.ts';
import type { Inside, InsideWish } from './inside.ts';

const idleMs = 60_000;

interface Visit {
  inside: Promise<Inside>;
  uses: number;
  timer: NodeJS.Timeout | undefined;
}

export class Visits {
  readonly #services: Services;
  readonly #visits = new Map<string, Visit>();

  constructor(services: Services) {
    this.#services = services;
  }

  /**
   * Never starts the environment.
   *
   * @throws BerthError as openInside does; `unavailable` when the connection is lost meanwhile; what `use` throws
   */
  async use<T>(
    request: FastifyRequest,
    environment: string,
    use: (inside: Inside) => Promise<T>,
  ): Promise<T> {
    const visitor = visitorOf(request);
    const key = JSON.stringify([visitor.principal.tokenId, visitor.source, environment]);
    const visit = this.#visits.get(key) ?? this.#open(key, { ...visitor, environment });
    visit.uses += 1;
    clearTimeout(visit.timer);
    try {
      const inside = await visit.inside;
      try {
        return await use(inside);
      } catch (error) {
        if (inside.endReason === undefined || error instanceof BerthError) throw error;
        throw new BerthError(inside.isCut ? 'not_let_in' : 'unavailable', inside.endReason, {
          cause: error,
        });
      }
    } finally {
      visit.uses -= 1;
      if (visit.uses === 0)
        visit.timer = setTimeout(
          () => void this.#close(key, visit, 'It was not used any more.'),
          idleMs,
        ).unref();
    }
  }

  #open(key: string, visitor: ReturnType<typeof visitorOf> & { environment: string }): Visit {
    const inside = openInside(this.#services, {
      ...visitor,
      way: 'terminal',
      wake: false,
      signal: this.#services.stopping,
    });
    const visit: Visit = { inside, uses: 0, timer: undefined };
    this.#visits.set(key, visit);
    const forget = () => {
      if (this.#visits.get(key) === visit) this.#visits.delete(key);
    };
    inside.then(({ ended }) => ended).then(forget, forget);
    return visit;
  }

  async #close(key: string, visit: Visit, reason: string): Promise<void> {
    if (this.#visits.get(key) === visit) this.#visits.delete(key);
    (await visit.inside.catch(() => undefined))?.end(reason);
  }
}

/** Who asks, and from where. A Unix socket has no address: who opens it is on this machine. */
export function visitorOf(
  request: FastifyRequest,
): Pick<InsideWish, 'principal' | 'source' | 'sourcePort' | 'client'> {
  const { principal, ip, socket, headers } = request;
  return {
    principal,
    source: socket.remoteAddress ? ip : '127.0.0.1',
    sourcePort: socket.remotePort ?? 0,
    client: headers['user-agent'] ?? '',
  };
}
