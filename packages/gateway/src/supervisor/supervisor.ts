/**
 * The supervisor of a gateway: owns the listening sockets, keeps the workers running, and gives a new one what the last
 * knew. `berth up` and `berth gateway` start one. It reads nothing that a stranger sends, and needs no server.
 *
 * A worker is replaced without loss: the new one takes the same sockets and says that it is ready before the old one
 * stops accepting; the old one then serves what it has. What waits in a socket's queue belongs to neither.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serverAddress } from '../control/server-address.ts';
import type { CertificateFiles, ServerAddress, ServerPlace } from '../control/server-address.ts';
import type { LiveConnection } from '../gateway-worker.ts';
import { findAccount, prepareFolder } from './account.ts';
import type { Account } from './account.ts';
import { GrowingPause } from './growing-pause.ts';
import { SharedSockets } from './shared-sockets.ts';
import { WorkerChild } from './worker-child.ts';

export { parseServerPlace, shownPlace } from '../control/server-address.ts';
export type { CertificateFiles, ServerPlace } from '../control/server-address.ts';
export type { LiveConnection } from '../gateway-worker.ts';
export { GrowingPause } from './growing-pause.ts';

export interface SupervisorOptions {
  workers: number;
  /** Working folder of the workers; made where it is missing. */
  folder: string;
  /** Account that workers become; matters only where this process is root's. */
  user: string;
  server: ServerPlace;
  /** For a server on another machine. Renewed files are noticed. */
  certificates: CertificateFiles | null;
  /** A line for the operator. */
  log(line: string): void;
  /** The workers' program, where it is not the gateway's own. */
  main?: string;
}

const gatewayMain = fileURLToPath(new URL('../main.ts', import.meta.url));
/** How long a worker may take until it accepts connections. */
const readyMs = 30_000;
const certificatesMs = 10_000;
/** How long whoever starts a gateway waits for a port. */
const openedMs = 5000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #account: Account | null;
  readonly #sockets = new SharedSockets();
  /** All that live: current ones, their successors that are not ready yet, and those that serve what they have. */
  readonly #children = new Set<WorkerChild>();
  /** Those that take newcomers, by slot; also one that has just ended, until its successor is there. */
  readonly #current: WorkerChild[];
  readonly #watch: NodeJS.Timeout | null;
  readonly #starting = new AbortController();
  #server: ServerAddress;
  #snapshot: string | null = null;
  #workersMade = 0;
  #replacing: Promise<void> = Promise.resolve();

  /** @throws Error with a sentence: the account, the folder or a certificate cannot be had */
  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#account = process.getuid?.() === 0 ? findAccount(options.user) : null;
    prepareFolder(options.folder, this.#account);
    this.#server = serverAddress(options.server, options.certificates);
    this.#watch = options.certificates && setInterval(() => this.#renew(), certificatesMs);
    this.#current = Array.from({ length: options.workers }, () => this.#start());
    for (const slot of this.#current.keys()) void this.#keep(slot);
  }

  /** Ends when each slot has a worker that is ready or that has failed once. */
  async settled(): Promise<void> {
    await Promise.all(this.#current.map((worker) => worker.ready));
  }

  /** Ports that are open. */
  get ports(): number[] {
    return this.#sockets.ports;
  }

  /**
   * Waits until a port is open that the state is to name.
   *
   * @returns true, or a sentence that says why it is not open
   */
  async opened(port: number): Promise<true | string> {
    for (const deadline = Date.now() + openedMs; ; await pause(20)) {
      if (this.ports.includes(port)) return true;
      const refusal = this.#sockets.refusals.get(port);
      if (refusal !== undefined) return refusal;
      if (Date.now() > deadline) return `The gateway has not opened port ${port} within ${openedMs / 1000} s.`;
    }
  }

  get pids(): number[] {
    return [...this.#children].flatMap((worker) => worker.pid ?? []);
  }

  /** Who is logged in, also at workers that were replaced. */
  async connections(): Promise<LiveConnection[]> {
    const lists = await Promise.all([...this.#children].map((worker) => worker.connections()));
    return lists.flat().sort((one, other) => one.since.localeCompare(other.since));
  }

  /**
   * Puts a new worker in the place of each; nobody who is connected or connects notices.
   *
   * @throws Error with a sentence: a new worker did not become ready, and the old ones stay
   */
  replace(): Promise<void> {
    const replaced = this.#replacing.then(() => this.#replaceAll());
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }

  /**
   * Takes no newcomers; ends when everybody is gone, at the latest after the setting drainSeconds.
   *
   * @param sentence for the terminals of those who are connected
   */
  async drain(sentence: string): Promise<void> {
    this.#stopStarting();
    this.#sockets.close();
    const workers = [...this.#children];
    for (const worker of workers) worker.drain(sentence);
    await Promise.all(workers.map((worker) => worker.ended));
  }

  /** Ends all at once. What the workers owe their server stays in the spool. */
  async kill(): Promise<void> {
    this.#stopStarting();
    this.#sockets.close();
    const workers = [...this.#children];
    for (const worker of workers) worker.kill();
    await Promise.all(workers.map((worker) => worker.ended));
  }

  #stopStarting(): void {
    this.#starting.abort();
    if (this.#watch !== null) clearInterval(this.#watch);
  }

  get #isEnding(): boolean {
    return this.#starting.signal.aborted;
  }

  /** Keeps a worker in the slot until the gateway ends. */
  async #keep(slot: number): Promise<void> {
    const pauses = new GrowingPause();
    const left: number[] = [];
    for (;;) {
      const gone = await this.#endOf(slot);
      left.push(gone.number);
      if (this.#isEnding) return;
      const pauseMs = pauses.next(Date.now() - gone.startedMs);
      const when = pauseMs === 0 ? 'at once' : `in ${pauseMs / 1000} s`;
      this.#options.log(
        `a gateway worker ended unexpectedly (${await gone.ended}); its connections are lost, another is started ${when}`,
      );
      for (const each of this.#children) each.send({ type: 'worker-ended' });
      await pause(pauseMs, undefined, { signal: this.#starting.signal }).catch(() => {});
      if (this.#isEnding) return;
      if (this.#current[slot] !== gone) continue;
      const worker = this.#start();
      this.#current[slot] = worker;
      // The sockets of those that are gone are kept until a successor has said which it wants.
      void worker.fed.then((fed) => {
        if (fed) for (const number of left.splice(0)) this.#sockets.releaseAll(number);
      });
    }
  }

  /** The worker of the slot that has ended while it was the current one. */
  async #endOf(slot: number): Promise<WorkerChild> {
    for (;;) {
      const worker = this.#inSlot(slot);
      await worker.ended;
      if (this.#current[slot] === worker) return worker;
    }
  }

  #inSlot(slot: number): WorkerChild {
    const worker = this.#current[slot];
    if (worker === undefined) throw new RangeError(`there is no slot ${slot}`);
    return worker;
  }

  #start(): WorkerChild {
    const worker = new WorkerChild(
      ++this.#workersMade,
      this.#options.main ?? gatewayMain,
      {
        type: 'start',
        account: this.#account,
        folder: this.#options.folder,
        server: this.#server,
        snapshot: this.#snapshot,
      },
      { sockets: this.#sockets, events: { onSnapshot: (lines) => (this.#snapshot = lines) } },
    );
    this.#children.add(worker);
    void worker.ended.then(() => this.#children.delete(worker));
    return worker;
  }

  async #replaceAll(): Promise<void> {
    for (const slot of this.#current.keys()) {
      if (this.#isEnding) return;
      await this.#replaceOne(slot);
    }
  }

  async #replaceOne(slot: number): Promise<void> {
    await this.#inSlot(slot).askSnapshot();
    const worker = this.#start();
    const ready = await Promise.race([worker.ready, pause(readyMs, false, { ref: false })]);
    if (this.#isEnding) return;
    if (!ready) {
      worker.kill();
      void worker.ended.then(() => this.#sockets.releaseAll(worker.number));
      throw new Error('the new gateway worker did not become ready; the old one stays');
    }
    const old = this.#inSlot(slot);
    this.#current[slot] = worker;
    old.drain(null);
    void old.ended.then(() => this.#sockets.releaseAll(old.number));
  }

  #renew(): void {
    const { server, certificates, log } = this.#options;
    try {
      const renewed = serverAddress(server, certificates);
      if (JSON.stringify(renewed) === JSON.stringify(this.#server)) return;
      this.#server = renewed;
      for (const worker of this.#children) worker.send({ type: 'server', server: renewed });
    } catch (error) {
      log(`the certificates of the control connection could not be read again: ${(error as Error).message}`);
    }
  }
}
