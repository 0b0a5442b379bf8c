/** /api/environments */
import { Readable } from 'node:stream';
import {
  CreatedEnvironment,
  CreateEnvironment,
  DeleteEnvironment,
  Environment,
  EnvironmentId,
  EnvironmentPage,
  EventPage,
  ListEnvironments,
  ListEvents,
  LogsQuery,
  NewPassword,
  SshAccess,
  StartEnvironment,
  UpdateEnvironment,
  BerthError,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { askerOf } from '../audit/audit.ts';
import { pageOfEvents } from '../events/events.ts';
import type { App, Services } from '../http/app.ts';
import { rememberOf } from '../http/repeatable.ts';
import { sendEvents } from '../http/server-sent-events.ts';
import {
  createEnvironment,
  deleteEnvironment,
  getEnvironment,
  listMine,
  resetPassword,
  restartEnvironment,
  sshAccess,
  startEnvironment,
  stopEnvironment,
  updateEnvironment,
} from './environments.ts';

const params = Type.Object({ id: EnvironmentId });
const tags = ['environments'];

export function environmentRoutes(app: App, services: Services): void {
  const { database } = services;

  app.get(
    routes.environments,
    {
      schema: {
        summary: 'Environments, newest first unless sorted otherwise',
        tags,
        querystring: ListEnvironments,
        response: { 200: EnvironmentPage },
      },
    },
    (request) => listMine(services, request.principal, request.query),
  );

  app.post(
    routes.environments,
    {
      schema: {
        summary: 'Create an environment; it is being made when this answers',
        tags,
        body: CreateEnvironment,
        response: { 202: CreatedEnvironment },
      },
    },
    async (request, reply) => {
      const created = await createEnvironment(services, askerOf(request), request.body, rememberOf(request));
      return reply.code(202).send(created);
    },
  );

  app.get(
    routes.environment,
    { schema: { summary: 'One environment', tags, params, response: { 200: Environment } } },
    (request) => getEnvironment(services, request.principal, request.params.id),
  );

  app.patch(
    routes.environment,
    {
      schema: {
        summary: 'Change it: the name at once, all else from the next start',
        tags,
        params,
        body: UpdateEnvironment,
        response: { 200: Environment },
      },
    },
    (request) => updateEnvironment(services, askerOf(request), request.params.id, request.body),
  );

  app.post(
    routes.environmentStart,
    {
      // Without a body it starts with its own resources.
      preValidation: async (request) => void (request.body ??= {}),
      schema: {
        summary: 'Start it; resources in the body are for this run only',
        tags,
        params,
        body: StartEnvironment,
        response: { 202: Environment },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      return reply.code(202).send(await startEnvironment(services, askerOf(request), id, request.body));
    },
  );

  const actions = [
    { url: routes.environmentStop, summary: 'Stop it; its files stay', act: stopEnvironment },
    { url: routes.environmentRestart, summary: 'Stop and start it', act: restartEnvironment },
  ];
  for (const { url, summary, act } of actions) {
    app.post(
      url,
      { schema: { summary, tags, params, response: { 202: Environment } } },
      async (request, reply) =>
        reply.code(202).send(await act(services, askerOf(request), request.params.id)),
    );
  }

  app.delete(
    routes.environment,
    {
      schema: {
        summary: 'Delete it with its files, or keep these for another',
        tags,
        params,
        querystring: DeleteEnvironment,
        response: { 202: Environment },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      return reply
        .code(202)
        .send(await deleteEnvironment(services, askerOf(request), params.id, query.keep_storage));
    },
  );

  app.get(
    routes.environmentSsh,
    { schema: { summary: 'How to get in', tags, params, response: { 200: SshAccess } } },
    (request) => sshAccess(services, request.principal, request.params.id),
  );

  app.post(
    routes.environmentResetPassword,
    {
      schema: {
        summary: 'A new password; in force within two seconds',
        tags,
        params,
        response: { 200: NewPassword },
      },
    },
    (request) => resetPassword(services, askerOf(request), request.params.id),
  );

  app.get(
    routes.environmentEvents,
    {
      schema: {
        summary: 'The timeline; with "Accept: text/event-stream" each line as it comes',
        tags,
        params,
        querystring: ListEvents,
        response: { 200: EventPage },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await getEnvironment(services, request.principal, id);
      if (request.headers.accept?.includes('text/event-stream'))
        return sendEvents(request, reply, services, id, request.query.after ?? 0);
      return pageOfEvents(database, id, request.query);
    },
  );

  app.get(
    routes.environmentLogs,
    {
      schema: {
        summary: 'What its container printed, as plain text',
        tags,
        params,
        querystring: LogsQuery,
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await getEnvironment(services, request.principal, id);
      const { tail = 200, follow = false } = request.query;
      const closed = new AbortController();
      reply.raw.once('close', () => closed.abort());
      const log = services.runtime.logs(id, { tail, follow, signal: closed.signal });
      const lines = log[Symbol.asyncIterator]();
      // The first line of a log that ends is awaited, so that a runtime that is away is an answer, not a broken stream.
      const first = follow ? undefined : await lines.next();
      return reply
        .type('text/plain; charset=utf-8')
        .send(Readable.from(textOf(lines, first)) as unknown as string);
    },
  );

  app.get(routes.jupyter, { schema: { hide: true, params } }, async (request) => {
    const access = await sshAccess(services, request.principal, request.params.id);
    throw new BerthError(
      'jupyter_not_served',
      'JupyterLab is installed in the environment and is reached through SSH.',
      {
        cure: `Run "${access.ssh_command ?? 'ssh ...'} -L 8888:127.0.0.1:8888 jupyter lab --no-browser" and open the address that it prints.`,
      },
    );
  });
}

async function* textOf(
  lines: AsyncIterator<string>,
  first: IteratorResult<string> | undefined,
): AsyncGenerator<string> {
  // Brings the answer's head to a client that follows a log in which nothing happens.
  yield '';
  for (let line = first ?? (await lines.next()); line.done !== true; line = await lines.next())
    yield `${line.value}\n`;
}
