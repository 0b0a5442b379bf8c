/** GET /metrics */
import { routes } from '@berth/contract';
import Type from 'typebox';
import type { App } from '../http/app.ts';
import type { Metrics } from './metrics.ts';

export function metricsRoutes(app: App, metrics: Metrics): void {
  app.get(
    routes.metrics,
    {
      config: { admin: true },
      schema: {
        summary: 'What Prometheus reads',
        tags: ['operation'],
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await metrics.text()),
  );
}
