/** The four calls of the control protocol: what comes in, checked, and what goes out. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { AttemptRequest, BerthError, GatewayRecords, UpstreamRequest, controlPaths } from '@berth/contract';
import type { AttemptAnswer } from '@berth/contract';
import type { TSchema } from 'typebox';
import type { Services } from '../http/app.ts';
import { toProblem } from '../http/problems.ts';
import { compileValidator } from '../http/validation.ts';
import { takeRecords } from './records.ts';
import type { GatewayState } from './state.ts';
import { provideUpstream } from './wake.ts';

/** Decides on an attempt; the signal says that nobody waits any more. */
export type Decide = (
  services: Services,
  request: AttemptRequest,
  signal: AbortSignal,
) => Promise<AttemptAnswer>;

/** Bytes of a body. A certificate with its key has 90 KiB at most; of records there are up to 5000. */
const mostBytes = { attempts: 128 * 1024, upstreams: 64 * 1024, records: 16 * 1024 * 1024 };

const readAttempt = reader<AttemptRequest>(AttemptRequest);
const readUpstream = reader<UpstreamRequest>(UpstreamRequest);
const readRecords = reader<Parameters<typeof takeRecords>[1]>(GatewayRecords);

export function controlCalls(services: Services, state: GatewayState, decide: Decide): RequestListener {
  const calls: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    [`GET ${controlPaths.state}`]: (_request, response) => {
      response.writeHead(200, ndjson);
      state.feed(response);
    },
    [`POST ${controlPaths.attempts}`]: async (request, response) => {
      const attempt = readAttempt(await bodyOf(request, mostBytes.attempts));
      const answer = JSON.stringify(await decide(services, attempt, signalOf(response)));
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(answer),
      });
      response.end(answer);
    },
    [`POST ${controlPaths.upstreams}`]: async (request, response) => {
      const wish = readUpstream(await bodyOf(request, mostBytes.upstreams));
      response.writeHead(200, ndjson);
      for await (const line of provideUpstream(services, wish, signalOf(response)))
        response.write(`${JSON.stringify(line)}\n`);
      response.end();
    },
    [`POST ${controlPaths.records}`]: async (request, response) => {
      await takeRecords(services, readRecords(await bodyOf(request, mostBytes.records)));
      response.writeHead(204).end();
    },
  };
  return (request, response) => {
    const call = calls[`${request.method} ${request.url}`];
    response.on('error', () => undefined);
    void (async () => {
      try {
        if (call === undefined)
          throw new BerthError(
            'not_found',
            `${request.method} ${request.url} is not of the control protocol.`,
          );
        await call(request, response);
      } catch (error) {
        refuse(services, request, response, error);
      }
    })();
  };
}

const ndjson = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' };

function refuse(
  { logger }: Services,
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
): void {
  // Nobody is there any more.
  if (response.destroyed || request.errored) return;
  const { method = '', url = '' } = request;
  const problem = toProblem(error, { id: 'control', method, url, log: logger });
  if (response.headersSent) {
    // The answer has begun: its end is missing, which says that it is not whole.
    response.destroy();
    return;
  }
  response.writeHead(problem.status, { 'content-type': 'application/problem+json', connection: 'close' });
  response.end(JSON.stringify(problem));
}

/** @throws BerthError `too_large`, SyntaxError */
async function bodyOf(request: IncomingMessage, mostBytesOfBody: number): Promise<unknown> {
  const tooLarge = () =>
    new BerthError('too_large', `The body has more than ${mostBytesOfBody} bytes.`, {
      cure: `Send at most ${mostBytesOfBody} bytes.`,
    });
  if (Number(request.headers['content-length']) > mostBytesOfBody) throw tooLarge();
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > mostBytesOfBody) throw tooLarge();
    parts.push(part);
  }
  const text = (parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString('utf8') ?? '';
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BerthError('bad_request', 'The body is not valid JSON.', { cause: error });
  }
}

/** @returns a function that throws what http/problems.ts makes a `bad_request` of */
function reader<T>(schema: TSchema): (body: unknown) => T {
  const validate = compileValidator({ schema, method: 'POST', url: '', httpPart: 'body' });
  return (body) => {
    const result = validate(body) as { value?: T; error?: unknown };
    if (result.error !== undefined)
      throw Object.assign(new Error('the body does not fit'), {
        statusCode: 400,
        validation: result.error,
        validationContext: 'body',
      });
    return body as T;
  };
}

/** Aborted when whoever asked is gone before the answer is. */
function signalOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
