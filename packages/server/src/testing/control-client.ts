/** A gateway's half of the control protocol, for tests: real requests over the real socket. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';
import type { TLSSocket } from 'node:tls';
import type { AttemptRequest, ConnectionRecord, StateLine, UpstreamLine } from '@berth/contract';
import { controlPaths } from '@berth/contract';

export type ControlPlace = { socketPath: string } | (RequestOptions & { port: number });

let made = 0;
/** An id as gateways make them. */
export function gatewayId(): string {
  return `${Date.now().toString(36)}${String((made += 1)).padStart(12, '0')}`;
}

export class ControlClient {
  readonly #place: ControlPlace;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #open = new Set<ClientRequest>();

  constructor(place: ControlPlace) {
    this.#place = place;
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: string }> {
    const response = await this.#send(method, path, body);
    const parts: Buffer[] = [];
    for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
    return { status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() };
  }

  /** Of mutual TLS: whose certificate the server shows. */
  async shown(): Promise<{ status: number; subject: unknown }> {
    const response = await this.#send('GET', '/');
    const subject = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
    response.resume();
    return { status: response.statusCode ?? 0, subject };
  }

  /** Each line of the state as it comes. */
  async state(): Promise<StateReader> {
    return new StateReader(await this.#send('GET', controlPaths.state));
  }

  /** A stream of the state that nobody reads. */
  async unreadState(): Promise<IncomingMessage> {
    const response = await this.#send('GET', controlPaths.state);
    response.on('error', () => undefined);
    return response.pause();
  }

  async *upstream(body: unknown): AsyncGenerator<UpstreamLine> {
    const response = await this.#send('POST', controlPaths.upstreams, body);
    try {
      for await (const line of createInterface({ input: response })) yield JSON.parse(line) as UpstreamLine;
    } finally {
      response.destroy();
    }
  }

  records(...records: unknown[]): Promise<{ status: number; body: string }> {
    return this.call('POST', controlPaths.records, records);
  }

  close(): void {
    for (const each of this.#open) each.destroy();
    this.#agent.destroy();
  }

  async #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const headers =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const sent =
      'socketPath' in this.#place
        ? request({ ...this.#place, agent: this.#agent, method, path, headers })
        : secureRequest({ ...this.#place, agent: false, method, path, headers });
    this.#open.add(sent);
    sent.once('close', () => this.#open.delete(sent));
    sent.end(payload);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    sent.on('error', () => undefined);
    return response;
  }
}

export class StateReader {
  readonly lines: StateLine[] = [];
  readonly #response: IncomingMessage;
  #stirred: () => void = () => undefined;
  closed = false;

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.on('error', () => undefined);
    response.once('close', () => {
      this.closed = true;
      this.#stirred();
    });
    createInterface({ input: response })
      .on('error', () => undefined)
      .on('line', (line) => {
        this.lines.push(JSON.parse(line) as StateLine);
        this.#stirred();
      });
  }

  /** The first line that fits, from the place on where the last search ended. */
  async next(fits: (line: StateLine) => boolean, withinMs = 1000): Promise<StateLine> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      for (; this.#at < this.lines.length; this.#at += 1) {
        const line = this.lines[this.#at];
        if (line === undefined || !fits(line)) continue;
        this.#at += 1;
        return line;
      }
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.closed)
        throw new Error(`no such line ${this.closed ? 'before the end' : `within ${withinMs} ms`}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#stirred = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #at = 0;

  async complete(withinMs = 5000): Promise<StateLine> {
    return this.next(({ type }) => type === 'complete', withinMs);
  }

  close(): void {
    this.#response.destroy();
  }
}

/** A public key's blob, base64, as an attempt carries one. */
export const someUpstreamKey = `AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(42)}I`;

export function attemptRequest(change: Partial<AttemptRequest> = {}): AttemptRequest {
  return {
    id: gatewayId(),
    connection: gatewayId(),
    gateway: gatewayId(),
    way: 'own-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'developer',
    source: '192.0.2.1',
    source_port: 50_000,
    client: 'SSH-2.0-OpenSSH_9.9',
    method: 'password',
    password: 'a guess',
    key: null,
    upstream_key: someUpstreamKey,
    ...change,
  };
}

export function connectionRecord(change: Partial<ConnectionRecord>): ConnectionRecord {
  return {
    type: 'connection',
    id: gatewayId(),
    gateway: gatewayId(),
    environment: 'demo-7f3k',
    customer: 1,
    account: null,
    method: 'password',
    fingerprint: null,
    key_name: null,
    way: 'own-port',
    source: '192.0.2.1',
    source_port: 50_000,
    client: 'SSH-2.0-OpenSSH_9.9',
    started_at: new Date().toISOString(),
    bytes_in: 0,
    bytes_out: 0,
    channels: 0,
    open_channels: 0,
    ended_at: null,
    end_reason: null,
    ...change,
  };
}
