/**
 * The command's way to the running server: the Unix socket in the data folder, or HTTP(S) to BERTH_URL with
 * the token in BERTH_TOKEN. Answers that are not a success become a CommandFailure.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Problem } from '@berth/contract';
import { CommandFailure, exitCodeOf, exitCodes, failureOf, usageFailure } from './failure.ts';
import { socketIn } from './place.ts';

const usualAnswerTimeoutMs = 30_000;

export type Query = Record<string, string | number | boolean | undefined>;

interface Page<T> {
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
  static at(url: string, token: string | undefined): Client {
    const base = URL.parse(url);
    if (base === null || !/^https?:$/.test(base.protocol)) {
      throw usageFailure(
        `BERTH_URL is ${JSON.stringify(url)}`,
        'It takes an address such as https://berth.example.com.',
      );
    }
    return new Client({ name: base.origin, base, ...(token ? { token } : {}) });
  }

  get<T>(path: string, query?: Query): Promise<T> {
    return this.#exchange<T>(path, { method: 'GET', ...(query ? { query } : {}) });
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.#exchange<T>(path, { method: 'POST', body });
  }

  delete<T>(path: string): Promise<T> {
    return this.#exchange<T>(path, { method: 'DELETE' });
  }

  /** Every item of a list, page after page. */
  async all<T>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.get<Page<T>>(path, { ...query, cursor });
      items.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    return items;
  }

  /** Sends a body that may be large, to a route that may take long with it. */
  upload<T>(path: string, sending: Pick<Sending, 'query' | 'headers' | 'source'>): Promise<T> {
    return this.#exchange<T>(path, { method: 'POST', answerTimeoutMs: 0, ...sending });
  }

  /** An answer that is read while it is being written. */
  stream(path: string, options: Omit<Sending, 'method' | 'body'>): Promise<IncomingMessage> {
    return this.#send(path, { method: 'GET', ...options });
  }

  async #exchange<T>(path: string, sending: Sending): Promise<T> {
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
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (response) => {
        request.setTimeout(sending.idleTimeoutMs ?? usualAnswerTimeoutMs);
        resolve(response);
      });
      const timeoutMs = sending.answerTimeoutMs ?? usualAnswerTimeoutMs;
      request.setTimeout(timeoutMs, () =>
        request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
      );
      request.on('error', reject);
      if (sending.source === undefined) request.end(body);
      else sending.source.on('error', (error) => request.destroy(error)).pipe(request);
    }).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    throw await this.#refusal(answer, status, `${sending.method} ${path}`);
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
        : 'Check BERTH_URL and that Berth runs there.';
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
        'Run the command as the account that runs Berth, or set BERTH_URL and BERTH_TOKEN.',
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
