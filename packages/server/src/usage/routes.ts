/** GET /api/usage, GET /api/environments/:id/usage */
import { EnvironmentId, ListUsage, RunningUsagePage, Usage, UsageQuery, routes } from '@berth/contract';
import Type from 'typebox';
import type { App, Services } from '../http/app.ts';
import { environmentUsage, runningUsage } from './usage.ts';

export function usageRoutes(app: App, services: Services): void {
  const tags = ['usage'];

  app.get(
    routes.usage,
    {
      schema: {
        summary: 'What the environments that run use just now, by name',
        tags,
        querystring: ListUsage,
        response: { 200: RunningUsagePage },
      },
    },
    (request) => runningUsage(services, request.principal, request.query),
  );

  app.get(
    routes.environmentUsage,
    {
      schema: {
        summary: 'What it uses just now, and used in the last hour or day',
        tags,
        params: Type.Object({ id: EnvironmentId }),
        querystring: UsageQuery,
        response: { 200: Usage },
      },
    },
    (request) =>
      environmentUsage(services, request.principal, request.params.id, request.query.range ?? 'hour'),
  );
}
