/**
 * The HTTP side: validation, who is asking, errors as problem documents, the API's description.
 *
 * Every route asks for a principal unless its config says `public`.
 */
import { randomUUID } from 'node:crypto';
import { BerthError, routes } from '@berth/contract';
import type { Scope } from '@berth/contract';
import fastifyCookie from '@fastify/cookie';
import fastifyHelmet from '@fastify/helmet';
import fastifyRateLimit from '@fastify/rate-limit';
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { LogController } from 'fastify';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Logger } from 'pino';
import type { Principal } from '../accounts/principal.ts';
import { accountRoutes } from '../accounts/routes.ts';
import { auditRoutes } from '../audit/routes.ts';
import { customerRoutes } from '../customers/routes.ts';
import type { Database } from '../database/database.ts';
import { deviceRoutes } from '../devices/routes.ts';
import type { Addresses } from '../environments/present.ts';
import { environmentRoutes } from '../environments/routes.ts';
import type { Notices } from '../events/notices.ts';
import { platformRoutes } from '../platform/routes.ts';
import type { Platform } from '../platform/platform.ts';
import { portRoutes } from '../ports/routes.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import type { SettingInForce, Settings } from '../settings.ts';
import { authenticate, localPrincipal } from '../sign-in/authenticate.ts';
import { TooManyTries, networkOf } from '../sign-in/limits.ts';
import { signInRoutes } from '../sign-in/routes.ts';
import { sshKeyRoutes } from '../ssh-keys/routes.ts';
import { tokenRoutes } from '../tokens/routes.ts';
import { sendProblem, toProblem } from './problems.ts';
import { compileValidator } from './validation.ts';

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What the routes work with. */
export interface Services {
  database: Database;
  runtime: Runtime;
  settings: Settings;
  settingsInForce: SettingInForce[];
  keyRing: KeyRing;
  notices: Notices;
  platform: Platform;
  addresses: Addresses;
  logger: Logger;
  /** Aborted when the server is about to end, so that long answers end too. */
  stopping: AbortSignal;
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyContextConfig {
    /** Answers without asking who is there. */
    public?: boolean;
    /** Administration: for administrators, with a token of that scope. */
    admin?: boolean;
    /** For every account, whatever its token's scopes are, such as ending a session. */
    anyScope?: boolean;
  }
}

/** Set on the sockets that came through the Unix socket in the data folder. */
export const localSockets = new WeakSet<object>();

/** For the documentation's page. Not "upgrade-insecure-requests": Berth may be reached by plain HTTP in a closed network. */
const documentationPolicy =
  "default-src 'self'; base-uri 'self'; img-src 'self' data:; object-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'";

const wordMark =
  '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><text x="4" y="29" font-family="sans-serif" font-size="26" font-weight="600" fill="#fff">Berth</text></svg>';

const largestBodyBytes = 1024 * 1024;

export async function makeApp(services: Services): Promise<App> {
  const app = fastify({
    loggerInstance: services.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: largestBodyBytes,
    exposeHeadRoutes: false,
    genReqId: () => randomUUID(),
    rewriteUrl: (request) => decodable(request.url ?? '/'),
    // Longer than any request line: what is too long is said by the route's own schema.
    routerOptions: { maxParamLength: 65_536 },
    requestTimeout: 60_000,
    forceCloseConnections: true,
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(compileValidator);
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof TooManyTries) reply.header('retry-after', error.retryAfterSeconds);
    return sendProblem(reply, toProblem(error, request));
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      toProblem(
        new BerthError(
          'not_found',
          `${request.method} ${request.url.split('?')[0]} is not a path of this API.`,
        ),
        request,
      ),
    ),
  );
  app.removeContentTypeParser('text/plain');
  acceptEmptyJson(app);

  await app.register(fastifyHelmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
  });
  await app.register(fastifyRateLimit, {
    global: false,
    // A Unix socket has no address, and its owner no limit.
    allowList: (request) => localSockets.has(request.raw.socket),
    keyGenerator: (request) => (request.ip ? networkOf(request.ip) : ''),
    errorResponseBuilder: (_request, context) =>
      new BerthError(
        'rate_limited',
        `Too many requests from this address: at most ${context.max} in ${context.after}.`,
      ),
  });
  await app.register(fastifyCookie);
  app.decorateRequest('principal');
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.public === true || request.is404) return;
    request.principal = localSockets.has(request.raw.socket)
      ? await localPrincipal(services.database)
      : await authenticate(services, request);
    mustBeAllowed(request);
  });

  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(routes.docs)) route.config = { ...route.config, public: true };
    if (route.config?.public === true) route.schema = { ...route.schema, security: [] };
  });
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Berth', version: '0.1.0', description: apiDescription },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: routes.docs,
    staticCSP: documentationPolicy,
    logo: { type: 'image/svg+xml', content: Buffer.from(wordMark) },
    theme: { title: 'Berth' },
  });

  await app.register(async (scope) => {
    const typed = scope.withTypeProvider<TypeBoxTypeProvider>();
    for (const register of [
      environmentRoutes,
      sshKeyRoutes,
      portRoutes,
      signInRoutes,
      deviceRoutes,
      tokenRoutes,
      accountRoutes,
      customerRoutes,
      auditRoutes,
      platformRoutes,
    ]) {
      register(typed, services);
    }
    typed.get(routes.openapi, { config: { public: true }, schema: { hide: true } }, () => app.swagger());
  });
  await app.ready();
  return app;
}

/** @throws BerthError `forbidden` */
function mustBeAllowed({ principal, method, routeOptions: { config } }: FastifyRequest): void {
  if (config.anyScope === true) return;
  if (config.admin === true && principal.role !== 'admin')
    throw new BerthError('forbidden', `Only an administrator may do that; ${principal.account} is a member.`);
  const needed: Scope = config.admin === true ? 'admin' : method === 'GET' ? 'read' : 'write';
  if (!principal.scopes.includes(needed)) {
    throw new BerthError(
      'forbidden',
      `This token may ${principal.scopes.join(' and ')}; that needs the scope ${needed}.`,
      { cure: `Make a token with the scope ${needed}.` },
    );
  }
}

/** What cannot be decoded is taken letter by letter: Fastify would refuse it before the hooks, so without headers. */
function decodable(url: string): string {
  try {
    decodeURIComponent(url);
    return url;
  } catch {
    return url.replaceAll('%', '%25');
  }
}

/** `POST .../start` has nothing to say; clients that send the JSON type with an empty body mean just that. */
function acceptEmptyJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, String(body), done);
  });
}

const apiDescription = `Every route but /healthz, /readyz, the description of the API and those that sign in asks for
a bearer token, or for the cookie that POST /api/session gives to a browser. Errors are problem documents (RFC 9457) with a stable code, what happened, and the cure.`;
