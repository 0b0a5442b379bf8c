/**
 * /jupyter/:id on Berth's own origin: hands a ticket to whoever is signed in, and leads on to JupyterLab's.
 *
 * The session's cookie comes with every page of this host's site, so being known is not having asked: a link is followed
 * at once from Berth's own pages and from what is typed; whoever comes from elsewhere is asked first.
 */
import { BerthError, EnvironmentId, links, pathOf, routes } from '@berth/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Principal } from '../../accounts/principal.ts';
import type { App, Services } from '../../http/app.ts';
import { authenticate } from '../../sign-in/authenticate.ts';
import { toProblem } from '../../http/problems.ts';
import { issueTicket, mustBeServed } from './entrance.ts';
import { sendQuestion, sendRefusal } from './page.ts';

export function jupyterEntranceRoutes(app: App, services: Services): void {
  const params = Type.Object({ id: EnvironmentId });
  // Who asks is found out here: a stranger is led to the sign-in.
  const options = {
    config: { public: true, rateLimit: { max: 60, timeWindow: '1 minute' } },
    schema: { hide: true, params },
  };

  app.get(routes.jupyter, options, (request, reply) => {
    const { id } = request.params;
    return shown(request, reply, async () => {
      const origin = mustBeServed(services);
      const principal = await principalOf(request);
      if (!hasAsked(request)) return sendQuestion(reply, id, origin.originOf(id));
      return leadOn(request, reply, principal, id);
    });
  });

  void app.register((scope: App) => {
    // A form without fields.
    scope.addContentTypeParser('application/x-www-form-urlencoded', (_request, payload, done) => {
      payload.resume();
      done(null);
    });
    scope.post(routes.jupyter, options, (request, reply) =>
      shown(request, reply, async () =>
        leadOn(request, reply, await principalOf(request), request.params.id),
      ),
    );
  });

  /** @returns null: nobody is signed in @throws BerthError */
  async function principalOf(request: FastifyRequest): Promise<Principal | null> {
    try {
      return await authenticate(services, request);
    } catch (error) {
      const isStranger = error instanceof BerthError && error.code === 'unauthorized';
      if (isStranger && isPage(request) && request.headers.authorization === undefined) return null;
      throw error;
    }
  }

  async function leadOn(
    request: FastifyRequest,
    reply: FastifyReply,
    principal: Principal | null,
    id: string,
  ): Promise<FastifyReply> {
    void reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
    const to =
      principal === null
        ? links.signIn('', pathOf(routes.jupyter, { id }))
        : await issueTicket(services, principal, id);
    return reply.redirect(to, 303);
  }
}

/** A page for a person, a problem document for a program. */
async function shown(
  request: FastifyRequest,
  reply: FastifyReply,
  act: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await act();
  } catch (error) {
    if (!isPage(request)) throw error;
    const { code, detail, cure } = toProblem(error, request);
    return sendRefusal(reply, new BerthError(code as BerthError['code'], detail, { cure }), null);
  }
}

function isPage({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes('text/html') === true;
}

/** A program with a token, or a browser that says that no other site's page led here. */
function hasAsked({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  return headers.authorization !== undefined || site === 'same-origin' || site === 'none';
}
