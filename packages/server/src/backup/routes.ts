/** GET /api/backup, POST /api/restore */
import type { Readable } from 'node:stream';
import { BerthError, RestoreQuery, Restored, routes, rowCountsHeader } from '@berth/contract';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { makeBackup } from './backup.ts';
import { restore } from './restore.ts';

const contentType = 'application/gzip';

export function backupRoutes(app: App, services: Services): void {
  const tags = ['operation'];

  app.get(
    routes.backup,
    {
      config: { admin: true },
      schema: {
        summary: 'Everything, with the key ring: the file opens every secret',
        tags,
        produces: [contentType],
        response: { 200: Type.String({ format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { file, sizeBytes, rows, madeAt } = await makeBackup(services, actorOf(request));
      const name = `berth-${madeAt.toISOString().replace(/[:.]\d+Z$|[:]/g, '')}.backup`;
      return reply
        .type(contentType)
        .header('content-length', sizeBytes)
        .header('content-disposition', `attachment; filename="${name}"`)
        .header('cache-control', 'no-store')
        .header(rowCountsHeader, JSON.stringify(rows))
        .send(file.createReadStream({ start: 0 }) as unknown as string);
    },
  );

  // A scope of its own: no other route takes a body of this type, or one of this size.
  void app.register(async (scope) => {
    const typed = scope.withTypeProvider<TypeBoxTypeProvider>();
    typed.addContentTypeParser([contentType, 'application/octet-stream'], (_request, body, done) =>
      done(null, body),
    );
    typed.post(
      routes.restore,
      {
        config: { admin: true, longBody: true },
        schema: {
          summary: 'Become what a backup holds; Berth starts again by itself afterwards',
          tags,
          consumes: [contentType],
          querystring: RestoreQuery,
          body: { content: { [contentType]: { schema: Type.Unknown() } } },
          response: { 200: Restored },
        },
      },
      async (request, reply) => {
        const { replace = false } = request.query;
        if (request.body === undefined)
          throw new BerthError(
            'bad_backup',
            'The request has no body; it must be what GET /api/backup answered.',
          );
        const restored = await restore(services, actorOf(request), request.body as Readable, { replace });
        // Whoever asked hears of it first, unless it has gone.
        if (reply.raw.destroyed) services.lifecycle.restart();
        else reply.raw.once('close', () => services.lifecycle.restart());
        return restored;
      },
    );
  });
}
