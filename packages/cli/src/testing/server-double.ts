/** A server on a Unix socket that answers with documents of the contract, for tests of the command alone. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { errorCatalogue } from '@berth/contract';
import type { Environment, EnvironmentEvent, ErrorCode, Problem, SshAccess, Status } from '@berth/contract';

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

export type Answer = (response: ServerResponse, asked: Asked) => void;

export class ServerDouble implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-cli-'));
  readonly asked: Asked[] = [];
  /** By "METHOD /path". */
  readonly answers = new Map<string, Answer>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  static async start(where: 'socket' | 'port' = 'socket'): Promise<ServerDouble> {
    const double = new ServerDouble();
    if (where === 'socket') double.#server.listen(join(double.folder, 'berth.sock'));
    else double.#server.listen(0, '127.0.0.1');
    await once(double.#server, 'listening');
    return double;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new TypeError('it listens on a socket');
    return `http://127.0.0.1:${address.port}`;
  }

  /** The list of environments, with the filter by name that the server has. */
  hold(...environments: Environment[]): void {
    this.answers.set('GET /api/environments', (response, { query }) => {
      const name = query.get('name');
      const items = environments.filter(
        (each) => name === null || each.name === name || each.env_id === name,
      );
      sendJson(response, { items, next_cursor: null });
    });
    for (const each of environments) this.answers.set(`GET /api/environments/${each.env_id}`, json(each));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const asked: Asked = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: await text(request),
    };
    this.asked.push(asked);
    const answer =
      this.answers.get(`${asked.method} ${asked.path}`) ?? problem('not_found', `${asked.path} is no path.`);
    answer(response, asked);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.folder, { recursive: true });
  }
}

function sendJson(response: ServerResponse, document: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
}

export function json(document: unknown): Answer {
  return (response) => sendJson(response, document);
}

export function problem(code: ErrorCode, detail: string): Answer {
  const { status, title, cure } = errorCatalogue[code];
  const document: Problem = { type: `/api/docs#error-${code}`, title, status, code, detail, cure };
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(document));
  };
}

export function sendEvent(response: ServerResponse, event: EnvironmentEvent): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`: a comment\nid: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`);
}

export function makeEvent(
  id: number,
  message: string,
  fields: Partial<EnvironmentEvent> = {},
): EnvironmentEvent {
  return { id, at: '2026-02-03T04:05:06.000Z', kind: 'step', step: null, message, status: null, ...fields };
}

export function makeEnvironment(
  name: string,
  status: Status,
  fields: Partial<Environment> = {},
): Environment {
  return {
    env_id: `${name}-7f3k`,
    name,
    customer_id: 1,
    image: 'default',
    resources: { cpu: 2, memory: 4, gpu: 0, storage: 20 },
    running_resources: null,
    datasets: [],
    env_vars: [],
    exposure: 'direct',
    running_exposure: null,
    forwarding: { local: true, remote: true, agent: true, x11: true, sftp: true },
    password_login: true,
    wake: true,
    own_port: 'auto',
    sudo: true,
    status,
    status_since: '2026-02-03T04:05:06.000Z',
    step: null,
    failure: null,
    notes: [],
    ssh_host: 'ssh.example.com',
    ssh_port: 30001,
    ssh_username: 'developer',
    shared_port: 2222,
    jupyter_url: `http://127.0.0.1:8080/jupyter/${name}-7f3k`,
    created_at: '2026-02-03T04:05:06.000Z',
    started_at: null,
    password_expires_at: null,
    ...fields,
  };
}

/** As the server says it of one without an own port. */
export function makeSharedAccess(environment: Environment): SshAccess {
  const { env_id } = environment;
  return {
    ...makeSshAccess(environment),
    ssh_port: null,
    ssh_command: `ssh ${env_id}@ssh.example.com -p 2222`,
    sftp_url: `sftp://${env_id}@ssh.example.com:2222`,
    vscode_config: `Host ${env_id}\n  HostName ssh.example.com\n  Port 2222\n  User ${env_id}`,
    known_hosts: '[ssh.example.com]:2222 ssh-ed25519 AAAAC3Sh',
  };
}

export function makeSshAccess(environment: Environment): SshAccess {
  return {
    env_id: environment.env_id,
    ssh_host: 'ssh.example.com',
    ssh_port: 30001,
    ssh_username: 'developer',
    ssh_password: 'Secret-Enough-1',
    password_changed_at: '2026-02-03T04:05:06.000Z',
    password_expires_at: null,
    ssh_command: 'ssh developer@ssh.example.com -p 30001',
    vscode_config: `Host ${environment.env_id}\n  HostName ssh.example.com\n  Port 30001\n  User developer`,
    sftp_url: 'sftp://developer@ssh.example.com:30001',
    host_keys: [{ type: 'ssh-ed25519', fingerprint: 'SHA256:abc' }],
    known_hosts: '[ssh.example.com]:30001 ssh-ed25519 AAAAC3Nz',
    shared_port: 2222,
    shared_port_command: `ssh ${environment.env_id}@ssh.example.com -p 2222`,
    shared_known_hosts: '[ssh.example.com]:2222 ssh-ed25519 AAAAC3Sh',
    jump_command: `ssh -J admin@ssh.example.com:2222 developer@${environment.env_id}`,
    jump_known_hosts: `${environment.env_id} ssh-ed25519 AAAAC3Nz`,
  };
}
