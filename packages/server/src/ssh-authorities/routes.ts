/** /api/ssh-authorities and /api/ssh-revocations */
import {
  AddSshAuthority,
  ListSshAuthorities,
  NumericId,
  OfCustomer,
  SetSshRevocations,
  SshAuthority,
  SshAuthorityPage,
  SshRevocations,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import {
  addAuthority,
  authoritiesPage,
  clearRevocations,
  getRevocations,
  removeAuthority,
  setRevocations,
} from './ssh-authorities.ts';

export function sshAuthorityRoutes(app: App, { database }: Services): void {
  const tags = ['ssh-authorities'];

  app.get(
    routes.sshAuthorities,
    {
      schema: {
        summary: 'Authorities whose user certificates open your environments, oldest first',
        tags,
        querystring: ListSshAuthorities,
        response: { 200: SshAuthorityPage },
      },
    },
    (request) => authoritiesPage(database, request.principal, request.query),
  );

  app.post(
    routes.sshAuthorities,
    {
      schema: {
        summary: 'Add an authority; the user certificates that it signs open your environments at once',
        tags,
        body: AddSshAuthority,
        response: { 201: SshAuthority },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await addAuthority(database, askerOf(request), request.body)),
  );

  app.delete(
    routes.sshAuthority,
    {
      schema: {
        summary: 'Delete an authority; its certificates open nothing any more',
        tags,
        params: Type.Object({ id: NumericId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeAuthority(database, askerOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.get(
    routes.sshRevocations,
    {
      schema: {
        summary: 'Which keys and certificates are revoked',
        tags,
        querystring: OfCustomer,
        response: { 200: SshRevocations },
      },
    },
    (request) => getRevocations(database, request.principal, request.query.customer_id),
  );

  app.put(
    routes.sshRevocations,
    {
      schema: {
        summary: 'Say which keys and certificates are revoked, in place of what was said before',
        tags,
        body: SetSshRevocations,
        response: { 200: SshRevocations },
      },
    },
    (request) => setRevocations(database, askerOf(request), request.body),
  );

  app.delete(
    routes.sshRevocations,
    {
      schema: {
        summary: 'Revoke nothing any more',
        tags,
        querystring: OfCustomer,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await clearRevocations(database, askerOf(request), request.query.customer_id);
      return reply.code(204).send(null);
    },
  );
}
