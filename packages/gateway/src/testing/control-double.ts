/** A small server of the control protocol on a Unix socket or with TLS, for tests of the gateway's side of it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { chmodSync, rmSync } from 'node:fs';
import { json, text } from 'node:stream/consumers';
import { controlPaths, everythingForwarded } from '@berth/contract';
import type {
  AttemptAnswer,
  AttemptRequest,
  EnvironmentRoute,
  GatewayRecordLine,
  GatewaySettings,
  StateLine,
  UpstreamLine,
} from '@berth/contract';

type Unnumbered<T> = T extends { number: number } ? Omit<T, 'number'> : never;

export const settings: GatewaySettings = {
  address: '127.0.0.1',
  sharedPort: 0,
  proxyProtocol: [],
  graceSeconds: 120,
  attemptsPerConnection: 5,
  connectionsPerSecond: 1000,
  unauthenticatedPerSource: 1000,
  startups: { begin: 1000, ratePercent: 30, full: 2000 },
  liveConnections: 'keep',
  drainSeconds: 3600,
};

export function route(id: string, port: number): EnvironmentRoute {
  return { id, customer: 1, port, username: 'developer', hostKey: 'key', passwordLogin: true, allowlist: [] };
}

export class ControlDouble implements AsyncDisposable {
  settings = settings;
  readonly environments = new Map<string, EnvironmentRoute>();
  /** Each record that came, in order; one that came twice stands here twice. */
  readonly records: GatewayRecordLine[] = [];
  readonly attempts: AttemptRequest[] = [];
  /** What it answers to an attempt. */
  answer: (request: AttemptRequest) => AttemptAnswer = () => ({
    outcome: 'accept',
    grant: {
      environment: 'demo-7f3k',
      customer: 1,
      account: null,
      keyName: null,
      fingerprint: null,
      forwarding: everythingForwarded,
      forceCommand: null,
      touchRequired: false,
      verificationRequired: false,
      terminal: true,
    },
    upstream: { host: '127.0.0.1', port: 1, user: 'developer', hostKey: 'AAAA', certificate: 'AAAA' },
  });
  /** What it answers to an upstream, and whether it breaks off before the end. */
  upstream: (response: ServerResponse) => void = (response) => {
    const line: UpstreamLine = { type: 'failed', sentence: 'There is none.' };
    response.end(`${JSON.stringify(line)}\n`);
  };
  /** Answers records with this status. */
  recordsStatus = 204;
  /** Takes records and breaks off without an answer. */
  breaksOff = false;
  /** Records with these are refused with 400. */
  refuses: (record: GatewayRecordLine) => boolean = () => false;
  /** Connections that were made to it. */
  connections = 0;
  states = 0;
  readonly #where: { path: string } | { port: number };
  readonly #secure: ServerOptions | null;
  #server: Server | null = null;
  readonly #streams = new Set<ServerResponse>();
  #number = 0;

  constructor(where: { path: string } | { port: number }, secure: ServerOptions | null = null) {
    this.#where = where;
    this.#secure = secure;
  }

  async start(): Promise<this> {
    const handle = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    const server = this.#secure === null ? createServer(handle) : createSecureServer(this.#secure, handle);
    server.on(this.#secure === null ? 'connection' : 'secureConnection', () => (this.connections += 1));
    if ('path' in this.#where) {
      rmSync(this.#where.path, { force: true });
      server.listen(this.#where.path);
    } else {
      server.listen(this.#where.port, '127.0.0.1');
    }
    await once(server, 'listening');
    // Workers may be another account.
    if ('path' in this.#where) chmodSync(this.#where.path, 0o666);
    this.#server = server;
    return this;
  }

  get port(): number {
    return (this.#server?.address() as AddressInfo).port;
  }

  /** As a kill would: connections break off. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#streams.clear();
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Closes connections and tells nobody new that it is here. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  set(environment: EnvironmentRoute): void {
    this.environments.set(environment.id, environment);
    this.tell({ type: 'environment', id: environment.id, route: environment });
  }

  unset(id: string): void {
    this.environments.delete(id);
    this.tell({ type: 'environment', id, route: null });
  }

  tell(line: Unnumbered<StateLine>): void {
    this.#number += 1;
    for (const stream of this.#streams)
      stream.write(`${JSON.stringify({ ...line, number: this.#number })}\n`);
  }

  /** Leaves out a number, as if a line were lost. */
  skip(): void {
    this.#number += 1;
  }

  get followers(): number {
    return this.#streams.size;
  }

  attemptRecords(): string[] {
    return this.records.flatMap((record) => (record.type === 'attempt' ? record.id : []));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    switch (request.url) {
      case controlPaths.state:
        return this.#state(response);
      case controlPaths.attempts: {
        const asked = (await json(request)) as AttemptRequest;
        this.attempts.push(asked);
        response.end(JSON.stringify(this.answer(asked)));
        return;
      }
      case controlPaths.upstreams:
        await text(request);
        return this.upstream(response);
      case controlPaths.records: {
        const records = (await json(request)) as GatewayRecordLine[];
        const status = records.some(this.refuses) ? 400 : this.recordsStatus;
        if (status === 204) this.records.push(...records);
        if (this.breaksOff) response.destroy();
        else response.writeHead(status).end();
        return;
      }
      default:
        response.writeHead(404).end();
    }
  }

  #state(response: ServerResponse): void {
    this.states += 1;
    const number = this.#number;
    const lines: StateLine[] = [
      { type: 'begin', number, server: 'double' },
      { type: 'settings', number, settings: this.settings },
      ...[...this.environments.values()].map((each): StateLine => ({
        type: 'environment',
        number,
        id: each.id,
        route: each,
      })),
      { type: 'complete', number },
    ];
    response.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
  }
}
