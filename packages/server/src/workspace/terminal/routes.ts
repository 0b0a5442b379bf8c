/** /api/environments/:id/terminal (a WebSocket) and /terminals: the browser's terminal, and the sessions inside. */
import {
  BerthError,
  EnvironmentId,
  SessionId,
  TerminalQuery,
  TerminalSessions,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { askerOf, audit } from '../../audit/audit.ts';
import { getEnvironment } from '../../environments/environments.ts';
import type { App, Services } from '../../http/app.ts';
import { visitorOf } from '../visits.ts';
import type { Visits } from '../visits.ts';
import { endSession, listSessions } from './sessions.ts';
import { serveTerminal } from './terminal.ts';

const params = Type.Object({ id: EnvironmentId });
const tags = ['terminal'];

export function terminalRoutes(app: App, services: Services, visits: Visits): void {
  const { database } = services;

  app.route({
    method: 'GET',
    url: routes.terminal,
    // Whoever types there changes whatever it likes.
    config: { scope: 'write' },
    schema: {
      summary: 'A terminal, as a WebSocket: binary messages are bytes, text ones JSON',
      tags,
      params,
      querystring: TerminalQuery,
      response: {
        101: { description: 'The terminal; its messages are described in the documentation', type: 'null' },
      },
    },
    preHandler: async (request) =>
      void (await getEnvironment(services, request.principal, request.params.id)),
    handler: () => {
      throw new BerthError('bad_request', 'The terminal is a WebSocket.', {
        cure: 'Open it with a WebSocket client, or the page /terminal in a browser.',
      });
    },
    wsHandler: (socket, request) =>
      void serveTerminal(services, socket, {
        ...visitorOf(request),
        environment: request.params.id,
        query: request.query,
      }),
  });

  app.get(
    routes.terminals,
    {
      config: { scope: 'write' },
      schema: {
        summary: 'The sessions that live inside, with or without a page',
        tags,
        params,
        response: { 200: TerminalSessions },
      },
    },
    async (request) => {
      const { id } = request.params;
      await getEnvironment(services, request.principal, id);
      return visits.use(request, id, listSessions);
    },
  );

  app.delete(
    routes.terminalSession,
    {
      schema: {
        summary: 'End a session with what runs in it',
        tags,
        params: Type.Object({ id: EnvironmentId, session: SessionId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id, session } = request.params;
      const { customer_id: customerId } = await getEnvironment(services, request.principal, id);
      await visits.use(request, id, (inside) => endSession(inside, session));
      await audit(database, askerOf(request), {
        action: 'terminal.end',
        target: id,
        customerId,
        detail: { session },
      });
      return reply.code(204).send(null);
    },
  );
}
