/** /api/connections */
import { Connection, ConnectionPage, ListConnections, routes } from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { connectionsPage, getConnection, killConnection } from './connections.ts';

export function connectionRoutes(app: App, { database }: Services): void {
  const tags = ['connections'];
  const params = Type.Object({ id: Type.String({ pattern: '^[a-z0-9]{16,40}$', maxLength: 40 }) });

  app.get(
    routes.connections,
    {
      schema: {
        summary: 'Who came in by SSH, newest first; numbers of live ones are two seconds old at most',
        tags,
        querystring: ListConnections,
        response: { 200: ConnectionPage },
      },
    },
    (request) => connectionsPage(database, request.principal, request.query),
  );

  app.get(
    routes.connection,
    { schema: { summary: 'One connection', tags, params, response: { 200: Connection } } },
    (request) => getConnection(database, request.principal, request.params.id),
  );

  app.delete(
    routes.connection,
    {
      schema: {
        summary: 'End a connection; its gateway cuts it within two seconds',
        tags,
        params,
        response: { 202: Connection },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await killConnection(database, askerOf(request), request.params.id)),
  );
}
