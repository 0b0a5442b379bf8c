/** The console's pages, and the files that they load. */
import { pages } from '@berth/contract';
import fastifyStatic from '@fastify/static';
import Type from 'typebox';
import type { App } from '../http/app.ts';
import { consoleFolder, sendConsole } from './console.ts';

const open = { config: { public: true }, schema: { hide: true } };
const yearMs = 365 * 24 * 60 * 60 * 1000;

export async function consoleRoutes(app: App): Promise<void> {
  await app.register(fastifyStatic, {
    root: consoleFolder,
    serve: false,
    suppressWarning: true,
    preCompressed: true,
  });
  for (const page of Object.values(pages)) app.get(page, open, (_request, reply) => sendConsole(reply));
  // Named by their content, so what is stored is never old.
  app.get(
    '/assets/:file',
    { ...open, schema: { ...open.schema, params: Type.Object({ file: Type.String() }) } },
    (request, reply) => {
      const { file } = request.params;
      if (!/^[\w-][\w.-]*$/.test(file)) return reply.callNotFound();
      return reply.sendFile(`assets/${file}`, { maxAge: yearMs, immutable: true });
    },
  );
  for (const file of ['start.js', 'mark.svg'])
    app.get(`/${file}`, open, (_request, reply) => reply.sendFile(file, { maxAge: 0 }));
}
