/**
 * The HTTP side: validation, who is asking, errors as problem documents, the API's description.
 *
 * Every route asks for a principal unless its config says `public`.
 */
import { randomUUID } from 'node:crypto';
import { BerthError, Problem, routes } from '@berth/contract';
import type { Scope } from '@berth/contract';
import type { SigningKey } from '@berth/ssh';
import fastifyCookie from '@fastify/cookie';
import fastifyHelmet from '@fastify/helmet';
import fastifyRateLimit from '@fastify/rate-limit';
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { LogController } from 'fastify';
import type {
  FastifyBaseLogger,
  FastifyContextConfig,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Logger } from 'pino';
import type { Principal } from '../accounts/principal.ts';
import { accountRoutes } from '../accounts/routes.ts';
import type { AuthLog } from '../audit/auth-log.ts';
import { allowlistRoutes } from '../allowlists/routes.ts';
import { auditRoutes } from '../audit/routes.ts';
import { connectionRoutes } from '../connections/routes.ts';
import { customerRoutes } from '../customers/routes.ts';
import { deviceRoutes } from '../devices/routes.ts';
import { datasetRoutes } from '../datasets/routes.ts';
import type { Addresses } from '../environments/present.ts';
import { environmentRoutes } from '../environments/routes.ts';
import type { Directory } from '../control/directory.ts';
import type { UpstreamAddresses } from '../control/upstream.ts';
import type { Notices } from '../events/notices.ts';
import { imageRoutes } from '../images/routes.ts';
import { backupRoutes } from '../backup/routes.ts';
import type { DataFolder } from '../data-folder.ts';
import type { Database, PoolUse } from '../database/database.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import { Metrics } from '../metrics/metrics.ts';
import type { LoginFailures } from '../lockouts/login-failures.ts';
import { lockoutRoutes } from '../lockouts/routes.ts';
import { metricsRoutes } from '../metrics/routes.ts';
import { platformRoutes } from '../platform/routes.ts';
import type { Platform } from '../platform/platform.ts';
import { portRoutes } from '../ports/routes.ts';
import { quotaRoutes } from '../quotas/routes.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { secretRoutes } from '../secrets/routes.ts';
import type { SettingInForce, Settings } from '../settings.ts';
import { authenticate, localPrincipal } from '../sign-in/authenticate.ts';
import { TooManyTries, networkOf } from '../sign-in/limits.ts';
import { signInRoutes } from '../sign-in/routes.ts';
import { sshAuthorityRoutes } from '../ssh-authorities/routes.ts';
import { sshKeyRoutes } from '../ssh-keys/routes.ts';
import { tokenRoutes } from '../tokens/routes.ts';
import { storageRoutes } from '../storage/routes.ts';
import type { Certificate } from './certificate.ts';
import { sendProblem, toProblem } from './problems.ts';
import { repeatableRequests } from './repeatable.ts';
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
  folder: DataFolder;
  /** null: HTTP. */
  certificate: Certificate | null;
  /** What this server shows to gateways on other machines; null: there are none. */
  controlCertificate: Certificate | null;
  lifecycle: Lifecycle;
  poolUse: () => PoolUse;
  queriesRun: () => number;
  gatewayMetrics: GatewayMetrics;
  authLog: AuthLog;
  notices: Notices;
  directory: Directory;
  upstreamAddresses: UpstreamAddresses;
  loginFailures: LoginFailures;
  /** Signs what opens the environments. */
  authority: SigningKey;
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
    /** Takes a body that may be long in coming. */
    longBody?: boolean;
  }
}

/** Set on the sockets that came through the Unix socket in the data folder. */
export const localSockets = new WeakSet<object>();

/** For the documentation's page. Not "upgrade-insecure-requests": Berth may be reached by plain HTTP in a closed network. */
const documentationPolicy =
  "default-src 'self'; base-uri 'self'; img-src 'self' data:; object-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'";

const wordMark =
  '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><text x="4" y="29" font-family="sans-serif" font-size="26" font-weight="600" fill="#fff">Berth</text></svg>';

/** What any route may answer. */
const problemAnswer = {
  description: 'A problem document: what happened, and the cure',
  content: { 'application/problem+json': { schema: Problem } },
};

const largestBodyBytes = 1024 * 1024;
const longestBodyMs = 60_000;

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
    // `boundBody` is what bounds the time for a body; a restore's may take longer.
    requestTimeout: 0,
    forceCloseConnections: true,
    trustProxy: services.settings.trustedProxies.length > 0 ? services.settings.trustedProxies : false,
    ...(services.certificate === null ? {} : { https: services.certificate.pair }),
  } as FastifyServerOptions).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(compileValidator);
  const methods = new Methods();
  app.addHook('onRoute', ({ url, method }) => methods.add(url, method));
  const answerNowhere = (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.split('?')[0] ?? '';
    const allowed = methods.of(path);
    if (allowed.length > 0) reply.header('allow', allowed.join(', '));
    const fault =
      allowed.length > 0
        ? new BerthError('method_not_allowed', `${request.method} does not fit ${path}.`, {
            cure: `Use ${allowed.join(' or ')}.`,
          })
        : new BerthError('not_found', `${request.method} ${path} is not a path of this API.`);
    return sendProblem(reply, toProblem(fault, request));
  };
  app.setNotFoundHandler(answerNowhere);
  // What is wrong with a request's body matters only where there is somebody to read it.
  app.setErrorHandler((error, request, reply) => {
    if (request.is404) return answerNowhere(request, reply);
    if (error instanceof TooManyTries) reply.header('retry-after', error.retryAfterSeconds);
    return sendProblem(reply, toProblem(error, request));
  });
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
  const metrics = new Metrics(services);
  metrics.observe(app);
  app.decorateRequest('principal');
  app.addHook('onRequest', async (request) => {
    boundBody(request);
    if (request.routeOptions.config.public === true || request.is404) return;
    request.principal = localSockets.has(request.raw.socket)
      ? await localPrincipal(services.database)
      : await authenticate(services, request);
    mustBeAllowed(request);
  });
  repeatableRequests(app, services);

  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(routes.docs)) route.config = { ...route.config, public: true };
    if (route.config?.public === true) route.schema = { ...route.schema, security: [] };
    const response = (route.schema?.response ?? {}) as Record<string, unknown>;
    const access = { 'x-access': whoMay(route.config ?? {}) };
    route.schema = {
      ...route.schema,
      ...access,
      response: { '4xx': problemAnswer, '5xx': problemAnswer, ...response },
    };
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
      sshAuthorityRoutes,
      lockoutRoutes,
      portRoutes,
      connectionRoutes,
      allowlistRoutes,
      signInRoutes,
      deviceRoutes,
      tokenRoutes,
      accountRoutes,
      customerRoutes,
      auditRoutes,
      storageRoutes,
      datasetRoutes,
      imageRoutes,
      quotaRoutes,
      platformRoutes,
      backupRoutes,
      secretRoutes,
    ]) {
      register(typed, services);
    }
    metricsRoutes(typed, metrics);
    typed.get(routes.openapi, { config: { public: true }, schema: { hide: true } }, () => app.swagger());
  });
  await app.ready();
  return app;
}

/** Which methods each path takes, for the answer to one that it does not. */
class Methods {
  readonly #taken = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  add(url: string, method: string | string[]): void {
    // Parameters are one segment, "*" is the rest.
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:[A-Za-z]+/g, '[^/]+')
      .replace(/\*/g, '.*');
    const taken = this.#taken.get(url) ?? { pattern: new RegExp(`^${pattern}$`), methods: new Set() };
    for (const each of [method].flat()) taken.methods.add(each);
    this.#taken.set(url, taken);
  }

  of(path: string): string[] {
    const found = new Set<string>();
    for (const { pattern, methods } of this.#taken.values()) {
      if (!pattern.test(path)) continue;
      for (const method of methods) found.add(method);
    }
    return [...found].sort();
  }
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

/** For the description: who may use a route. */
function whoMay({ public: isPublic, admin }: FastifyContextConfig): string {
  if (isPublic === true) return 'everybody';
  return admin === true ? 'administrators' : 'accounts';
}

/** A body that does not come to its end in time takes its connection with it. */
function boundBody({ raw, headers, routeOptions: { config } }: FastifyRequest): void {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0;
  if (!hasBody || config.longBody === true) return;
  const timer = setTimeout(() => raw.destroy(), longestBodyMs).unref();
  raw.once('close', () => clearTimeout(timer));
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
a bearer token, or for the cookie that POST /api/session gives to a browser. Errors are problem documents (RFC 9457) with
a stable code, what happened, and the cure. A request that changes something may carry an Idempotency-Key: sent again
within 24 hours, it is answered as the first time.`;
