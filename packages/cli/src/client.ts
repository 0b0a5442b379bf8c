/**
 * The command's way to the running server: the Unix socket in the data folder, or HTTP(S) with a token. Answers
 * that are not a success become a CommandFailure.
 *
 * A request whose connection breaks is sent once more: what changes something carries an Idempotency-Key, so the
 * server does it once.
 */
import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { Problem } from '@berth/contract';
import { CommandFailure, exitCodeOf, exitCodes, failureOf, usageFailure } from './failure.ts';
import { socketIn } from './place.ts';
import type { Place } from './place.ts';

const usualAnswerTimeoutMs = 30_000;
/** The longest page that a list has. */
const pageLength = 1000;
/** Between a connection that broke and the second try. */
const pauseMs = 250;
/** How often the second try asks again while the first one is still being answered. */
const attemptsWhileUnderway = 20;
/** The request may have reached the server; that it did not connect at all is not among these. */
const lostConnection = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

export type Query = Record<string, string | number | boolean | undefined>;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

interface Target {
  /** How the address is named in sentences. */
  name: string;
  socketPath?: string;
  base: URL;
  token?: string;
}

interface Sending {
  method: string;
  query?: Query;
  body?: unknown;
  headers?: OutgoingHttpHeaders;
  signal?: AbortSignal;
  /** Until the answer begins; 0: as long as it likes. */
  answerTimeoutMs?: number;
  /** Not sent again when the connection breaks. */
  once?: true;
  /** How long the answer may pause once it began; 0: as long as it likes. */
  idleTimeoutMs?: number;
  /** A body that is sent as it is read, instead of JSON. */
  source?: Readable;
}

export class Client {
  readonly #target: Target;
  readonly #agent: HttpAgent | HttpsAgent;

  private constructor(target: Target) {
    this.#target = target;
    this.#agent = target.base.protocol === 'https:' ? new HttpsAgent() : new HttpAgent();
  }

  /** @param folder the data folder whose server is asked */
  static onThisMachine(folder: string): Client {
    const socketPath = socketIn(folder);
    return new Client({ name: socketPath, socketPath, base: new URL('http://localhost') });
  }

  /** @throws CommandFailure when the address is not one of HTTP(S) */
  static at(url: string, token: string | undefined, from = 'BERTH_URL'): Client {
    const base = URL.parse(url);
    if (base === null || !/^https?:$/.test(base.protocol)) {
      throw usageFailure(
        `${from} is ${JSON.stringify(url)}`,
        'It takes an address such as https://berth.example.com.',
      );
    }
    return new Client({ name: base.origin, base, ...(token ? { token } : {}) });
  }

  static of(place: Place): Client {
    if ('folder' in place) return Client.onThisMachine(place.folder);
    const { url, token, profile } = place;
    if (profile === undefined) return Client.at(url, token);
    if (token !== undefined) return Client.at(url, token, `The URL of the profile ${profile}`);
    throw new CommandFailure(
      exitCodes.notAllowed,
      'signed_out',
      `The profile ${profile} is signed out of ${url}`,
      `Sign in with "berth login --profile ${profile}", or ask this machine's Berth: berth profiles use local`,
    );
  }

  get<T>(path: string, query?: Query): Promise<T> {
    return this.#exchange<T>(path, { method: 'GET', ...(query ? { query } : {}) });
  }

  post<T>(path: string, body?: unknown, options: { answerTimeoutMs?: number } = {}): Promise<T> {
    return this.#exchange<T>(path, { method: 'POST', body, ...options });
  }

  /** For what each time is another question, such as the one for a login's token. */
  postOnce<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return this.#exchange<T>(path, { method: 'POST', body, once: true, ...(signal ? { signal } : {}) });
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#exchange<T>(path, { method: 'PATCH', body });
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#exchange<T>(path, { method: 'PUT', body });
  }

  delete<T>(path: string, query?: Query): Promise<T> {
    return this.#exchange<T>(path, { method: 'DELETE', ...(query ? { query } : {}) });
  }

  /** Every item of a list, page after page. */
  async all<T>(path: string, query: Query = {}): Promise<T[]> {
    return (await this.list<T>(path, query)).items;
  }

  /** The first items of a list, read over as many pages as it takes. */
  async list<T>(path: string, query: Query = {}, limit = Infinity): Promise<Page<T>> {
    const items: T[] = [];
    let next_cursor: string | null = null;
    for await (const page of this.#pages<T>(path, query, limit)) {
      items.push(...page.items);
      ({ next_cursor } = page);
    }
    return { items, next_cursor };
  }

  /** The same, each as its page comes. */
  async *items<T>(path: string, query: Query = {}, limit = Infinity): AsyncGenerator<T> {
    for await (const page of this.#pages<T>(path, query, limit)) yield* page.items;
  }

  async *#pages<T>(path: string, query: Query, limit: number): AsyncGenerator<Page<T>> {
    let left = limit;
    let cursor: string | undefined;
    do {
      const page: Page<T> = await this.get<Page<T>>(path, {
        ...query,
        limit: Math.min(left, pageLength),
        cursor,
      });
      yield page;
      left -= page.items.length;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && left > 0);
  }

  /** Sends a body that may be large, to a route that may take long with it. */
  upload<T>(path: string, sending: Pick<Sending, 'query' | 'headers' | 'source'>): Promise<T> {
    return this.#exchange<T>(path, { method: 'POST', once: true, answerTimeoutMs: 0, ...sending });
  }

  /** An answer that is read while it is being written. */
  stream(path: string, options: Omit<Sending, 'method' | 'body'>): Promise<IncomingMessage> {
    return this.#send(path, { method: 'GET', ...options });
  }

  async #exchange<T>(path: string, given: Sending): Promise<T> {
    const isKeyed = given.method !== 'GET' && !given.once;
    const sending = isKeyed ? { ...given, headers: { 'idempotency-key': randomUUID() } } : given;
    try {
      return await this.#exchangeOnce<T>(path, sending);
    } catch (error) {
      if (sending.once || !wasLost(error)) throw error;
    }
    for (let attempt = 1; ; attempt++) {
      await delay(pauseMs);
      try {
        return await this.#exchangeOnce<T>(path, sending);
      } catch (error) {
        const code = error instanceof CommandFailure ? error.code : '';
        if (code !== 'request_underway' || attempt === attemptsWhileUnderway) throw error;
      }
    }
  }

  async #exchangeOnce<T>(path: string, sending: Sending): Promise<T> {
    const answer = await this.#send(path, sending);
    const content = await text(answer).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    if (content === '') return undefined as T;
    try {
      return JSON.parse(content) as T;
    } catch {
      throw new CommandFailure(
        exitCodes.failed,
        'not_berth',
        `The answer of ${this.#target.name} to ${sending.method} ${path} is not JSON`,
        'Check that the address is that of a Berth of this version.',
      );
    }
  }

  async #send(path: string, sending: Sending): Promise<IncomingMessage> {
    const answer = await this.#request(path, sending);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw await this.#refusal(answer, status, `${sending.method} ${path}`);
  }

  /** The answer whatever its status is, for looking at a server that may not be well. */
  ask(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#request(path, { method: 'GET', signal });
  }

  async #request(path: string, sending: Sending): Promise<IncomingMessage> {
    refuseDots(path);
    const { base, socketPath, token } = this.#target;
    const url = new URL(base.href.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(sending.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const body = sending.body === undefined ? undefined : JSON.stringify(sending.body);
    const options: RequestOptions = {
      method: sending.method,
      agent: this.#agent,
      headers: {
        accept: 'application/json, application/problem+json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...sending.headers,
      },
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(sending.signal ? { signal: sending.signal } : {}),
    };
    const timeoutMs = sending.answerTimeoutMs ?? usualAnswerTimeoutMs;
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (response) => {
        request.setTimeout(sending.idleTimeoutMs ?? usualAnswerTimeoutMs);
        resolve(response);
      });
      request.setTimeout(timeoutMs, () =>
        request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
      );
      request.on('error', reject);
      if (sending.source === undefined) request.end(body);
      else sending.source.on('error', (error) => request.destroy(error)).pipe(request);
    }).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
  }

  async #refusal(answer: IncomingMessage, status: number, asked: string): Promise<CommandFailure> {
    const content = await text(answer).catch(() => '');
    try {
      const problem = JSON.parse(content) as Partial<Problem> | null;
      if (typeof problem?.detail === 'string' && typeof problem.code === 'string') {
        return failureOf({
          type: '',
          title: '',
          cure: '',
          ...problem,
          code: problem.code,
          detail: problem.detail,
          status,
        });
      }
      const refused = oauthError(problem);
      if (refused !== undefined) return new CommandFailure(exitCodeOf(status), refused, refused);
    } catch {
      // a proxy's page instead of a problem document
    }
    const detail =
      `${this.#target.name} answered ${asked} with ${status} ${answer.statusMessage ?? ''}`.trimEnd();
    return new CommandFailure(
      exitCodeOf(status),
      'http_error',
      detail,
      'Check that the address is that of a Berth.',
    );
  }

  #unreachable(error: unknown): unknown {
    if (!(error instanceof Error) || error.name === 'AbortError') return error;
    const { name, socketPath } = this.#target;
    const code = 'code' in error ? String(error.code) : error.message;
    if (socketPath === undefined) {
      const cure = /CERT|SIGNED|VERIFY/.test(code)
        ? 'Name the file of its certificate authority in NODE_EXTRA_CA_CERTS.'
        : 'Check the address (berth whoami says where it comes from) and that Berth runs there.';
      return new CommandFailure(
        exitCodes.unreachable,
        'unreachable',
        `No answer from ${name} (${code})`,
        cure,
        error,
      );
    }
    if (code === 'EACCES') {
      return new CommandFailure(
        exitCodes.notAllowed,
        'forbidden',
        `The socket ${name} is not open to this account`,
        'Run the command as the account that runs Berth, or sign in with: berth login URL',
        error,
      );
    }
    return new CommandFailure(
      exitCodes.unreachable,
      'unreachable',
      `Berth is not running here (no answer at ${name})`,
      'Start it with: npx berth up',
      error,
    );
  }
}

function wasLost(error: unknown): boolean {
  if (!(error instanceof CommandFailure) || error.code !== 'unreachable') return false;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause && lostConnection.includes(String(cause.code));
}

/** RFC 6749, section 5.2: what the questions of a device's login are refused with. */
function oauthError(document: unknown): string | undefined {
  const { error } = (document ?? {}) as { error?: unknown };
  return typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? error : undefined;
}

/**
 * A name of dots would lead to another path, since no escape keeps it from being taken as one.
 *
 * @throws CommandFailure
 */
function refuseDots(path: string): void {
  const dots = path.split('/').find((each) => each === '.' || each === '..');
  if (dots !== undefined) throw usageFailure(`${dots} is no name`, 'Name a thing that its list shows.');
}
