// A session as the client sees it (RFC 4254, section 6): one program on the server, its streams, and how it ended.
// Made by `Connection.session`.

import { type Reader, Writer } from '../wire.ts';
import type { Channel, StderrReader } from './channel.ts';
import type { ChannelEndpoint } from './channel-endpoint.ts';
import { ChannelError } from './channel-error.ts';
import type { Answer } from './request-queue.ts';
import {
  type ExitSignal,
  type PseudoTerminal,
  type TerminalSize,
  type X11Request,
  formatPseudoTerminal,
  formatTerminalSize,
  formatX11Request,
} from './session.ts';

export interface SessionOptions {
  readonly pty?: PseudoTerminal;
  /** Servers take only what they are set to take, and do not say which. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lets the program use this side's agent: ConnectionHandlers.forward is asked for each connection to it. */
  readonly agent?: boolean;
  /** The same for this side's X server. */
  readonly x11?: X11Request;
}

/** How the program ended. */
export type Exit = { readonly status: number } | ExitSignal;

export class ClientSession {
  readonly #endpoint: ChannelEndpoint;
  readonly #onForwardAsked: (type: 'x11' | 'auth-agent@openssh.com') => void;
  readonly #refused: string[] = [];
  readonly #exited = Promise.withResolvers<Exit | undefined>();
  #exit: Exit | undefined;

  /** The layer makes it. `onForwardAsked` is told which channels the server may open from now on. */
  constructor(endpoint: ChannelEndpoint, onForwardAsked: (type: 'x11' | 'auth-agent@openssh.com') => void) {
    this.#endpoint = endpoint;
    this.#onForwardAsked = onForwardAsked;
    this.#exited.promise.catch(() => {});
    endpoint.onRequest = (name, reader) => this.#request(name, reader);
    endpoint.onClosed = (error) => {
      if (error === undefined || this.#exit !== undefined) this.#exited.resolve(this.#exit);
      else this.#exited.reject(error);
    };
  }

  /** Writes the program's standard input, reads its standard output. */
  get channel(): Channel {
    return this.#endpoint.channel;
  }

  /** Must be read (or `resume()`d) as well: it shares the channel's window. */
  get stderr(): StderrReader {
    const { stderrReader } = this.#endpoint;
    if (stderrReader === undefined) throw new TypeError('not a session');
    return stderrReader;
  }

  /** Which of `pty`, `agent` and `x11` the server refused; known once the program has started. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /**
   * Resolves when the session is closed: undefined when the server did not say how the program ended. Rejects when
   * the connection ended before.
   */
  get exited(): Promise<Exit | undefined> {
    return this.#exited.promise;
  }

  /** Resolves when the server started the program. Rejects with ChannelError when it refused. */
  async exec(command: Uint8Array | string, options: SessionOptions = {}): Promise<void> {
    await this.#start('exec', new Writer().string(command), options);
  }

  async shell(options: SessionOptions = {}): Promise<void> {
    await this.#start('shell', new Writer(), options);
  }

  /** `sftp` */
  async subsystem(name: string, options: SessionOptions = {}): Promise<void> {
    await this.#start('subsystem', new Writer().string(name), options);
  }

  /** Sends a signal by its name without SIG: `INT`, `TERM`, ... */
  signal(name: string): void {
    this.#endpoint.notify('signal', new Writer().string(name).toBuffer());
  }

  /** Sends a break (RFC 4335); resolves with whether the server did something with it. */
  break(lengthMs: number): Promise<boolean> {
    return this.#endpoint.request('break', new Writer().uint32(lengthMs).toBuffer());
  }

  resize(size: TerminalSize): void {
    this.#endpoint.notify('window-change', formatTerminalSize(size));
  }

  /** Closes the session, whatever the program is doing. */
  close(): void {
    this.channel.destroy();
  }

  /** All requests go out at once; the server answers them in order. */
  async #start(name: string, body: Writer, { pty, env = {}, agent, x11 }: SessionOptions): Promise<void> {
    const endpoint = this.#endpoint;
    const asked: Promise<boolean>[] = [];
    const ask = (option: string, request: string, formatted?: Buffer): void => {
      const answer = endpoint.request(request, formatted).then((isGranted) => {
        if (!isGranted) this.#refused.push(option);
        return isGranted;
      });
      asked.push(answer);
    };
    if (agent === true) {
      this.#onForwardAsked('auth-agent@openssh.com');
      ask('agent', 'auth-agent-req@openssh.com');
    }
    if (x11 !== undefined) {
      this.#onForwardAsked('x11');
      ask('x11', 'x11-req', formatX11Request(x11));
    }
    if (pty !== undefined) ask('pty', 'pty-req', formatPseudoTerminal(pty));
    for (const [variable, value] of Object.entries(env)) {
      endpoint.notify('env', new Writer().string(variable).string(value).toBuffer());
    }
    const started = endpoint.request(name, body.toBuffer());
    const [isStarted] = await Promise.all([started, ...asked]);
    if (!isStarted) throw new ChannelError('refused', `The server refused the request ${name}.`);
  }

  #request(name: string, reader: Reader): () => Answer {
    if (name === 'exit-status') {
      const status = reader.uint32('exit status');
      reader.end(name);
      this.#exit ??= { status };
      return () => true;
    }
    if (name === 'exit-signal') {
      const signal = reader.string('signal').toString();
      const isCoreDumped = reader.boolean('core dumped');
      const text = reader.string('error message').toString();
      reader.string('language tag');
      reader.end(name);
      this.#exit ??= { signal, isCoreDumped, message: text };
      return () => true;
    }
    return () => false;
  }
}
