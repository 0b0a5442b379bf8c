/** /api/storage */
import { EnvironmentId, KeptStorage, KeptStoragePage, ListKeptStorage, routes } from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { keptStorage, removeKeptStorage } from './storage.ts';

const tags = ['storage'];

export function storageRoutes(app: App, { database }: Services): void {
  app.get(
    routes.keptStorage,
    {
      schema: {
        summary: 'Files of deleted environments that were kept',
        tags,
        querystring: ListKeptStorage,
        response: { 200: KeptStoragePage },
      },
    },
    (request) => keptStorage(database, request.principal, request.query),
  );

  app.delete(
    routes.keptStorageOf,
    {
      schema: {
        summary: 'Remove kept files for good; they are being removed when this answers',
        tags,
        params: Type.Object({ id: EnvironmentId }),
        response: { 202: KeptStorage },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await removeKeptStorage(database, askerOf(request), request.params.id)),
  );
}
