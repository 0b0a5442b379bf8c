/** /api/quotas */
import { ListQuotas, NumericId, Quota, QuotaPage, SetLimits, routes } from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { quotaOf, quotasOf, setLimits } from './quotas.ts';

const params = Type.Object({ id: NumericId });
const tags = ['quotas'];

export function quotaRoutes(app: App, { database }: Services): void {
  app.get(
    routes.quotas,
    {
      schema: {
        summary: 'What each customer may use, and uses; a member sees its own',
        tags,
        querystring: ListQuotas,
        response: { 200: QuotaPage },
      },
    },
    (request) => quotasOf(database, request.principal, request.query),
  );

  app.get(
    routes.quota,
    { schema: { summary: 'What a customer may use, and uses', tags, params, response: { 200: Quota } } },
    (request) => quotaOf(database, request.principal, request.params.id),
  );

  app.put(
    routes.quota,
    {
      config: { admin: true },
      schema: {
        summary: "Set a customer's limits; null: no limit; what is left out stays",
        tags,
        params,
        body: SetLimits,
        response: { 200: Quota },
      },
    },
    (request) => setLimits(database, actorOf(request), request.params.id, request.body),
  );
}
