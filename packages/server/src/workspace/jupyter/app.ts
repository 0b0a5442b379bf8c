/**
 * JupyterLab's own listener: another origin than Berth's, and another application, which knows nothing of the API.
 *
 *   GET /enter?ticket=...            a ticket from Berth's own origin becomes a cookie (entrance.ts)
 *   /jupyter/demo-7f3k/...           goes on to the environment's JupyterLab (labs.ts, proxy.ts)
 *   /jupyter/demo-7f3k/.berth/state  how its start gets on
 *
 * Whatever comes must come from this origin's own pages: the site that browsers go by takes in every port and every
 * sister domain, where another environment may serve anything.
 */
import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { BerthError, EnvironmentId, jupyterRoutes, pathOf } from '@berth/contract';
import fastifyCookie from '@fastify/cookie';
import fastifyRateLimit from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import Type from 'typebox';
import type { App, Services } from '../../http/app.ts';
import { sendProblem, toProblem } from '../../http/problems.ts';
import { compileValidator } from '../../http/validation.ts';
import { networkOf } from '../../sign-in/limits.ts';
import { LabSessions, mustBeServed } from './entrance.ts';
import type { LabSession } from './entrance.ts';
import { Labs } from './labs.ts';
import type { Lab, LabOf } from './labs.ts';
import type { JupyterOrigin } from './origin.ts';
import { sendRefusal, sendStarting } from './page.ts';
import { carry, isRepeatable } from './proxy.ts';
import { baseUrlOf } from './start.ts';

/** A page is kept waiting for so long before it shows that it waits; one that runs is reached in a tenth. */
const patienceMs = 700;
/** What a program of the page waits for at most, as after the connection was idle. */
const programPatienceMs = 30_000;
/** How long the page can still be told why it was cut. */
const rememberedCuts = 1000;

const upgrades = new WeakMap<IncomingMessage, { socket: Socket; head: Buffer }>();

export async function makeJupyterApp(services: Services): Promise<App> {
  const { addresses, directory, settings, logger } = services;
  const app = fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    // A notebook that is uploaded may be long, and a kernel silent for days.
    requestTimeout: 0,
    forceCloseConnections: true,
    trustProxy: settings.trustedProxies.length > 0 ? settings.trustedProxies : false,
    ...(services.certificate === null ? {} : { https: services.certificate.pair }),
  } as FastifyServerOptions).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(compileValidator);
  await app.register(fastifyCookie);
  await app.register(fastifyRateLimit, {
    global: false,
    keyGenerator: ({ ip }) => networkOf(ip),
    errorResponseBuilder: (_request, context) =>
      new BerthError(
        'rate_limited',
        `Too many entries from this address: at most ${context.max} in ${context.after}.`,
      ),
  });
  // Bodies go on as they come.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));

  const cuts = new Map<string, string>();
  const sessions = new LabSessions(services.database);
  const labs = new Labs(services, (session, sentence) => {
    if (cuts.size >= rememberedCuts) cuts.clear();
    cuts.set(session, sentence);
    sessions
      .end(session)
      .catch((error: Error) =>
        logger.error({ error: error.message }, 'a session of JupyterLab could not be ended'),
      );
  });
  app.addHook('onClose', () => labs.close());

  app.server.on('upgrade', (raw: IncomingMessage, socket: Socket, head: Buffer) => {
    upgrades.set(raw, { socket, head });
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(raw);
    response.assignSocket(socket);
    // Whatever is answered but a change of protocol ends it; proxy.ts takes the socket away before.
    response.once('finish', () => socket.end());
    app.routing(raw, response);
  });

  app.addHook('onRequest', (_request, reply, done) => {
    void reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    done();
  });
  app.setNotFoundHandler((request, reply) =>
    refuse(request, reply, new BerthError('not_found', 'There is nothing at this address.'), null),
  );
  app.setErrorHandler((error, request, reply) => refuse(request, reply, error, environmentOf(request)));

  /** A page for a person, a problem document for a program. */
  function refuse(request: FastifyRequest, reply: FastifyReply, error: unknown, environment: string | null) {
    if (upgrades.has(request.raw)) void reply.header('connection', 'close');
    // Not its query, in which there may be a ticket.
    const { id, method, log } = request;
    const problem = toProblem(error, { id, method, log, url: request.url.split('?')[0] ?? '' });
    if (!isNavigation(request)) return sendProblem(reply, problem);
    const shown = new BerthError(problem.code as BerthError['code'], problem.detail, { cure: problem.cure });
    const again = environment === null ? null : { publicUrl: addresses.publicUrl, environment };
    return sendRefusal(reply, shown, again);
  }

  app.get(jupyterRoutes.health, (_request, reply) => reply.type('text/plain').send('ok\n'));

  app.get(
    jupyterRoutes.enter,
    {
      config: { rateLimit: { max: 60, timeWindow: '1 minute' } },
      schema: { querystring: Type.Object({ ticket: Type.String({ maxLength: 128 }) }) },
    },
    async (request, reply) => {
      const origin = mustBeServed(services);
      const { environment, value } = await sessions.enter(request.query.ticket);
      if (!origin.isHostOf(request.host, environment)) throw wrongHost(origin, environment);
      const { name, ...cookie } = cookieOf(origin, environment);
      const before = await sessionOf(request, origin, environment);
      if (before) {
        labs.leave(before.id);
        await sessions.end(before.id);
      }
      void reply.setCookie(name, value, cookie);
      const session = await sessions.find(value);
      // A person is at the door: this is what a stopped environment may be started for.
      if (session) labs.open(labOf(request, session), true);
      return reply.redirect(pathOf(jupyterRoutes.lab, { id: environment }), 303);
    },
  );

  const params = Type.Object({ id: EnvironmentId });

  app.get(jupyterRoutes.state, { schema: { params } }, async (request) => {
    const lab = await mustHaveLab(request, request.params.id);
    const { state } = lab;
    return state.state === 'failed' ? { state: 'failed' } : state;
  });

  app.route({
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: jupyterRoutes.environment,
    schema: { params: Type.Object({ id: EnvironmentId, '*': Type.String() }) },
    handler: async (request, reply) => {
      const { id } = request.params as { id: string };
      const lab = await mustHaveLab(request, id);
      const isPage = isNavigation(request);
      await lab.wait(isPage ? patienceMs : programPatienceMs);
      if (lab.state.state === 'starting') {
        if (isPage) return sendStarting(reply, id, lab.state);
        throw new BerthError('unavailable', 'JupyterLab is not there yet.');
      }
      await lead(request, reply, lab, id);
      return reply;
    },
  });

  async function lead(request: FastifyRequest, reply: FastifyReply, lab: Lab, id: string): Promise<void> {
    const upgrade = upgrades.get(request.raw) ?? null;
    const { isSecure } = mustBeServed(services);
    const once = async () => {
      const { channel, token } = await lab.connect();
      const of = { account: lab.account, baseUrl: baseUrlOf(id), isSecure };
      await carry(request, reply, { channel, token, upgrade, ...of });
    };
    try {
      await once();
    } catch (error) {
      // One that ends takes requests until its last moment.
      if (!isRepeatable(request) || lab.isOver || request.socket.destroyed) throw lab.cut ?? error;
      await once();
    }
  }

  /** @throws BerthError where the request is not from a page of this JupyterLab, or nobody has come in */
  async function mustHaveLab(request: FastifyRequest, id: string): Promise<Lab> {
    const origin = mustBeServed(services);
    if (!origin.isHostOf(request.host, id)) throw wrongHost(origin, id);
    mustBeOfThisOrigin(request, origin.originOf(id));
    const session = await sessionOf(request, origin, id);
    if (!session) throw shutFor(request, origin, id);
    const of = labOf(request, session);
    const there = labs.find(of);
    if (there) return there;
    // A page that asks by itself tries nothing that cannot succeed.
    const status = directory.environment(id)?.status ?? 'deleted';
    if (!isNavigation(request) && status !== 'running')
      throw new BerthError('wrong_state', `The environment ${id} is ${status}.`);
    return labs.open(of, false);
  }

  async function sessionOf(
    request: FastifyRequest,
    origin: JupyterOrigin,
    id: string,
  ): Promise<LabSession | undefined> {
    const value = request.cookies[cookieOf(origin, id).name];
    const session = value === undefined ? undefined : await sessions.find(value);
    return session?.environment === id && !cuts.has(session.id) ? session : undefined;
  }

  function shutFor(request: FastifyRequest, origin: JupyterOrigin, id: string): BerthError {
    const value = request.cookies[cookieOf(origin, id).name];
    const cut = value === undefined ? undefined : cuts.get(sessions.idOf(value));
    return new BerthError(
      'jupyter_entrance',
      cut ?? `Nobody has come in to ${id} from this browser, or that is over.`,
    );
  }

  return app;
}

function cookieOf(origin: JupyterOrigin, environment: string) {
  const { isSecure: secure, isolated } = origin;
  const prefix = secure ? (isolated ? '__Host-' : '__Secure-') : '';
  return {
    name: `${prefix}berth-jupyter`,
    path: isolated ? '/' : baseUrlOf(environment),
    httpOnly: true,
    secure,
    // Not "strict": the way in is a redirect from Berth's own origin, which may be another site.
    sameSite: 'lax',
  } as const;
}

/** @throws BerthError `forbidden` */
function mustBeOfThisOrigin({ raw, headers }: FastifyRequest, own: string): void {
  const { origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest } = headers;
  if (origin === own || (origin === undefined && site === 'same-origin')) return;
  const isRead = (raw.method === 'GET' || raw.method === 'HEAD') && !upgrades.has(raw);
  // A link that is followed, an address that is typed, or a browser that does not say: it reads what only it can read.
  const isHarmless = site === undefined || site === 'none' || (mode === 'navigate' && dest === 'document');
  if (origin === undefined && isRead && isHarmless) return;
  throw new BerthError(
    'forbidden',
    origin === undefined
      ? 'The request does not say which page it comes from.'
      : `The request comes from a page of ${JSON.stringify(origin)}, which is not this JupyterLab.`,
    { cure: `Send it from a page of ${own}.` },
  );
}

function wrongHost(origin: JupyterOrigin, environment: string): BerthError {
  return new BerthError('not_found', `JupyterLab of ${environment} is not at this address.`, {
    cure: `It is at ${origin.originOf(environment)} (setting jupyter.publicUrl).`,
  });
}

/** Whether a person loads a page, and not a page something for itself. */
function isNavigation({ method, headers }: FastifyRequest): boolean {
  const mode = headers['sec-fetch-mode'];
  if (method !== 'GET') return false;
  return mode === undefined ? headers.accept?.includes('text/html') === true : mode === 'navigate';
}

function environmentOf({ params }: FastifyRequest): string | null {
  const { id } = (params ?? {}) as { id?: string };
  return id !== undefined && /^[a-z0-9-]{1,41}$/.test(id) ? id : null;
}

function labOf({ ip, socket, headers }: FastifyRequest, { id, principal, environment }: LabSession): LabOf {
  return {
    ...{ session: id, principal, environment },
    source: ip,
    sourcePort: socket.remotePort ?? 0,
    client: headers['user-agent'] ?? '',
  };
}
