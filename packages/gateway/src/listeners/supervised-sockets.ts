/**
 * The ports of a worker process: each is a socket that the supervisor has bound and keeps, so that connections which
 * wait in its queue survive the worker. Made by worker-process.ts.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { SendToSupervisor } from '../supervisor/messages.ts';
import { PortTaken } from './sockets.ts';
import type { Sockets } from './sockets.ts';

/** The handle of a bound socket as it comes over IPC (`net.Server.listen` takes it). */
export interface SocketHandle {
  close(): void;
}

/** Connections that wait to be accepted; the kernel takes net.core.somaxconn where that is less. */
const backlog = 4096;

interface Port {
  request: number;
  onConnection: (socket: Socket) => void;
  server: Server | null;
  settle: { resolve(): void; reject(error: Error): void };
}

export class SupervisedSockets implements Sockets {
  readonly #send: SendToSupervisor;
  readonly #ports = new Map<number, Port>();
  /** Which port a request was for; one that was closed meanwhile has a newer request, or none. */
  readonly #requests = new Map<number, number>();
  readonly #waiting = new Set<Promise<void>>();
  #lastRequest = 0;

  constructor(send: SendToSupervisor) {
    this.#send = send;
  }

  listen(port: number, address: string, onConnection: (socket: Socket) => void): Promise<void> {
    if (this.#ports.has(port)) throw new TypeError(`port ${port} is listened on already`);
    const request = ++this.#lastRequest;
    this.#requests.set(request, port);
    const listening = new Promise<void>((resolve, reject) => {
      this.#ports.set(port, { request, onConnection, server: null, settle: { resolve, reject } });
    });
    this.#send({ type: 'listen', request, port, address });
    const settled = listening.then(
      () => {},
      () => {},
    );
    this.#waiting.add(settled);
    void settled.then(() => this.#waiting.delete(settled));
    return listening;
  }

  close(port: number): void {
    const entry = this.#ports.get(port);
    if (entry === undefined) return;
    this.#ports.delete(port);
    this.#requests.delete(entry.request);
    entry.server?.close();
    entry.settle.reject(new PortTaken(port, `port ${port} is not wanted any more`));
    this.#send({ type: 'close', port });
  }

  closeAll(): void {
    for (const port of [...this.#ports.keys()]) this.close(port);
  }

  /** Ends when each port that was asked for is open or refused. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  /** The supervisor's answer: the socket. */
  receive(request: number, handle: SocketHandle): void {
    const [port, entry] = this.#find(request);
    if (port === undefined || entry === undefined) return handle.close();
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    entry.server = server;
    server.on('connection', entry.onConnection);
    server.once('error', (error: NodeJS.ErrnoException) => {
      this.refuse(request, sentenceFor(error.code, port, ''));
      this.#send({ type: 'close', port });
    });
    server.listen(handle, backlog, () => {
      entry.settle.resolve();
      this.#send({ type: 'listening', port });
    });
  }

  /** The supervisor's answer: it cannot be had. */
  refuse(request: number, message: string): void {
    const [port, entry] = this.#find(request);
    if (port === undefined || entry === undefined) return;
    this.#ports.delete(port);
    this.#requests.delete(request);
    entry.settle.reject(new PortTaken(port, message));
  }

  #find(request: number): [number, Port] | [undefined, undefined] {
    const port = this.#requests.get(request);
    const entry = port === undefined ? undefined : this.#ports.get(port);
    return port === undefined || entry?.request !== request ? [undefined, undefined] : [port, entry];
  }
}

/** @param address empty where it is not known */
export function sentenceFor(code: string | undefined, port: number, address: string): string {
  const where = address === '' ? `Port ${port}` : `Port ${port} on ${address}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is in use by another program.`;
    case 'EACCES':
      return `${where} may be opened only by root or with CAP_NET_BIND_SERVICE.`;
    case 'EADDRNOTAVAIL':
      return `${where} cannot be opened, since this machine does not have the address.`;
    case 'EMFILE':
    case 'ENFILE':
      return `${where} cannot be opened, since too many files are open; raise the limit (ulimit -n).`;
    default:
      return `${where} cannot be opened (${code ?? 'unknown error'}).`;
  }
}
