/** A supervisor with echoing workers and a server of the control protocol, in a folder of a test's own. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Supervisor } from '../supervisor/supervisor.ts';
import { ControlDouble, route } from './control-double.ts';
import { until } from './until.ts';

export const echoMain = fileURLToPath(new URL('echo-worker.ts', import.meta.url));

/** Ports that nobody has just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

export class TestGateway implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-gateway-'));
  readonly log: string[] = [];
  readonly server = new ControlDouble({ path: join(this.folder, 'gateway/control.sock') });
  supervisor!: Supervisor;

  /** One whose server is up and has environments on these ports. */
  static async start(ports: number[], workers = 1): Promise<TestGateway> {
    const gateway = new TestGateway();
    for (const [index, port] of ports.entries()) {
      gateway.server.environments.set(`demo-${index}`, route(`demo-${index}`, port));
    }
    try {
      gateway.supervise(workers);
      await gateway.server.start();
      await until('each worker follows the state', () => gateway.server.followers === workers);
      await until('all ports answer', () => ports.every((port) => gateway.supervisor.ports.includes(port)));
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    return gateway;
  }

  supervise(workers: number, user = 'nobody'): void {
    this.supervisor = new Supervisor({
      workers,
      folder: join(this.folder, 'gateway'),
      user,
      server: { kind: 'unix', path: 'control.sock' },
      certificates: null,
      log: (line) => this.log.push(line),
      main: echoMain,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.supervisor.kill();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A connection that has been greeted. */
export interface Greeted {
  socket: Socket;
  /** Of the worker. */
  pid: number;
  id: string;
}

/** @throws the system's error, also when the connection ends before its greeting */
export function greeted(port: number, localAddress = '127.0.0.1'): Promise<Greeted> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const match = /^(\d+) (\w+)\n/.exec(text);
      if (match === null) return;
      socket.removeAllListeners('data');
      resolve({ socket, pid: Number(match[1]), id: match[2] ?? '' });
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed before its greeting (${text})`)));
  });
}

/** Ends a connection as a client does, and waits for the other side's end. */
export async function leave({ socket }: Greeted): Promise<void> {
  const closed = once(socket, 'close');
  socket.resume();
  socket.end();
  await closed;
}

/** The answer to a line. */
export async function echo({ socket }: Greeted, line: string): Promise<string> {
  const answer = once(socket, 'data');
  socket.write(line);
  return String((await answer)[0]);
}
