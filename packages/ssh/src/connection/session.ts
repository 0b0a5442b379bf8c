// A session as the server sees it (RFC 4254, section 6; break: RFC 4335; eow and the agent: OpenSSH's PROTOCOL,
// sections 2.1 and its agent forwarding). The layer parses what the client asks for, keeps the answers in order and
// carries the streams; the owner runs the program.

import { type Reader, Writer } from '../wire.ts';
import type { Channel } from './channel.ts';
import type { StderrWriter } from './channel.ts';
import type { ChannelEndpoint } from './channel-endpoint.ts';
import type { Answer } from './request-queue.ts';
import { type TerminalModes, formatTerminalModes, parseTerminalModes } from './terminal-modes.ts';

/** Of a terminal; a dimension that is not known is 0. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
}

export interface PseudoTerminal extends TerminalSize {
  /** The value of TERM. */
  readonly term: string;
  readonly modes: TerminalModes;
}

export interface X11Request {
  readonly isSingleConnection: boolean;
  /** `MIT-MAGIC-COOKIE-1` */
  readonly protocol: string;
  /** Hexadecimal digits. */
  readonly cookie: string;
  readonly screen: number;
}

/**
 * What a client may ask of a session. What has no method is refused, as is what answers false or throws. The next
 * request is handed over when the one before it is answered. Names and values are the client's: nothing is checked.
 */
export interface SessionHandler {
  pty?(terminal: PseudoTerminal): Answer;
  /** Bytes, since nothing says which encoding they have. */
  environment?(name: string, value: Buffer): Answer;
  /** The command as it is for a shell. Of `exec`, `shell` and `subsystem` one can succeed once. */
  exec?(command: Buffer): Answer;
  shell?(): Answer;
  subsystem?(name: string): Answer;
  windowChange?(size: TerminalSize): void;
  /** A name without SIG: `INT`, `TERM`, ... */
  signal?(name: string): void;
  break?(lengthMs: number): Answer;
  x11?(request: X11Request): Answer;
  /** From now on `connection.open({ type: 'auth-agent@openssh.com' })` reaches the client's agent. */
  agent?(): Answer;
  /** The client reads no more of what the program writes. */
  endOfWrite?(): void;
  /**
   * The client closed the session, or (`error`) the connection is over. The program should be told to end. A client
   * that closes when it has read all output to its end waits for `exit`, and this comes after it.
   */
  closed?(error: Error | undefined): void;
}

/** How a program ended by a signal. */
export interface ExitSignal {
  /** A name without SIG. */
  readonly signal: string;
  readonly isCoreDumped: boolean;
  /** For a person; may be empty. */
  readonly message: string;
}

export class Session {
  readonly #endpoint: ChannelEndpoint;
  #handler: SessionHandler = {};
  #hasStarted = false;
  #hasExited = false;
  #hasToldExit = false;

  /** The layer makes it, and calls `handle` with what the owner answers with. */
  constructor(endpoint: ChannelEndpoint) {
    this.#endpoint = endpoint;
    endpoint.onRequest = (name, reader) => this.#request(name, reader);
    endpoint.onClosed = (error) => this.#handler.closed?.(error);
    endpoint.owesExitStatus = () => this.#hasStarted && !this.#hasToldExit;
  }

  /** Reads the program's standard input, writes its standard output. */
  get channel(): Channel {
    return this.#endpoint.channel;
  }

  /** The program's standard error. Who asks for it must end it: EOF tells the client that both are over. */
  get stderr(): StderrWriter {
    return this.#endpoint.stderrWriter;
  }

  handle(handler: SessionHandler): void {
    this.#handler = handler;
  }

  /** The program has ended: tells the client, sends what is left of its output, and closes. `status`: 0 to 2^32-1. */
  exit(status: number): void {
    this.#exit('exit-status', new Writer().uint32(status));
  }

  /** The same for a program that a signal ended. */
  exitSignal({ signal, isCoreDumped, message }: ExitSignal): void {
    this.#exit('exit-signal', new Writer().string(signal).boolean(isCoreDumped).string(message).string(''));
  }

  #exit(name: string, body: Writer): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    // A program may be over before its start was answered.
    this.#endpoint.afterRequests(() => {
      this.#endpoint.notify(name, body.toBuffer());
      this.#hasToldExit = true;
      this.#endpoint.closeWhenFlushed();
    });
  }

  #request(name: string, reader: Reader): () => Answer {
    const run = this.#parse(name, reader);
    if (run === undefined) return () => false;
    reader.end(name);
    return run;
  }

  #parse(name: string, reader: Reader): (() => Answer) | undefined {
    switch (name) {
      case 'pty-req': {
        const terminal = readPseudoTerminal(reader);
        return () => this.#handler.pty?.(terminal) ?? false;
      }
      case 'env': {
        const variable = reader.string('variable').toString();
        const value = Buffer.from(reader.string('value'));
        return () => this.#handler.environment?.(variable, value) ?? false;
      }
      case 'exec': {
        const command = Buffer.from(reader.string('command'));
        return () => this.#start(() => this.#handler.exec?.(command));
      }
      case 'shell':
        return () => this.#start(() => this.#handler.shell?.());
      case 'subsystem': {
        const subsystem = reader.string('subsystem').toString();
        return () => this.#start(() => this.#handler.subsystem?.(subsystem));
      }
      case 'window-change': {
        const size = readTerminalSize(reader);
        return () => this.#tell(() => this.#handler.windowChange?.(size));
      }
      case 'signal': {
        const signal = reader.string('signal').toString();
        return () => this.#tell(() => this.#handler.signal?.(signal));
      }
      case 'break': {
        const lengthMs = reader.uint32('length');
        return () => this.#handler.break?.(lengthMs) ?? false;
      }
      case 'x11-req': {
        const request = readX11Request(reader);
        return () => this.#handler.x11?.(request) ?? false;
      }
      case 'auth-agent-req@openssh.com':
        return () => this.#handler.agent?.() ?? false;
      case 'eow@openssh.com':
        return () => this.#tell(() => this.#handler.endOfWrite?.());
      default:
        return undefined;
    }
  }

  #tell(tell: () => void): boolean {
    tell();
    return true;
  }

  /** RFC 4254, section 6.5: only one of these requests can succeed. */
  async #start(start: () => Answer | undefined): Promise<boolean> {
    if (this.#hasStarted) return false;
    this.#hasStarted = (await start()) ?? false;
    return this.#hasStarted;
  }
}

function readTerminalSize(reader: Reader): TerminalSize {
  return {
    columns: reader.uint32('columns'),
    rows: reader.uint32('rows'),
    widthPixels: reader.uint32('width'),
    heightPixels: reader.uint32('height'),
  };
}

function readPseudoTerminal(reader: Reader): PseudoTerminal {
  const term = reader.string('terminal').toString();
  const size = readTerminalSize(reader);
  return { term, ...size, modes: parseTerminalModes(reader.string('terminal modes')) };
}

function readX11Request(reader: Reader): X11Request {
  return {
    isSingleConnection: reader.boolean('single connection'),
    protocol: reader.string('X11 authentication protocol').toString(),
    cookie: reader.string('X11 authentication cookie').toString(),
    screen: reader.uint32('screen'),
  };
}

export function formatTerminalSize({ columns, rows, widthPixels, heightPixels }: TerminalSize): Buffer {
  return new Writer().uint32(columns).uint32(rows).uint32(widthPixels).uint32(heightPixels).toBuffer();
}

export function formatPseudoTerminal(terminal: PseudoTerminal): Buffer {
  return new Writer()
    .string(terminal.term)
    .bytes(formatTerminalSize(terminal))
    .string(formatTerminalModes(terminal.modes))
    .toBuffer();
}

export function formatX11Request({ isSingleConnection, protocol, cookie, screen }: X11Request): Buffer {
  return new Writer().boolean(isSingleConnection).string(protocol).string(cookie).uint32(screen).toBuffer();
}
