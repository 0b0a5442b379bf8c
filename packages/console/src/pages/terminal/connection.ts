/**
 * The page's end of one terminal (contract, terminal.ts): a WebSocket that is opened again whenever it is lost, and both
 * directions counted in bytes, so that nothing that was shown is shown twice and nothing that was typed is lost.
 */
import type { PageMessage, ServerMessage, TerminalEnd } from '@berth/contract';
import { inputWindowBytes } from '@berth/contract/vocabulary';

/** What was taken is told after so many bytes, and after a moment in any case. */
const tellBytes = 64 * 1024;
const tellMs = 500;
const pausesMs = [100, 300, 1000, 2000, 4000];
/** A connection that held this long was a good one. */
const steadyMs = 10_000;

export type ConnectionState =
  | { kind: 'connecting' }
  /** The environment is being started. */
  | { kind: 'waking'; message: string; seconds: number }
  | { kind: 'live' }
  /** It is tried again by itself. */
  | { kind: 'lost' }
  | { kind: 'exited'; status: number | null; signal: string | null }
  | { kind: 'ended'; why: Exclude<TerminalEnd, 'unavailable'>; sentence: string };

type Ready = Extract<ServerMessage, { type: 'ready' }>;

export interface ConnectionHandlers {
  state(state: ConnectionState): void;
  /** Before any output, and again after each loss. */
  ready(ready: Ready): void;
  /** `taken` is to be called when the bytes are done with. */
  output(bytes: Uint8Array, taken: () => void): void;
  /** Another page has given the session this size. */
  size(columns: number, rows: number): void;
  /** Nothing answers as it should: whether it is worth another try. */
  mayTryAgain(): Promise<boolean>;
}

export interface ConnectionOptions {
  session: string;
  writer: string;
  /** Begins the session where there is none. */
  isNew: boolean;
  /** Starts the environment where it is stopped; the first time only. */
  wake: boolean;
  columns: number;
  rows: number;
  /** Of the WebSocket with that query. */
  address: (query: URLSearchParams) => string;
}

export class TerminalConnection {
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  readonly #encoder = new TextEncoder();
  #socket: WebSocket | null = null;
  #size: { columns: number; rows: number };
  #isNew: boolean;
  #wake: boolean;
  #holds = true;
  #isReady = false;
  #isOver = false;
  #losses = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Offsets of output: what came, what is done with, what the server was told of that. */
  #came = 0;
  #taken = 0;
  #told = 0;
  #tell: ReturnType<typeof setTimeout> | undefined;
  /** Typed and not known to be taken; where it begins, and how much of all that was typed was sent. */
  #typed: Uint8Array[] = [];
  #typedFrom = 0;
  #typedEnd = 0;
  #sent = 0;
  /** Counts the beginnings: what is done with of an earlier one is no news. */
  #era = 0;

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#size = { columns: options.columns, rows: options.rows };
    this.#isNew = options.isNew;
    this.#wake = options.wake;
  }

  open(): void {
    clearTimeout(this.#retry);
    if (this.#socket !== null) return;
    this.#isOver = false;
    const { session, writer, address } = this.#options;
    const { columns, rows } = this.#size;
    const socket = new WebSocket(
      address(
        new URLSearchParams({
          ...{ session, writer, columns: String(columns), rows: String(rows), from: String(this.#came) },
          ...(this.#isNew ? { new: 'true' } : {}),
          ...(this.#wake ? { wake: 'true' } : {}),
        }),
      ),
    );
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#isReady = false;
    let openedAt: number | undefined;
    socket.addEventListener('open', () => {
      openedAt = performance.now();
      this.#wake = false;
      if (!this.#holds) this.#say({ type: 'hold', hold: false });
    });
    socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (socket !== this.#socket) return;
      if (typeof data === 'string') this.#hear(JSON.parse(data) as ServerMessage);
      else this.#output(new Uint8Array(data));
    });
    socket.addEventListener('close', () => {
      if (socket === this.#socket) void this.#lost(openedAt);
    });
    if (this.#losses === 0) this.#handlers.state({ kind: 'connecting' });
  }

  /** Asked for by a person: the environment may be started. */
  openAnew(wake: boolean): void {
    this.#wake = wake;
    this.#losses = 0;
    this.open();
  }

  /** At once, where a pause would be waited for. */
  retryNow(): void {
    if (this.#socket === null && !this.#isOver) this.open();
  }

  /** As UTF-8, in order, whether there is a connection or not. */
  type(text: string): void {
    this.#queue(this.#encoder.encode(text));
  }

  /** Of a mouse that reports in bytes. */
  typeBytes(text: string): void {
    this.#queue(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
  }

  resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
    this.#say({ type: 'size', columns, rows });
  }

  /** Whether the program waits for this page where it does not keep up. */
  hold(hold: boolean): void {
    if (this.#holds === hold) return;
    this.#holds = hold;
    this.#say({ type: 'hold', hold });
  }

  /** The page goes; the session goes on. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#tell);
    this.#say({ type: 'leave' });
    this.#socket?.close();
    this.#socket = null;
  }

  #hear(message: ServerMessage): void {
    const { state, ready, size } = this.#handlers;
    switch (message.type) {
      case 'progress':
        return state({ kind: 'waking', message: message.message, seconds: message.seconds });
      case 'ready':
        this.#era += 1;
        this.#came = this.#taken = this.#told = message.offset;
        this.#isNew = false;
        this.#isReady = true;
        ready(message);
        this.#sent = message.taken;
        this.#confirm(message.taken);
        return state({ kind: 'live' });
      case 'taken':
        return this.#confirm(message.offset);
      case 'size':
        return size(message.columns, message.rows);
      case 'exit':
        this.#isOver = true;
        // Told when all output before it is on the screen.
        this.#handlers.output(new Uint8Array(), () => {
          this.#tellTaken();
          this.close();
          state({ kind: 'exited', status: message.status, signal: message.signal });
        });
        return;
      case 'end':
        if (message.why === 'unavailable') return;
        this.#isOver = true;
        return state({ kind: 'ended', why: message.why, sentence: message.sentence });
    }
  }

  #output(bytes: Uint8Array): void {
    const era = this.#era;
    this.#came += bytes.length;
    this.#handlers.output(bytes, () => {
      if (era !== this.#era) return;
      this.#taken += bytes.length;
      if (this.#taken - this.#told >= tellBytes) this.#tellTaken();
      else this.#tell ??= setTimeout(() => this.#tellTaken(), tellMs);
    });
  }

  #tellTaken(): void {
    clearTimeout(this.#tell);
    this.#tell = undefined;
    if (this.#taken === this.#told || !this.#isReady) return;
    this.#told = this.#taken;
    this.#say({ type: 'taken', offset: this.#taken });
  }

  #queue(bytes: Uint8Array): void {
    if (this.#isOver || bytes.length === 0) return;
    this.#typed.push(bytes);
    this.#typedEnd += bytes.length;
    this.#send();
  }

  #confirm(offset: number): void {
    while (this.#typedFrom < offset) {
      const [first] = this.#typed;
      if (first === undefined) break;
      const taken = Math.min(first.length, offset - this.#typedFrom);
      this.#typedFrom += taken;
      if (taken === first.length) this.#typed.shift();
      else this.#typed[0] = first.subarray(taken);
    }
    this.#send();
  }

  /** What was not sent, as far as the window goes. */
  #send(): void {
    if (!this.#isReady) return;
    const until = Math.min(this.#typedEnd, this.#typedFrom + inputWindowBytes);
    let at = this.#typedFrom;
    for (const chunk of this.#typed) {
      const from = Math.max(this.#sent, at);
      const to = Math.min(until, at + chunk.length);
      if (from < to) {
        this.#socket?.send(chunk.slice(from - at, to - at));
        this.#sent = to;
      }
      at += chunk.length;
      if (at >= until) break;
    }
  }

  #say(message: PageMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #lost(openedAt: number | undefined): Promise<void> {
    this.#socket = null;
    this.#isReady = false;
    clearTimeout(this.#tell);
    this.#tell = undefined;
    if (this.#isOver) return;
    if (openedAt !== undefined && performance.now() - openedAt > steadyMs) this.#losses = 0;
    this.#losses += 1;
    this.#handlers.state({ kind: 'lost' });
    // A server that says no before the WebSocket is there cannot say why over it.
    if (openedAt === undefined && !(await this.#handlers.mayTryAgain())) {
      this.#isOver = true;
      return;
    }
    const pauseMs = pausesMs[Math.min(this.#losses, pausesMs.length) - 1] ?? 0;
    this.#retry = setTimeout(() => this.open(), pauseMs * (0.75 + Math.random() / 2));
  }
}
