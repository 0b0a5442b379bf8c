/** A browser's end of a terminal, without a browser: one page with one session, over WebSockets that come and go. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { pathOf, routes } from '@berth/contract';
import type { PageMessage, ServerMessage } from '@berth/contract';
import { WebSocket } from 'ws';

export interface PageOptions {
  /** `http://127.0.0.1:8080` */
  origin: string;
  environment: string;
  headers: Record<string, string>;
  session?: string;
  columns?: number;
  rows?: number;
  wake?: boolean;
  /** Address that it comes from. */
  localAddress?: string;
  /** Whether what came is kept to be looked at; otherwise it is counted only. */
  keeps?: boolean;
}

const inputWindowBytes = 64 * 1024;

export class TerminalPage {
  readonly session: string;
  readonly messages: ServerMessage[] = [];
  readonly #options: PageOptions;
  readonly #writer = randomBytes(8).toString('hex');
  #socket: WebSocket | null = null;
  #parts: Buffer[] = [];
  /** Bytes of output that are here. */
  offset = 0;
  /** Whether what comes is acknowledged. */
  takes = true;
  #wasReady = false;
  /** Of the connection that there is. */
  #isReady = false;
  /** All that was ever typed; how much of it was sent, and taken. */
  #typed = Buffer.alloc(0);
  #sent = 0;
  #took = 0;
  /** How many messages there were before the connection that there is. */
  #heardBefore = 0;
  #waiting = new Set<() => void>();

  constructor(options: PageOptions) {
    this.#options = options;
    this.session = options.session ?? randomBytes(8).toString('hex');
  }

  /** @throws Error with the status of the answer where that is no WebSocket */
  async connect(change: Partial<PageOptions> = {}): Promise<void> {
    const {
      origin,
      environment,
      headers,
      columns = 80,
      rows = 24,
      wake,
      localAddress,
    } = {
      ...this.#options,
      ...change,
    };
    const query = new URLSearchParams({
      session: this.session,
      writer: this.#writer,
      from: String(this.offset),
      columns: String(columns),
      rows: String(rows),
      ...(this.#wasReady ? {} : { new: 'true' }),
      ...(wake === true ? { wake: 'true' } : {}),
    });
    const url = `${origin.replace(/^http/, 'ws')}${pathOf(routes.terminal, { id: environment })}?${query}`;
    const socket = new WebSocket(url, {
      headers,
      perMessageDeflate: false,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#socket = socket;
    this.#isReady = false;
    this.#heardBefore = this.messages.length;
    socket.on('message', (data: Buffer, isBinary) => {
      if (socket !== this.#socket) return;
      if (isBinary) this.#output(data);
      else this.#hear(JSON.parse(data.toString()) as ServerMessage);
      for (const stirred of this.#waiting) stirred();
    });
    const refused = new Promise<never>((_resolve, reject) => {
      socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => reject(new Error(`answered ${response.statusCode}: ${body}`)));
      });
      socket.once('error', reject);
    });
    await Promise.race([once(socket, 'open'), refused]);
    socket.on('close', () => {
      for (const stirred of this.#waiting) stirred();
    });
  }

  #output(bytes: Buffer): void {
    this.offset += bytes.length;
    if (this.#options.keeps !== false) this.#parts.push(bytes);
    if (this.takes) this.say({ type: 'taken', offset: this.offset });
  }

  #hear(message: ServerMessage): void {
    this.messages.push(message);
    if (message.type === 'ready') {
      this.#wasReady = this.#isReady = true;
      this.offset = message.offset;
      this.#sent = this.#took = message.taken;
      this.#send();
    } else if (message.type === 'taken') {
      this.#took = message.offset;
      this.#send();
    }
  }

  #send(): void {
    const until = Math.min(this.#typed.length, this.#took + inputWindowBytes);
    if (until <= this.#sent || !this.#isReady) return;
    this.#socket?.send(this.#typed.subarray(this.#sent, until));
    this.#sent = until;
  }

  #last<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }> | undefined {
    return this.messages.slice(this.#heardBefore).findLast((message) => message.type === type) as never;
  }

  /** Whether the connection that there is has said `ready`. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** What was kept. */
  get text(): string {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0]?.toString() ?? '';
  }

  /** Forgets what was kept; its offset stays. */
  forget(): void {
    this.#parts = [];
  }

  say(message: PageMessage): void {
    if (this.isOpen) this.#socket?.send(JSON.stringify(message));
  }

  sendRaw(data: Buffer | string): void {
    this.#socket?.send(data);
  }

  /** All that is here was taken. */
  take(): void {
    this.takes = true;
    this.say({ type: 'taken', offset: this.offset });
  }

  type(text: string): void {
    this.#typed = Buffer.concat([this.#typed, Buffer.from(text)]);
    if (this.isOpen) this.#send();
  }

  /** As a network that is gone: no word, no close. */
  cut(): void {
    this.#socket?.terminate();
    this.#socket = null;
  }

  leave(): void {
    this.say({ type: 'leave' });
  }

  async says(pattern: RegExp, withinMs = 10_000): Promise<string> {
    await this.until(() => pattern.test(this.text), withinMs, String(pattern));
    return this.text;
  }

  /** The latest message of that type since the page connected last. */
  async hears<T extends ServerMessage['type']>(
    type: T,
    withinMs = 10_000,
  ): Promise<Extract<ServerMessage, { type: T }>> {
    await this.until(() => this.#last(type) !== undefined, withinMs, type);
    return this.#last(type) as Extract<ServerMessage, { type: T }>;
  }

  /** Why the server has closed it. */
  async ends(withinMs = 10_000): Promise<Extract<ServerMessage, { type: 'end' }>> {
    const said = await this.hears('end', withinMs);
    await this.until(() => !this.isOpen, withinMs, 'close');
    return said;
  }

  async until(isSo: () => boolean, withinMs: number, what: string): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!isSo()) {
      const leftMs = deadline - Date.now();
      if (leftMs <= 0)
        throw new Error(
          `no ${what} within ${withinMs} ms; messages ${JSON.stringify(this.messages.slice(-5))}; text ${JSON.stringify(this.text.slice(-500))}`,
        );
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, Math.min(leftMs, 200));
        this.#waiting.add(done);
      });
    }
  }
}
