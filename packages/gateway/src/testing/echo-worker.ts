/**
 * A worker process whose inside echoes: the real process around it, without SSH. Each connection is told the process id
 * and is recorded like a login.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ConnectionRecord, EnvironmentRoute, GatewaySettings, StateLine } from '@berth/contract';
import type { GatewayWorker, LiveConnection, WorkerParts } from '../gateway-worker.ts';
import { runWorker } from '../worker-process.ts';

class EchoWorker implements GatewayWorker {
  readonly #parts: WorkerParts;
  readonly #sockets = new Map<Socket, ConnectionRecord>();
  readonly #routes = new Map<string, EnvironmentRoute>();
  readonly #ports = new Set<number>();
  #settings: GatewaySettings | null = null;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    setInterval(() => this.#progress(), 100).unref();
  }

  apply(line: StateLine): void {
    if (line.type === 'settings') this.#settings = line.settings;
    if (line.type === 'begin') this.#routes.clear();
    if (line.type === 'environment') {
      if (line.route === null) this.#routes.delete(line.id);
      else this.#routes.set(line.id, line.route);
    }
    if (line.type === 'complete' || line.type === 'environment') this.#listen();
  }

  toLines(): StateLine[] {
    const entries = [...this.#routes.values()].map((each): StateLine => ({
      type: 'environment',
      number: 0,
      id: each.id,
      route: each,
    }));
    return [
      { type: 'begin', number: 0, server: '' },
      ...(this.#settings === null
        ? []
        : [{ type: 'settings', number: 0, settings: this.#settings } as const]),
      ...entries,
      { type: 'complete', number: 0 },
    ];
  }

  connections(): LiveConnection[] {
    return [...this.#sockets.values()].map(({ environment, source, started_at }) => ({
      environment,
      source,
      since: started_at,
    }));
  }

  metrics(): Record<string, number> {
    return { berth_gateway_connections: this.#sockets.size };
  }

  async drain(sentence: string | null): Promise<void> {
    for (const port of this.#ports) this.#parts.sockets.close(port);
    if (sentence !== null) for (const socket of this.#sockets.keys()) socket.write(`${sentence}\n`);
    const until = Date.now() + (this.#settings?.drainSeconds ?? 0) * 1000;
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (this.#sockets.size > 0 && Date.now() < until) return;
        clearInterval(look);
        resolve();
      }, 10);
    });
    await this.close();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #listen(): void {
    if (this.#settings === null) return;
    const wanted = new Map([...this.#routes.values()].map(({ port, id }) => [port ?? 0, id]));
    for (const port of this.#ports) if (!wanted.has(port)) this.#close(port);
    for (const [port, environment] of wanted) {
      if (this.#ports.has(port)) continue;
      this.#ports.add(port);
      this.#parts.sockets
        .listen(port, this.#settings.address, (socket) => this.#serve(socket, environment))
        .catch((error: Error) =>
          this.#parts.recorder.record({ type: 'port-taken', environment, port, message: error.message }),
        );
    }
  }

  #close(port: number): void {
    this.#ports.delete(port);
    this.#parts.sockets.close(port);
  }

  #serve(socket: Socket, environment: string): void {
    const id = randomBytes(10).toString('hex');
    const source = socket.remoteAddress ?? '';
    const source_port = socket.remotePort ?? 0;
    const now = new Date().toISOString();
    const common = {
      way: 'own-port',
      source,
      source_port,
      client: 'echo',
      fingerprint: null,
      account: null,
    } as const;
    this.#parts.recorder.record({
      type: 'attempt',
      id: randomBytes(10).toString('hex'),
      at: now,
      connection: id,
      target: environment,
      jumper: null,
      user: 'developer',
      method: 'password',
      accepted: true,
      reason: null,
      customer: 1,
      count: 1,
      ...common,
    });
    const record: ConnectionRecord = {
      type: 'connection',
      id,
      gateway: this.#parts.gateway,
      environment,
      customer: 1,
      method: 'password',
      key_name: null,
      started_at: now,
      bytes_in: 0,
      bytes_out: 0,
      channels: 1,
      open_channels: 1,
      ended_at: null,
      end_reason: null,
      ...common,
    };
    this.#sockets.set(socket, record);
    this.#parts.recorder.record(record);
    // Ids first: a test counts what it was told of.
    socket.write(`${process.pid} ${id}\n`);
    socket.on('data', (chunk: Buffer) => {
      record.bytes_in += chunk.length;
      record.bytes_out += chunk.length;
      socket.write(chunk);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#parts.recorder.record({
        ...record,
        open_channels: 0,
        ended_at: new Date().toISOString(),
        end_reason: 'closed',
      });
    });
    socket.resume();
  }

  #progress(): void {
    for (const record of this.#sockets.values()) this.#parts.recorder.record({ ...record });
  }
}

await runWorker((parts) => new EchoWorker(parts));
