/** POST /api/secrets/rotate */
import { RotatedSecrets, routes } from '@berth/contract';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { rotateSecrets } from './rotation.ts';

export function secretRoutes(app: App, services: Services): void {
  app.post(
    routes.rotateSecrets,
    {
      config: { admin: true },
      schema: {
        summary: 'A new key for the key ring; every secret is sealed again',
        tags: ['operation'],
        response: { 200: RotatedSecrets },
      },
    },
    (request) => rotateSecrets(services, actorOf(request)),
  );
}
