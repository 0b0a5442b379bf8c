/** /api/environments/:id/diagnosis */
import { DiagnoseEnvironment, Diagnosis, EnvironmentId, routes } from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { diagnose } from './diagnosis.ts';

export function diagnosisRoutes(app: App, services: Services): void {
  app.get(
    routes.environmentDiagnosis,
    {
      config: { rateLimit: { max: 60, timeWindow: '1 minute' } },
      schema: {
        summary: 'Why somebody does not get in, or why it does not run, and what helps; within 15 seconds',
        tags: ['environments'],
        params: Type.Object({ id: EnvironmentId }),
        querystring: DiagnoseEnvironment,
        response: { 200: Diagnosis },
      },
    },
    (request, reply) => {
      const closed = new AbortController();
      reply.raw.once('close', () => closed.abort());
      const signal = AbortSignal.any([closed.signal, services.stopping]);
      return diagnose(services, askerOf(request), request.params.id, request.query, signal);
    },
  );
}
