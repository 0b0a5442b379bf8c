/** /api/ssh-keys */
import { AddSshKey, ListSshKeys, NumericId, SshKey, SshKeyPage, routes } from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { addKey, keysOf, removeKey } from './ssh-keys.ts';

export function sshKeyRoutes(app: App, services: Services): void {
  const { database } = services;
  const tags = ['ssh-keys'];

  app.get(
    routes.sshKeys,
    {
      schema: {
        summary: 'Public keys that open your environments, oldest first',
        tags,
        querystring: ListSshKeys,
        response: { 200: SshKeyPage },
      },
    },
    (request) => keysOf(database, request.principal, request.query),
  );

  app.post(
    routes.sshKeys,
    {
      schema: {
        summary: 'Add a public key; it reaches running environments within two seconds',
        tags,
        body: AddSshKey,
        response: { 201: SshKey },
      },
    },
    async (request, reply) => {
      const key = await addKey(database, request.principal, actorOf(request), request.body);
      return reply.code(201).send(key);
    },
  );

  app.delete(
    routes.sshKey,
    {
      schema: {
        summary: 'Delete a public key; it opens no new connection within two seconds',
        tags,
        params: Type.Object({ id: NumericId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeKey(services, request.principal, actorOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
