/** /api/tokens */
import { CreatedToken, CreateToken, ListTokens, NumericId, TokenPage, routes } from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { createToken, removeToken, tokensPage } from './tokens.ts';

export function tokenRoutes(app: App, { database }: Services): void {
  const tags = ['tokens'];

  app.get(
    routes.tokens,
    {
      schema: {
        summary: 'Your tokens, logins and sessions; for administrators those of everybody',
        tags,
        querystring: ListTokens,
        response: { 200: TokenPage },
      },
    },
    (request) => tokensPage(database, request.principal, request.query),
  );

  app.post(
    routes.tokens,
    {
      schema: {
        summary: 'Make a token; it is shown once',
        tags,
        body: CreateToken,
        response: { 201: CreatedToken },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await createToken(database, request.principal, actorOf(request), request.body)),
  );

  app.delete(
    routes.token,
    {
      schema: {
        summary: 'Delete a token, or end a login or a session',
        tags,
        params: Type.Object({ id: NumericId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeToken(database, request.principal, actorOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
