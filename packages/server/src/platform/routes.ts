/** /healthz, /readyz, /api/platform */
import { Health, Platform, Readiness, routes } from '@berth/contract';
import { sql } from 'kysely';
import type { App, Services } from '../http/app.ts';
import { countPorts } from '../ports/table.ts';

export function platformRoutes(app: App, services: Services): void {
  const { database, platform, settings } = services;
  const tags = ['platform'];

  app.get(
    routes.health,
    { config: { public: true }, schema: { summary: 'The process answers', tags, response: { 200: Health } } },
    () => ({ status: 'ok' as const }),
  );

  app.get(
    routes.ready,
    {
      config: { public: true },
      schema: { summary: 'Database and runtime answer', tags, response: { 200: Readiness, 503: Readiness } },
    },
    async (_request, reply) => {
      const databaseFault = await sql`select 1`.execute(database).then(
        () => null,
        () => 'does not answer',
      );
      const ready = databaseFault === null && platform.runtimeFault === null;
      return reply.code(ready ? 200 : 503).send({
        status: ready ? ('ready' as const) : ('not_ready' as const),
        checks: { database: databaseFault ?? 'ok', runtime: platform.runtimeFault ?? 'ok' },
      });
    },
  );

  app.get(
    routes.platform,
    {
      config: { admin: true },
      schema: {
        summary: 'This Berth: settings in force, what it cannot do here, what is unclaimed',
        tags,
        response: { 200: Platform },
      },
    },
    async () => {
      return {
        version: platform.version,
        installation_id: platform.installationId,
        runtime: settings.runtime,
        database: platform.databaseKind,
        images: await database.selectFrom('images').select(['name', 'reference']).orderBy('name').execute(),
        settings: services.settingsInForce,
        notes: [
          ...platform.notes,
          ...(services.certificate?.notes() ?? []),
          ...(services.controlCertificate?.notes() ?? []),
        ],
        unclaimed: platform.unclaimed.map(({ kind, name, id }) => ({ kind, name, env_id: id })),
        ports: await countPorts(database, settings.portRange, settings.portRestSeconds),
      };
    },
  );
}
