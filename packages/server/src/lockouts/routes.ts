/** /api/lockouts and /api/bans */
import { BanPage, ListBans, ListLockouts, LockoutPage, NumericId, routes } from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { bansPage, endBan, endLockout, lockoutsPage } from './lockouts.ts';

export function lockoutRoutes(app: App, { database }: Services): void {
  const tags = ['lockouts'];
  const params = Type.Object({ id: NumericId });
  const admin = { admin: true };

  app.get(
    routes.lockouts,
    {
      schema: {
        summary: 'Addresses that failed too often at one of your environments, newest first',
        tags,
        querystring: ListLockouts,
        response: { 200: LockoutPage },
      },
    },
    (request) => lockoutsPage(database, request.principal, request.query),
  );

  app.delete(
    routes.lockout,
    {
      schema: {
        summary: 'End a lockout at once, and forget the failures that it was set for',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await endLockout(database, askerOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.get(
    routes.bans,
    {
      config: admin,
      schema: {
        summary: 'Addresses from which nothing is accepted, newest first',
        tags,
        querystring: ListBans,
        response: { 200: BanPage },
      },
    },
    (request) => bansPage(database, request.query),
  );

  app.delete(
    routes.ban,
    {
      config: admin,
      schema: {
        summary: 'End a ban at once, and forget the failures that it was set for',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await endBan(database, askerOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
