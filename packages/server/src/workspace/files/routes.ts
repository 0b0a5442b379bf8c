/** /api/environments/:id/files: what a browser moves into and out of an environment. */
import { Readable } from 'node:stream';
import {
  BerthError,
  EnvironmentId,
  FileList,
  FileQuery,
  ListFiles,
  UploadQuery,
  UploadedFile,
  routes,
} from '@berth/contract';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { askerOf, audit } from '../../audit/audit.ts';
import { getEnvironment } from '../../environments/environments.ts';
import type { App, Services } from '../../http/app.ts';
import type { Visits } from '../visits.ts';
import { download, listFiles, mustServeFiles, upload } from './files.ts';

const contentType = 'application/octet-stream';
const params = Type.Object({ id: EnvironmentId });
const tags = ['files'];

export function fileRoutes(app: App, services: Services, visits: Visits): void {
  const { database } = services;

  app.get(
    routes.fileList,
    {
      config: { scope: 'write' },
      schema: {
        summary: 'What is in a folder inside; the home folder unless told otherwise',
        tags,
        params,
        querystring: ListFiles,
        response: { 200: FileList },
      },
    },
    async (request) => {
      const { id } = request.params;
      await getEnvironment(services, request.principal, id);
      mustServeFiles(services, id);
      return visits.use(request, id, (inside) => listFiles(inside, request.query.path ?? '.'));
    },
  );

  app.get(
    routes.files,
    {
      config: { scope: 'write' },
      schema: {
        summary: 'Download a file',
        tags,
        params,
        querystring: FileQuery,
        produces: [contentType],
        response: { 200: Type.String({ format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { path } = request.query;
      const { customer_id: customerId } = await getEnvironment(services, request.principal, id);
      mustServeFiles(services, id);
      const opened = Promise.withResolvers<void>();
      const finished = visits.use(request, id, async (inside) => {
        const { name, bytes, modifiedAt, content } = await download(inside, path);
        await audit(database, askerOf(request), {
          action: 'file.download',
          target: id,
          customerId,
          detail: { path, bytes, connection: inside.id },
        });
        const body = Readable.from(content, { objectMode: false, highWaterMark: 256 * 1024 });
        reply
          .type(contentType)
          .header('content-length', bytes)
          .header('last-modified', modifiedAt.toUTCString())
          .header('content-disposition', attachment(name))
          .header('cache-control', 'no-store')
          .send(body as unknown as string);
        opened.resolve();
        // What goes wrong now cuts the answer, whose length says that it is not whole.
        await new Promise<void>((resolve) => body.once('close', resolve));
      });
      await Promise.race([opened.promise, finished]);
      return reply;
    },
  );

  // A scope of its own: no other route takes a body of this type, or one of this size.
  void app.register(async (scope) => {
    const typed = scope.withTypeProvider<TypeBoxTypeProvider>();
    typed.addContentTypeParser(contentType, (_request, body, done) => done(null, body));
    typed.put(
      routes.files,
      {
        config: { longBody: true },
        schema: {
          summary: 'Upload a file; it is there as a whole or not at all',
          tags,
          params,
          querystring: UploadQuery,
          consumes: [contentType],
          body: { content: { [contentType]: { schema: Type.Unknown() } } },
          response: { 201: UploadedFile },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const { path, replace = false } = request.query;
        const { customer_id: customerId } = await getEnvironment(services, request.principal, id);
        mustServeFiles(services, id);
        const body = (request.body ?? Readable.from([])) as Readable;
        const length = request.headers['content-length'];
        const uploaded = await visits.use(request, id, (inside) =>
          upload(inside, path, ofRequest(body), {
            replace,
            bytes: length === undefined ? undefined : Number(length),
          }),
        );
        await audit(database, askerOf(request), {
          action: 'file.upload',
          target: id,
          customerId,
          detail: uploaded,
        });
        return reply.code(201).send(uploaded);
      },
    );
  });
}

/** @throws BerthError `bad_request` when whoever sends it goes away */
async function* ofRequest(body: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw new BerthError('bad_request', 'The upload was broken off.', { cause: error });
  }
}

/** RFC 6266, with the name in UTF-8 (RFC 8187) beside one for older clients. */
function attachment(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
