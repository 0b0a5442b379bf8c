// A server for tests that gives everybody a shell, as the user who runs the tests: commands, terminals, sftp,
// forwarding both ways, agents and X11, by child processes and sockets of this machine. On loopback, on a port that the
// system chooses.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { ServerAuthenticationOptions } from '../authentication/server.ts';
import type { Connection, ConnectionHandlers } from '../connection/connection.ts';
import { type Forward, type Place, join } from '../connection/forwarding.ts';
import type { PseudoTerminal, Session, SessionHandler, X11Request } from '../connection/session.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { acceptConnection } from '../server.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import type { ServerTransportOptions } from '../transport/transport.ts';

const sftpServer = '/usr/lib/openssh/sftp-server';

export interface ShellServerOptions {
  /** The first proves the server, unless `transport` says otherwise; all are announced. */
  readonly hostKeys: readonly SigningKey[];
  readonly authentication: Pick<ServerAuthenticationOptions, 'methods' | 'decide'>;
  readonly transport?: Partial<ServerTransportOptions>;
  /** Of a Unix socket to listen on, in place of a port. */
  readonly path?: string;
}

/** Lets in whoever has the one key. */
export function onlyKey(blob: Buffer): ShellServerOptions['authentication'] {
  return {
    methods: ['publickey'],
    decide: (attempt) => {
      if (attempt.method !== 'publickey' || !attempt.key.blob.equals(blob)) return { outcome: 'refuse' };
      return { outcome: attempt.signed ? 'accept' : 'usable' };
    },
  };
}

export interface ShellServer {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Sockets that are not closed. */
  readonly socketCount: () => number;
  readonly connections: readonly Connection[];
  /** What went wrong in handlers, other than refusals. */
  readonly failures: readonly unknown[];
  readonly stop: () => Promise<void>;
}

export async function startShellServer({
  hostKeys,
  authentication,
  transport,
  path,
}: ShellServerOptions): Promise<ShellServer> {
  const connections: Connection[] = [];
  const failures: unknown[] = [];
  const sockets = new Set<Socket>();
  const [first] = hostKeys;
  if (first === undefined) throw new TypeError('a server needs a host key');
  const accept = async (socket: Socket): Promise<void> => {
    const shell = new ShellConnection(failures);
    const { connection } = await acceptConnection(socket, {
      transport: { hostKeys: [serverHostKey(first)], ...transport },
      authentication: { ...authentication, refused: () => ({ outcome: 'refuse' }) },
      handlers: () => shell.handlers,
    });
    shell.connection = connection;
    connections.push(connection);
    connection.announceHostKeys(hostKeys);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    accept(socket).catch((error: unknown) => failures.push(error));
  });
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  return {
    port: path === undefined ? (server.address() as AddressInfo).port : 0,
    socketCount: () => sockets.size,
    connections,
    failures,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

class ShellConnection {
  connection: Connection | undefined;
  readonly handlers: ConnectionHandlers;
  readonly #listeners = new Map<string, Server>();

  constructor(failures: unknown[]) {
    this.handlers = {
      session: (session) => new ShellSession(session, (forward) => this.#open(forward)),
      forward: async (forward, channel) => {
        const socket = connect({ ...addressOf(forward), allowHalfOpen: true });
        await once(socket, 'connect');
        join(channel, socket);
      },
      listen: async (place) => {
        const listener = createServer({ allowHalfOpen: true }, (socket) => this.#forward(place, socket));
        listener.listen('path' in place ? { path: place.path } : { host: '127.0.0.1', port: place.port });
        await once(listener, 'listening');
        const actual = 'path' in place ? place : { ...place, port: (listener.address() as AddressInfo).port };
        this.#listeners.set(JSON.stringify(actual), listener);
        return actual;
      },
      unlisten: (place) => this.#listeners.get(JSON.stringify(place))?.close() !== undefined,
      failed: (error) => {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') failures.push(error);
      },
      closed: () => {
        for (const listener of this.#listeners.values()) listener.close();
      },
    };
  }

  async #open(forward: Forward): ReturnType<Connection['open']> {
    if (this.connection === undefined) throw new TypeError('not connected');
    return this.connection.open(forward);
  }

  #forward(place: Place, socket: Socket): void {
    const { remoteAddress: originHost = '', remotePort: originPort = 0 } = socket;
    const { port } = socket.address() as AddressInfo;
    const forward: Forward =
      'path' in place
        ? { type: 'forwarded-streamlocal@openssh.com', path: place.path }
        : { type: 'forwarded-tcpip', host: place.host, port, originHost, originPort };
    this.#open(forward).then(
      (channel) => join(channel, socket),
      () => socket.destroy(),
    );
  }
}

function addressOf(forward: Forward): { host: string; port: number } | { path: string } {
  if ('path' in forward) return { path: forward.path };
  if ('host' in forward) return { host: forward.host, port: forward.port };
  throw new TypeError(`nothing to dial for ${forward.type}`);
}

class ShellSession implements SessionHandler {
  readonly #session: Session;
  readonly #open: (forward: Forward) => ReturnType<Connection['open']>;
  readonly #env: Record<string, string> = { PATH: process.env['PATH'] ?? '' };
  #terminal: PseudoTerminal | undefined;
  #child: ChildProcessWithoutNullStreams | undefined;
  readonly #closers: (() => void)[] = [];

  constructor(session: Session, open: (forward: Forward) => ReturnType<Connection['open']>) {
    this.#session = session;
    this.#open = open;
  }

  pty(terminal: PseudoTerminal): boolean {
    this.#terminal = terminal;
    this.#env['TERM'] = terminal.term;
    return true;
  }

  environment(name: string, value: Buffer): boolean {
    this.#env[name] = value.toString();
    return true;
  }

  exec(command: Buffer): boolean {
    if (this.#terminal === undefined) return this.#run('/bin/sh', ['-c', command.toString()]);
    const { rows, columns } = this.#terminal;
    const inside = `stty rows ${rows} cols ${columns}; ${command.toString()}`;
    return this.#run('script', ['--quiet', '--return', '--command', inside, '/dev/null']);
  }

  shell(): boolean {
    return this.#run('/bin/sh', []);
  }

  subsystem(name: string): boolean {
    return name === 'sftp' && this.#run(sftpServer, []);
  }

  async agent(): Promise<boolean> {
    const folder = mkdtempSync(joinPath(tmpdir(), 'agent-'));
    const path = joinPath(folder, 'socket');
    const listener = createServer({ allowHalfOpen: true }, (socket) => {
      this.#open({ type: 'auth-agent@openssh.com' }).then(
        (channel) => join(channel, socket),
        () => socket.destroy(),
      );
    });
    this.#closers.push(() => {
      listener.close();
      rmSync(folder, { recursive: true, force: true });
    });
    listener.listen(path);
    await once(listener, 'listening');
    this.#env['SSH_AUTH_SOCK'] = path;
    return true;
  }

  async x11({ protocol, cookie, screen }: X11Request): Promise<boolean> {
    const folder = mkdtempSync(joinPath(tmpdir(), 'x11-'));
    const listener = createServer({ allowHalfOpen: true }, (socket) => {
      const { remoteAddress: originHost = '', remotePort: originPort = 0 } = socket;
      this.#open({ type: 'x11', originHost, originPort }).then(
        (channel) => join(channel, socket),
        () => socket.destroy(),
      );
    });
    this.#closers.push(() => {
      listener.close();
      rmSync(folder, { recursive: true, force: true });
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    // Displays count from this port.
    const display = (listener.address() as AddressInfo).port - 6000;
    const file = joinPath(folder, 'authority');
    execFileSync('xauth', ['-q', '-f', file, 'add', `unix:${display}.${screen}`, protocol, cookie], {
      stdio: 'ignore',
    });
    this.#env['XAUTHORITY'] = file;
    this.#env['DISPLAY'] = `localhost:${display}.${screen}`;
    return true;
  }

  signal(name: string): void {
    const signal = `SIG${name}`;
    if (signal in constants.signals) this.#child?.kill(signal as NodeJS.Signals);
  }

  closed(): void {
    this.#child?.kill('SIGHUP');
    this.#close();
  }

  #close(): void {
    for (const close of this.#closers.splice(0)) close();
  }

  #run(program: string, parameters: readonly string[]): boolean {
    const child = spawn(program, parameters, { env: this.#env });
    this.#child = child;
    const { channel, stderr } = this.#session;
    channel.pipe(child.stdin);
    // A program need not read its input.
    child.stdin.on('error', () => channel.resume());
    child.stdout.pipe(channel);
    child.stderr.pipe(stderr);
    child.on('close', (status, signal) => {
      this.#close();
      if (signal === null) this.#session.exit(status ?? 255);
      else this.#session.exitSignal({ signal: signal.slice(3), isCoreDumped: false, message: '' });
    });
    return true;
  }
}
