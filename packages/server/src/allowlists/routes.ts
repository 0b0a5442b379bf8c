/** /api/allowlist */
import {
  AddAllowlistEntry,
  AllowlistCheck,
  AllowlistEntry,
  AllowlistPage,
  CheckAllowlist,
  ListAllowlist,
  NumericId,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { addEntry, allowlistPage, checkAddress, removeEntry } from './allowlists.ts';

export function allowlistRoutes(app: App, { database }: Services): void {
  const tags = ['allowlist'];

  app.get(
    routes.allowlist,
    {
      schema: {
        summary: 'Networks from which environments can be reached, oldest first; none: from everywhere',
        tags,
        querystring: ListAllowlist,
        response: { 200: AllowlistPage },
      },
    },
    (request) => allowlistPage(database, request.principal, request.query),
  );

  app.post(
    routes.allowlist,
    {
      schema: {
        summary: 'Put a network into the allowlist of a customer or of one environment; it holds at once',
        tags,
        body: AddAllowlistEntry,
        response: { 201: AllowlistEntry },
      },
    },
    async (request, reply) => reply.code(201).send(await addEntry(database, askerOf(request), request.body)),
  );

  app.get(
    routes.allowlistCheck,
    {
      schema: {
        summary: 'Whether an address gets in, now or once a network is in the allowlist',
        tags,
        querystring: CheckAllowlist,
        response: { 200: AllowlistCheck },
      },
    },
    (request) => checkAddress(database, request.principal, askerOf(request).source, request.query),
  );

  app.delete(
    routes.allowlistEntry,
    {
      schema: {
        summary: 'Take a network out; who gets in only by it is shut out at once',
        tags,
        params: Type.Object({ id: NumericId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeEntry(database, askerOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
