/**
 * The JupyterLabs that browsers use just now: for each session of a browser, and each address that it comes from, one SSH
 * connection into the environment, over which its requests go. It is made when it is needed, JupyterLab is started over
 * it, and it ends a while after the browser has left; what runs inside goes on.
 */
import { BerthError } from '@berth/contract';
import { ChannelError, ChannelOpenError } from '@berth/ssh';
import type { Channel } from '@berth/ssh';
import type { Principal } from '../../accounts/principal.ts';
import type { Services } from '../../http/app.ts';
import { openInside } from '../inside.ts';
import type { Inside } from '../inside.ts';
import { startJupyter } from './start.ts';
import type { RunningLab } from './start.ts';

/** A page that is open asks every few seconds, or has a WebSocket. */
const idleMs = 60_000;
const sweepMs = 10_000;
/** A page that asks again and again does not try again and again. */
const failureRestMs = 10_000;
/** Of one browser: more is a fault of a page. */
const mostChannels = 256;

/** Who uses which, and from where. */
export interface LabOf {
  /** Names the browser's session. */
  session: string;
  principal: Principal;
  environment: string;
  source: string;
  sourcePort: number;
  client: string;
}

export type LabState =
  | { state: 'starting'; message: string; seconds: number }
  | { state: 'ready' }
  | { state: 'failed'; error: Error };

export class Labs {
  readonly #services: Services;
  readonly #onCut: (session: string, sentence: string) => void;
  readonly #labs = new Map<string, Lab>();
  readonly #sweep: NodeJS.Timeout;

  /** @param onCut called when somebody ended it on purpose, so that the browser's session is over */
  constructor(services: Services, onCut: (session: string, sentence: string) => void) {
    this.#services = services;
    this.#onCut = onCut;
    this.#sweep = setInterval(() => this.#endIdle(), sweepMs);
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const lab of this.#labs.values()) lab.end('The server is about to end.');
    this.#labs.clear();
  }

  /** One that there is, or that has failed a moment ago. */
  find({ session, source }: LabOf): Lab | undefined {
    const lab = this.#labs.get(keyOf(session, source));
    return lab && !lab.isOver ? lab : undefined;
  }

  /** @param wake whether a stopped environment is started for it */
  open(of: LabOf, wake: boolean): Lab {
    const key = keyOf(of.session, of.source);
    const lab = new Lab(this.#services, of, wake);
    this.#labs.set(key, lab);
    void this.#followCut(lab);
    return lab;
  }

  /** Of a browser that has another session now. */
  leave(session: string): void {
    for (const lab of this.#labs.values()) if (lab.session === session) lab.end('The browser came in anew.');
  }

  async #followCut(lab: Lab): Promise<void> {
    const { sentence, isCut } = await lab.over;
    if (isCut) this.#onCut(lab.session, sentence);
  }

  #endIdle(): void {
    for (const [key, lab] of this.#labs) {
      if (lab.isOver) this.#labs.delete(key);
      else if (lab.idleMs > idleMs) lab.end('The browser left.');
    }
  }
}

function keyOf(session: string, source: string): string {
  return `${session} ${source}`;
}

/** One browser's way to one environment's JupyterLab. */
export class Lab {
  readonly session: string;
  /** That it is over; never where it has not begun. */
  readonly over: Promise<{ sentence: string; isCut: boolean }>;
  readonly #over = Promise.withResolvers<{ sentence: string; isCut: boolean }>();
  readonly #services: Services;
  readonly #of: LabOf;
  readonly #stop = new AbortController();
  readonly #began = Date.now();
  readonly #reached: Promise<void>;
  #state: LabState = { state: 'starting', message: '', seconds: 0 };
  #failedAt = 0;
  #isOver = false;
  #usedAt = Date.now();
  #inside: Inside | null = null;
  #running: RunningLab | null = null;
  #starting: Promise<RunningLab> | null = null;

  constructor(services: Services, of: LabOf, wake: boolean) {
    this.#services = services;
    this.#of = of;
    this.session = of.session;
    this.over = this.#over.promise;
    this.#reached = this.#reach(wake);
    this.#reached.catch(() => undefined);
  }

  get state(): LabState {
    const { state } = this.#state;
    const seconds = Math.floor((Date.now() - this.#began) / 1000);
    return state === 'starting' ? { ...this.#state, seconds } : this.#state;
  }

  /** What to say where somebody has ended it on purpose. */
  get cut(): BerthError | null {
    const { isCut, endReason } = this.#inside ?? {};
    return isCut === true && endReason !== undefined ? new BerthError('jupyter_entrance', endReason) : null;
  }

  get account(): string {
    return this.#of.principal.account;
  }

  /** Of no use any more; one that has failed is for a while, so that others hear why. */
  get isOver(): boolean {
    return this.#failedAt > 0 ? Date.now() - this.#failedAt > failureRestMs : this.#isOver;
  }

  /** Since anything went over it. */
  get idleMs(): number {
    const isUsed = this.#state.state === 'starting' || (this.#inside?.openChannels ?? 0) > 0;
    if (isUsed) this.#usedAt = Date.now();
    return Date.now() - this.#usedAt;
  }

  /** Resolves when it is ready, or after that time. @throws why it cannot be */
  async wait(atMostMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, atMostMs);
    try {
      await Promise.race([this.#reached, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * A connection to JupyterLab's socket, for one request, and its token.
   *
   * @throws BerthError when there is none to be had
   */
  async connect(): Promise<{ channel: Channel; token: string }> {
    await this.#reached;
    const inside = this.#inside;
    const running = this.#running;
    if (!inside || !running) throw new BerthError('unavailable', 'JupyterLab is not there just now.');
    if (inside.openChannels >= mostChannels)
      throw new BerthError('unavailable', `This browser has ${mostChannels} requests open already.`);
    this.#usedAt = Date.now();
    try {
      return { channel: await open(inside, running), token: running.token };
    } catch (error) {
      if (!(error instanceof ChannelOpenError)) throw gone(inside, error);
    }
    // It has ended, or was ended by its user.
    try {
      const again = await this.#restart(inside);
      this.#running = again;
      return { channel: await open(inside, again), token: again.token };
    } catch (error) {
      throw gone(inside, error);
    }
  }

  end(sentence: string): void {
    this.#stop.abort(new BerthError('unavailable', sentence));
    this.#inside?.end(sentence);
  }

  async #reach(wake: boolean): Promise<void> {
    const { settings } = this.#services;
    try {
      const inside = await openInside(this.#services, {
        ...this.#of,
        way: 'jupyter',
        wake,
        signal: this.#stop.signal,
        onStatus: ({ message }) => (this.#state = { state: 'starting', message, seconds: 0 }),
      });
      this.#inside = inside;
      void this.#untilEnd(inside);
      this.#state = { state: 'starting', message: 'Starting JupyterLab.', seconds: 0 };
      this.#running = await startJupyter(inside, settings['jupyter.idleMinutes']);
      this.#state = { state: 'ready' };
    } catch (error) {
      this.#state = { state: 'failed', error: error as Error };
      this.#failedAt = Date.now();
      this.#inside?.end('JupyterLab did not start.');
      this.#over.resolve({ sentence: (error as Error).message, isCut: false });
      throw error;
    }
  }

  async #untilEnd(inside: Inside): Promise<void> {
    const sentence = await inside.ending;
    this.#isOver = true;
    this.#over.resolve({ sentence, isCut: inside.isCut });
  }

  /** Several requests wait for the same. */
  #restart(inside: Inside): Promise<RunningLab> {
    this.#starting ??= startJupyter(inside, this.#services.settings['jupyter.idleMinutes']).finally(
      () => (this.#starting = null),
    );
    return this.#starting;
  }
}

function open(inside: Inside, { path }: RunningLab): Promise<Channel> {
  return inside.open({ type: 'direct-streamlocal@openssh.com', path });
}

function gone(inside: Inside, error: unknown): BerthError {
  if (error instanceof BerthError) return error;
  const why =
    inside.endReason ?? (error instanceof ChannelError ? error.message : 'JupyterLab does not answer.');
  return new BerthError('jupyter_failed', why, { cure: 'Try again in a few seconds.', cause: error });
}
