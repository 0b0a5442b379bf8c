/** One worker process, as the supervisor sees it: started, asked, told to drain, seen to end. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SendHandle } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PortTaken } from '../listeners/sockets.ts';
import type { LiveConnection } from '../gateway-worker.ts';
import type { FromWorker, StartMessage, ToWorker } from './messages.ts';
import type { SharedSockets } from './shared-sockets.ts';

/** How long a worker may take to say who is connected. */
const answerMs = 2000;

export interface WorkerEvents {
  onSnapshot(lines: string): void;
}

export class WorkerChild {
  readonly number: number;
  readonly startedMs = Date.now();
  /** true once it serves, false when it ended before. */
  readonly ready: Promise<boolean>;
  /** true once it knows what the server has to say, false when it ended before. */
  readonly fed: Promise<boolean>;
  /** What ended it, for people. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #sockets: SharedSockets;
  readonly #events: WorkerEvents;
  readonly #answers = new Map<number, (message: FromWorker) => void>();
  #lastRequest = 0;
  readonly #sayReady: (ready: boolean) => void;
  readonly #sayFed: (fed: boolean) => void;

  constructor(
    number: number,
    main: string,
    start: StartMessage,
    parts: { sockets: SharedSockets; events: WorkerEvents },
  ) {
    this.number = number;
    this.#sockets = parts.sockets;
    this.#events = parts.events;
    const [program, ...commandLine] = [...withoutPrivileges(), process.execPath, main];
    // A session of its own: the Ctrl-C of a terminal is for the supervisor alone.
    this.#child = spawn(program ?? process.execPath, commandLine, {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const ready = Promise.withResolvers<boolean>();
    const fed = Promise.withResolvers<boolean>();
    [this.ready, this.#sayReady] = [ready.promise, ready.resolve];
    [this.fed, this.#sayFed] = [fed.promise, fed.resolve];
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.ended.then(() => {
      this.#sayReady(false);
      this.#sayFed(false);
    });
    this.#child.on('message', (message) => this.#receive(message as FromWorker));
    this.#send(start);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToWorker): void {
    this.#send(message);
  }

  drain(sentence: string | null): void {
    this.#send({ type: 'drain', sentence });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Who is logged in; nobody where the worker does not answer. */
  async connections(): Promise<LiveConnection[]> {
    const answer = await this.#ask('connections');
    return answer?.type === 'connections' ? answer.connections : [];
  }

  /** Has it tell its state now. */
  async askSnapshot(): Promise<void> {
    await this.#ask('snapshot');
  }

  /** @returns undefined when it does not answer */
  #ask(type: 'connections' | 'snapshot'): Promise<FromWorker | undefined> {
    const request = ++this.#lastRequest;
    return new Promise((resolve) => {
      const settle = (answer?: FromWorker) => {
        clearTimeout(timer);
        this.#answers.delete(request);
        resolve(answer);
      };
      const timer = setTimeout(settle, answerMs);
      void this.ended.then(() => settle());
      this.#answers.set(request, settle);
      this.#send({ type, request });
    });
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'listen':
        this.#give(message.request, message.port, message.address);
        break;
      case 'listening':
        this.#sockets.listening(message.port);
        break;
      case 'close':
        this.#sockets.release(message.port, this.number);
        break;
      case 'snapshot':
        if (message.lines !== null) {
          this.#events.onSnapshot(message.lines);
          this.#sayFed(true);
        }
        if (message.request !== null) this.#answers.get(message.request)?.(message);
        break;
      case 'ready':
        this.#sayReady(true);
        break;
      case 'connections':
        this.#answers.get(message.request)?.(message);
        break;
      default:
        message satisfies never;
    }
  }

  #give(request: number, port: number, address: string): void {
    try {
      this.#send({ type: 'socket', request }, this.#sockets.take(port, address, this.number) as SendHandle);
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error;
      this.#send({ type: 'no-socket', request, message: error.message });
    }
  }

  /** A worker that is gone is told nothing; its end is seen by itself. */
  #send(message: ToWorker, handle?: SendHandle): void {
    if (this.#child.connected) this.#child.send(message, handle, {}, () => {});
  }
}

/** What strips a child of the rights that this process has to open low ports, and of all ways to get others. */
function withoutPrivileges(): string[] {
  const strip = ['setpriv', '--no-new-privs', '--ambient-caps=-all', '--inh-caps=-all', '--'];
  const [program = '', ...commandLine] = strip;
  if (spawnSync(program, [...commandLine, 'true'], { stdio: 'ignore' }).status === 0) return strip;
  const ambient = /^CapAmb:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  if (BigInt(`0x${ambient}`) === 0n) return [];
  throw new Error('the command setpriv is missing; install the package util-linux');
}
