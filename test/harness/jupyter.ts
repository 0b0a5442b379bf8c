/** A browser, as far as JupyterLab's origin can tell: it goes in by a ticket, keeps the cookie, and speaks WebSocket. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { on, once } from 'node:events';
import { request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pathOf, routes } from '@berth/contract';
import WebSocket from 'ws';

export interface Visit {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** As a browser sends them with a link of the page's own. */
const followed = {
  accept: 'text/html',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
};

export class Visitor {
  readonly #api: { host: string; port: number };
  readonly #headers: Record<string, string>;
  readonly #source: string | undefined;

  /** @param headers by which Berth's own origin knows it: `authorization` or `cookie` */
  constructor(api: { host: string; port: number }, headers: Record<string, string>, source?: string) {
    this.#api = api;
    this.#headers = headers;
    this.#source = source;
  }

  /** A request to Berth's own origin. */
  ask(path: string, ask: Ask = {}): Promise<Visit> {
    return visit(this.#api, this.#source, path, { ...ask, headers: { ...this.#headers, ...ask.headers } });
  }

  /** Where the ticket is taken; nothing is taken yet. */
  async ticket(id: string): Promise<URL> {
    const answer = await this.ask(pathOf(routes.jupyter, { id }), { headers: followed });
    const { location } = answer.headers;
    if (answer.status !== 303 || location === undefined)
      throw new Error(`no ticket: ${answer.status} ${answer.body}`);
    return new URL(location);
  }

  async enter(id: string): Promise<LabVisit> {
    return LabVisit.take(await this.ticket(id), this.#source);
  }
}

/** A session at JupyterLab's origin. */
export class LabVisit {
  readonly url: URL;
  readonly cookie: string;
  /** Where the entrance leads. */
  readonly path: string;
  readonly #source: string | undefined;

  private constructor(url: URL, cookie: string, path: string, source: string | undefined) {
    this.url = url;
    this.cookie = cookie;
    this.path = path;
    this.#source = source;
  }

  static async take(url: URL, source?: string): Promise<LabVisit> {
    const answer = await visit(placeOf(url), source, `${url.pathname}${url.search}`, {
      headers: { host: url.host, accept: 'text/html' },
    });
    const { location, 'set-cookie': cookies = [] } = answer.headers;
    const cookie = cookies[0]?.split(';')[0];
    if (answer.status !== 303 || location === undefined || cookie === undefined)
      throw new Error(`not let in: ${answer.status} ${answer.body}`);
    return new LabVisit(url, cookie, location, source);
  }

  /** As the page's own script asks, unless headers say otherwise. */
  ask(path: string, { headers, ...ask }: Ask = {}): Promise<Visit> {
    const own = {
      host: this.url.host,
      cookie: this.cookie,
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'cors',
    };
    return visit(placeOf(this.url), this.#source, path, { ...ask, headers: { ...own, ...headers } });
  }

  /** As a person loads a page. */
  load(path = this.path): Promise<Visit> {
    return this.ask(path, { headers: followed });
  }

  /** Loads it until there is something else than the page that it is being started. */
  async loaded(path = this.path, withinMs = 90_000): Promise<Visit> {
    for (const deadline = Date.now() + withinMs; ;) {
      const page = await this.load(path);
      if (page.status !== 503 || Date.now() > deadline) return page;
    }
  }

  socket(path: string, headers: Record<string, string> = {}): WebSocket {
    const { hostname, port } = placeOf(this.url);
    const socket = new WebSocket(`ws://${hostname}:${port}${path}`, {
      headers: { host: this.url.host, cookie: this.cookie, origin: this.url.origin, ...headers },
      ...(this.#source === undefined ? {} : { localAddress: this.#source }),
    });
    socket.on('error', () => undefined);
    return socket;
  }

  /** @returns undefined when it was opened, else the status of the refusal */
  async opened(socket: WebSocket): Promise<number | undefined> {
    const refused = once(socket, 'unexpected-response').then(
      ([, response]) => (response as IncomingMessage).statusCode,
    );
    return Promise.race([once(socket, 'open').then(() => undefined), refused]);
  }
}

interface Message {
  header: { msg_type: string };
  content: Record<string, unknown>;
}

/** JupyterLab's page, as far as its scripts speak with its server. */
export class LabPage {
  readonly lab: LabVisit;
  readonly html: string;
  readonly #baseUrl: string;
  readonly #xsrf: string;

  private constructor(lab: LabVisit, html: string, xsrf: string) {
    this.lab = lab;
    this.html = html;
    this.#baseUrl = lab.path.slice(0, lab.path.lastIndexOf('/') + 1);
    this.#xsrf = xsrf;
  }

  /** Waits until it is there. @throws where there is something else */
  static async load(lab: LabVisit): Promise<LabPage> {
    const { status, headers, body } = await lab.loaded();
    assert.equal(status, 200, body);
    return new LabPage(lab, body, /_xsrf=([^;]+)/.exec(String(headers['set-cookie']))?.[1] ?? '');
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.lab.ask(this.#baseUrl + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: {
        origin: this.lab.url.origin,
        'content-type': 'application/json',
        cookie: `${this.lab.cookie}; _xsrf=${this.#xsrf}`,
        'x-xsrftoken': decodeURIComponent(this.#xsrf),
      },
    });
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
    return (answer.body === '' ? undefined : JSON.parse(answer.body)) as T;
  }

  async socket(path: string): Promise<WebSocket> {
    const socket = this.lab.socket(this.#baseUrl + path);
    assert.equal(await this.lab.opened(socket), undefined);
    return socket;
  }

  async kernel(): Promise<WebSocket> {
    const { id } = await this.call<{ id: string }>('POST', 'api/kernels', { name: 'python3' });
    return this.socket(`api/kernels/${id}/channels?session_id=${randomUUID()}`);
  }

  async terminal(): Promise<WebSocket> {
    const { name } = await this.call<{ name: string }>('POST', 'api/terminals');
    return this.socket(`terminals/websocket/${name}`);
  }
}

/** Runs a cell, by Jupyter's messaging protocol. @returns what it printed */
export async function runCell(kernel: WebSocket, code: string): Promise<string> {
  const header = {
    ...{ msg_id: randomUUID(), session: randomUUID(), username: '', date: new Date().toISOString() },
    ...{ msg_type: 'execute_request', version: '5.3' },
  };
  const content = { code, silent: false, store_history: true, allow_stdin: false };
  const messages = on(kernel, 'message', { signal: AbortSignal.timeout(60_000) });
  kernel.send(JSON.stringify({ channel: 'shell', header, parent_header: {}, metadata: {}, content }));
  let printed = '';
  let began = false;
  for await (const [data] of messages) {
    const { header: of, content: told } = JSON.parse(String(data)) as Message;
    if (of.msg_type === 'execute_input') began = true;
    if (of.msg_type === 'stream') printed += String(told['text']);
    if (of.msg_type === 'error') throw new Error(JSON.stringify(told));
    if (began && of.msg_type === 'status' && told['execution_state'] === 'idle') break;
  }
  return printed;
}

/** Every name below localhost is this machine. */
function placeOf({ hostname, port }: URL): { host: string; hostname: string; port: number } {
  const host = hostname.endsWith('.localhost') ? '127.0.0.1' : hostname;
  return { host, hostname: host, port: Number(port) };
}

async function visit(
  { host, port }: { host: string; port: number },
  source: string | undefined,
  path: string,
  { method = 'GET', headers = {}, body }: Ask,
): Promise<Visit> {
  const outgoing = request({
    host,
    port,
    method,
    path,
    headers,
    ...(source === undefined ? {} : { localAddress: source }),
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: (await buffer(response)).toString('utf8'),
  };
}
