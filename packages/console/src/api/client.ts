/**
 * Requests to the API of the Berth that served this page. Who asks is in the session's cookie, which no script can read.
 *
 * What is not a success is an RFC 9457 problem document; it is thrown as an `ApiError` with what happened and the cure.
 */
import type { Problem } from '@berth/contract';
import { pathOf } from '@berth/contract/paths';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

interface Asked {
  /** What stands in for the template's `:name` parameters. */
  path?: Record<string, string>;
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
}

/** `code` is the catalogue's, or `unreachable` when no answer came. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly cure: string | null;
  readonly field: string | undefined;

  constructor(problem: Pick<Problem, 'code' | 'status' | 'detail' | 'field'> & { cure: string | null }) {
    super(problem.detail);
    this.name = 'ApiError';
    this.code = problem.code;
    this.status = problem.status;
    this.cure = problem.cure;
    this.field = problem.field;
  }

  /** Whether the same request would be answered the same in a moment. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500;
  }
}

/** @throws ApiError */
export async function call<T>(method: Method, template: string, asked: Asked = {}): Promise<T> {
  const { body, signal } = asked;
  const headers = new Headers();
  if (body !== undefined) headers.set('content-type', 'application/json');
  // Sent again, it is carried out once all the same.
  if (method !== 'GET') headers.set('idempotency-key', randomKey());
  const answer = await send(addressOf(template, asked), {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
    cache: 'no-store',
  });
  if (!answer.ok) throw await problemOf(answer);
  return (isJson(answer) ? await answer.json() : await answer.text()) as T;
}

/** Pauses before a request is sent again to which no answer came, as when the network changes. */
const pausesMs = [200, 800];

async function send(address: string, request: RequestInit, pauses = pausesMs): Promise<Response> {
  try {
    return await fetch(address, request);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [pauseMs, ...others] = pauses;
    if (pauseMs === undefined)
      throw new ApiError({ code: 'unreachable', status: 0, detail: error.message, cure: null });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    return send(address, request, others);
  }
}

/** Not `randomUUID`, which a page by plain HTTP does not have. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((each) => each.toString(16).padStart(2, '0'))
    .join('');
}

/** Why an answer is no success. */
export async function problemOf(answer: Response): Promise<ApiError> {
  if (isJson(answer)) return new ApiError((await answer.json()) as Problem);
  return new ApiError({ code: 'unreachable', status: answer.status, detail: answer.statusText, cure: null });
}

function isJson(answer: Response): boolean {
  return /\bjson\b/.test(answer.headers.get('content-type') ?? '');
}

/** For links, and for answers that are read as they come. */
export function addressOf(template: string, { path, query }: Pick<Asked, 'path' | 'query'>): string {
  const given = Object.entries(query ?? {}).flatMap(([name, value]) =>
    [value ?? ''].flat().flatMap((each) => (each === '' ? [] : [[name, String(each)]])),
  );
  const text = new URLSearchParams(given).toString();
  return `${pathOf(template, path)}${text === '' ? '' : `?${text}`}`;
}
