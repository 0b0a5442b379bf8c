/**
 * HTTP requests to the server's control socket: one agent with few connections that are kept open. What a request means,
 * and whether it is asked again, is for the callers (control-client.ts, state-feed.ts, records/).
 */
import { Agent, request } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { createInterface } from 'node:readline';
import type { ServerAddress } from './server-address.ts';

/** An answer other than 2xx. */
export class ControlError extends Error {
  override name = 'ControlError';
  readonly status: number;

  constructor(status: number, path: string, body: string) {
    super(`the server answered ${status} to ${path}: ${body.slice(0, 300)}`);
    this.status = status;
  }
}

/** Enough for attempts side by side; each waits for the server, not for the wire. */
const connections = 32;
const longestErrorBytes = 4096;

export class Requests {
  #agent: Agent;
  #target: RequestOptions;
  #send: typeof request;

  constructor(server: ServerAddress) {
    [this.#agent, this.#target, this.#send] = waysTo(server);
  }

  /** From now on with these certificates; connections that there are serve to their end. */
  renew(server: ServerAddress): void {
    const old = this.#agent;
    [this.#agent, this.#target, this.#send] = waysTo(server);
    old.maxFreeSockets = 0;
    for (const sockets of Object.values(old.freeSockets)) for (const socket of sockets ?? []) socket.end();
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * The answer's JSON.
   *
   * @throws ControlError for another status than 2xx; the system's error where there is no answer; the signal's reason
   */
  async json(path: string, body: object | string, signal: AbortSignal): Promise<unknown> {
    const text = await textOf(await this.#open('POST', path, body, signal));
    return text === '' ? null : JSON.parse(text);
  }

  /** The answer's lines, as they come. @throws as `json` does, also when the stream breaks */
  async *lines(path: string, body: object | null, signal: AbortSignal): AsyncGenerator<unknown, void> {
    const response = await this.#open(body === null ? 'GET' : 'POST', path, body, signal);
    try {
      for await (const line of createInterface({ input: response })) if (line !== '') yield JSON.parse(line);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof SyntaxError ? error : new Error('the stream broke off', { cause: error });
    } finally {
      response.destroy();
    }
    signal.throwIfAborted();
    // One that breaks may also end the lines without an error.
    if (!response.complete) throw new Error('the stream broke off');
  }

  #open(
    method: 'GET' | 'POST',
    path: string,
    body: object | string | null,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const content = body === null || typeof body === 'string' ? body : JSON.stringify(body);
    const headers: OutgoingHttpHeaders =
      content === null
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
    return new Promise((resolve, reject) => {
      const outgoing = this.#send(
        { ...this.#target, agent: this.#agent, method, path, headers },
        (response) => {
          response.once('close', () => signal.removeEventListener('abort', abort));
          const { statusCode = 0 } = response;
          if (statusCode >= 200 && statusCode < 300) return resolve(response);
          textOf(response).then(
            (text) => reject(new ControlError(statusCode, path, text.slice(0, longestErrorBytes))),
            reject,
          );
        },
      );
      // Not the `signal` of node:http, which costs a listener per request more than all the rest.
      const abort = () => outgoing.destroy(signal.reason instanceof Error ? signal.reason : undefined);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      outgoing.once('error', (error) => {
        signal.removeEventListener('abort', abort);
        reject(signal.aborted ? (signal.reason as Error) : error);
      });
      outgoing.end(content ?? undefined);
    });
  }
}

function waysTo(server: ServerAddress): [Agent, RequestOptions, typeof request] {
  const keep = {
    keepAlive: true,
    maxSockets: Infinity,
    maxFreeSockets: connections,
    scheduling: 'lifo',
  } as const;
  if (server.kind === 'unix')
    return [new Agent(keep), { socketPath: server.path, host: 'localhost' }, request];
  const { host, port, certificate, key, authority } = server;
  const agent = new SecureAgent({ ...keep, cert: certificate, key, ca: authority });
  return [agent, { host, port }, secureRequest];
}

function textOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (text += chunk));
    response.once('end', () => resolve(text));
    response.once('error', reject);
    response.once('close', () => reject(new Error('the server ended its answer in the middle')));
  });
}
