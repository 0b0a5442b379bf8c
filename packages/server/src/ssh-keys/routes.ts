/** /api/ssh-keys */
import { AddSshKey, SshKey, SshKeyPage, routes } from '@berth/contract';
import Type from 'typebox';
import type { App, Services } from '../http/app.ts';
import { addKey, allKeys, removeKey } from './ssh-keys.ts';

export function sshKeyRoutes(app: App, { database }: Services): void {
  const tags = ['ssh-keys'];

  app.get(
    routes.sshKeys,
    { schema: { summary: 'Public keys that open your environments', tags, response: { 200: SshKeyPage } } },
    async (request) => ({ items: await allKeys(database, request.principal), next_cursor: null }),
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
      const key = await addKey(database, request.principal, request.body);
      return reply.code(201).send(key);
    },
  );

  app.delete(
    routes.sshKey,
    {
      schema: {
        summary: 'Delete a public key; it opens no new connection within two seconds',
        tags,
        params: Type.Object({ id: Type.Integer({ minimum: 1, maximum: 2147483647 }) }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeKey(database, request.principal, request.params.id);
      return reply.code(204).send(null);
    },
  );
}
