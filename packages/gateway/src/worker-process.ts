/**
 * A worker process around the gateway's inside: becomes an account without privileges, takes the last state from its
 * supervisor, opens the spool and the link to the server, and ends when it is told to. main.ts runs it.
 *
 * Everything that it needs is loaded before it gives up root: the account need not be able to read this program.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { StateLine } from '@berth/contract';
import { ControlClient } from './control/control-client.ts';
import { Requests } from './control/requests.ts';
import { StateFeed } from './control/state-feed.ts';
import type { GatewayWorker, WorkerParts } from './gateway-worker.ts';
import { SupervisedSockets } from './listeners/supervised-sockets.ts';
import type { SocketHandle } from './listeners/supervised-sockets.ts';
import { Delivery } from './records/delivery.ts';
import { Spool } from './records/spool.ts';
import type { FromWorker, StartMessage, ToWorker } from './supervisor/messages.ts';

/** In the working folder. */
const spoolFolder = 'spool';
const snapshotMs = 2000;
/** How long a worker that ends tries to bring its last records to the server; then they stay in the spool. */
const lastRecordsMs = 3000;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** @param make the gateway's inside; called once */
export async function runWorker(make: (parts: WorkerParts) => GatewayWorker): Promise<void> {
  if (process.send === undefined) throw new Error('a gateway worker is started by its supervisor only');
  const sockets = new SupervisedSockets(send);
  let running: RunningWorker | null = null;
  // One that has lost its supervisor has lost whoever would replace it: it serves what it has.
  process.on('disconnect', () => {
    if (running === null) process.exit(1);
    void running.end(null);
  });
  const started = Promise.withResolvers<StartMessage>();
  process.on('message', (received, handle) => {
    const message = received as ToWorker;
    switch (message.type) {
      case 'start':
        started.resolve(message);
        break;
      case 'socket':
        sockets.receive(message.request, handle as unknown as SocketHandle);
        break;
      case 'no-socket':
        sockets.refuse(message.request, message.message);
        break;
      case 'drain':
        // Also before it runs: an end is not lost.
        if (running === null) process.exit(0);
        void running.end(message.sentence);
        break;
      case 'server':
        running?.requests.renew(message.server);
        break;
      case 'connections':
        send({
          type: 'connections',
          request: message.request,
          connections: running?.worker.connections() ?? [],
        });
        break;
      case 'worker-ended':
        running?.spool.adoptOrphans();
        break;
      case 'snapshot':
        if (running === null) send({ type: 'snapshot', request: message.request, lines: null });
        else running.sendSnapshot(message.request);
        break;
      default:
        message satisfies never;
    }
  });
  const start = await started.promise;
  process.chdir(start.folder);
  if (start.account !== null) become(start.account);
  running = await RunningWorker.open(start, sockets, make);
  await sockets.settled();
  send({ type: 'ready' });
}

/** Gives up root for good: with the last user id its kernel takes all capabilities too. */
function become({ uid, gid }: NonNullable<StartMessage['account']>): void {
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid)
    throw new Error('root could not be given up');
}

class RunningWorker {
  readonly requests: Requests;
  readonly worker: GatewayWorker;
  readonly spool: Spool;
  readonly #sockets: SupervisedSockets;
  readonly #feed: StateFeed;
  readonly #snapshots: NodeJS.Timeout;
  #isChanged = false;
  /** Not while a stream that has begun has not told everything. */
  #isWhole = false;
  #isDraining = false;

  private constructor(
    parts: { requests: Requests; spool: Spool; sockets: SupervisedSockets },
    worker: GatewayWorker,
    feed: StateFeed,
  ) {
    this.requests = parts.requests;
    this.spool = parts.spool;
    this.#sockets = parts.sockets;
    this.worker = worker;
    this.#feed = feed;
    this.#snapshots = setInterval(() => {
      if (this.#isChanged) this.sendSnapshot(null);
    }, snapshotMs);
  }

  static async open(
    start: StartMessage,
    sockets: SupervisedSockets,
    make: (parts: WorkerParts) => GatewayWorker,
  ): Promise<RunningWorker> {
    const gateway = randomBytes(12).toString('hex');
    mkdirSync(spoolFolder, { recursive: true, mode: 0o700 });
    const requests = new Requests(start.server);
    let running: RunningWorker | null = null;
    const spool = await Spool.open({
      folder: spoolFolder,
      gateway,
      version,
      delivery: new Delivery(requests, log),
      log,
      numbers: () => running?.numbers() ?? { connections: 0, draining: false, metrics: {} },
    });
    let feed: StateFeed | null = null;
    const server = new ControlClient(requests, {
      get isUp() {
        return feed?.isUp ?? false;
      },
    });
    const worker = make({ gateway, sockets, server, recorder: spool, log });
    for (const line of start.snapshot?.split('\n') ?? []) worker.apply(JSON.parse(line) as StateLine);
    feed = new StateFeed(requests, { apply: (line) => running?.apply(line), log });
    running = new RunningWorker({ requests, spool, sockets }, worker, feed);
    return running;
  }

  apply(line: StateLine): void {
    this.worker.apply(line);
    if (line.type === 'begin') this.#isWhole = false;
    if (line.type === 'complete') this.#isWhole = true;
    const isNews = line.type !== 'beat' && line.type !== 'begin' && line.type !== 'end';
    if (isNews) this.#isChanged = true;
    // In this turn the worker asks for its ports; the supervisor hears of both in this order.
    if (line.type === 'complete') setImmediate(() => this.sendSnapshot(null));
  }

  numbers(): { connections: number; draining: boolean; metrics: Record<string, number> } {
    return {
      connections: this.worker.connections().length,
      draining: this.#isDraining,
      metrics: this.worker.metrics(),
    };
  }

  /** Serves what it has, brings the last records to the server, and ends the process. */
  async end(sentence: string | null): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.sendSnapshot(null);
    clearInterval(this.#snapshots);
    this.#sockets.closeAll();
    await this.worker.drain(sentence);
    await this.#feed.stop();
    await Promise.race([this.spool.stop(), pause(lastRecordsMs)]);
    process.exit(0);
  }

  /** @param request null: nobody has asked */
  sendSnapshot(request: number | null): void {
    // What comes from a stream that has not told everything yet is less than what the supervisor has.
    const isNews = this.#isChanged && this.#isWhole;
    if (!isNews && request === null) return;
    if (isNews) this.#isChanged = false;
    const lines = isNews ? this.worker.toLines().map((line) => JSON.stringify(line)) : null;
    send({ type: 'snapshot', request, lines: lines?.join('\n') ?? null });
  }
}

function send(message: FromWorker): void {
  // Without a supervisor there is nobody to tell; `disconnect` says what then.
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

function log(line: string): void {
  process.stderr.write(`berth gateway: ${line}\n`);
}
