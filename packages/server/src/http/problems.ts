/** Errors as RFC 9457 problem documents. What is not in the catalogue is told to the log only. */
import { BerthError, errorCatalogue, links } from '@berth/contract';
import type { ErrorCode, Problem } from '@berth/contract';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import { RuntimeError } from '../runtime/runtime.ts';

interface ValidationFault {
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
  message?: string;
  data?: unknown;
}

interface HttpFault extends Error {
  statusCode?: number;
  code?: string;
  validation?: ValidationFault[];
  validationContext?: string;
}

/** Of a request, what the log is told where an error is Berth's own. */
type Asked = Pick<FastifyRequest, 'id' | 'method' | 'url'> & { log: Pick<FastifyBaseLogger, 'error'> };

export function toProblem(error: unknown, request: Asked): Problem {
  const known =
    error instanceof BerthError
      ? error
      : (fromHttp(error as HttpFault) ?? fromDatabase(error) ?? fromRuntime(error));
  if (known) {
    const { title } = errorCatalogue[known.code];
    return {
      type: links.problem(known.code),
      title,
      status: known.status,
      code: known.code,
      detail: known.message,
      cure: known.cure,
      ...(known.field === undefined ? {} : { field: known.field }),
    };
  }
  request.log.error({ error, url: request.url, method: request.method }, 'a request failed');
  const { title, status, cure } = errorCatalogue.internal;
  return {
    type: links.problem('internal'),
    title,
    status,
    code: 'internal',
    detail: `The request ${request.id} failed for a reason that is Berth's own.`,
    cure,
    request_id: request.id,
  };
}

/** What the same request, sent again a little later, may be spared. */
const passing: ReadonlySet<string> = new Set([
  'unavailable',
  'runtime_unavailable',
  'request_underway',
] satisfies ErrorCode[]);

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  if (passing.has(problem.code)) reply.header('retry-after', '2');
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

function fromHttp(error: HttpFault): BerthError | undefined {
  if (error.validation?.[0]) return fromValidation(error.validation[0], error.validationContext ?? 'body');
  const { statusCode = 500, code = '' } = error;
  if (statusCode >= 500) return undefined;
  const byStatus: Partial<Record<number, ErrorCode>> = {
    413: 'too_large',
    415: 'unsupported_media_type',
    404: 'not_found',
  };
  const kind = byStatus[statusCode] ?? 'bad_request';
  const notJson = code === 'FST_ERR_CTP_INVALID_JSON_BODY' || error instanceof SyntaxError;
  const detail = notJson ? 'The body is not valid JSON.' : `${error.message.replace(/\.$/, '')}.`;
  return new BerthError(kind, detail, { cause: error });
}

/** Fields whose value is not repeated in an answer; what is pasted as a public key may be a private one. */
const secretFields = new Set(['password', 'current', 'new', 'public_key', 'env_vars', 'device_code']);

/** Names the field as it is written in JSON (`resources.cpu`), the value, and what is allowed. */
function fromValidation(fault: ValidationFault, context: string): BerthError {
  const path = fault.instancePath
    .split('/')
    .filter((part) => part !== '')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const { params } = fault;
  const extra = params['additionalProperty'] ?? params['missingProperty'];
  if (extra !== undefined) path.push(String(extra));
  const field = path.join('.') || context;
  const shown = fault.data !== undefined && !path.some((part) => secretFields.has(part));
  const value = shown ? ` is ${shorten(fault.data)} and` : '';
  const what: Record<string, () => string> = {
    additionalProperties: () => 'is not a field that is known here',
    required: () => 'is missing',
    enum: () =>
      `${value} must be one of ${(params['allowedValues'] as unknown[]).map((each) => JSON.stringify(each)).join(', ')}`.trim(),
    type: () => `${value} must be ${article(String(params['type']))}`.trim(),
    pattern: () => `${value} holds a character that is not allowed here`.trim(),
  };
  const said = what[fault.keyword]?.() ?? `${value} ${fault.message ?? 'does not fit'}`.trim();
  return new BerthError('bad_request', `${field}: ${said}.`, { field });
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

const lostDatabase =
  /ECONNREFUSED|ECONNRESET|ETIMEDOUT|Connection terminated|timeout exceeded when trying to connect/;

/** SQLSTATE class 08: connection; 40: rolled back for the sake of another transaction; 57P: the server is going down; 53: out of resources. */
function fromDatabase(error: unknown): BerthError | undefined {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (code.startsWith('40'))
    return new BerthError('unavailable', 'Another request was in the way.', { cause: error });
  if (!/^(08|53|57P)/.test(code) && !lostDatabase.test(`${code} ${message}`)) return undefined;
  return new BerthError('unavailable', 'The database does not answer.', { cause: error });
}

function fromRuntime(error: unknown): BerthError | undefined {
  if (!(error instanceof RuntimeError) || error.code !== 'unavailable') return undefined;
  return new BerthError('runtime_unavailable', error.message, { cure: error.cure, cause: error });
}
