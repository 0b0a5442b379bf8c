/**
 * The ports that a worker listens on, as the state has them: own ports and the shared one. Made by worker.ts. A port that
 * something else has is reported and tried again, until it is free or not wanted any more.
 */
import type { Socket } from 'node:net';
import type { Recorder } from '../records/recorder.ts';
import type { GatewayState } from '../state.ts';
import { PortTaken } from './sockets.ts';
import type { Sockets } from './sockets.ts';

const tryAgainMs = 3_000;
const sharedPortName = 'the shared port';

interface Listener {
  address: string;
  retry: NodeJS.Timeout | undefined;
  /** What was reported, so that it is not said each time. */
  reported: string | undefined;
}

export interface ListenersParts {
  state: GatewayState;
  sockets: Sockets;
  recorder: Recorder;
  log(line: string): void;
  /** What becomes of a connection on an own port, and on the shared one. */
  onOwnPort(socket: Socket, port: number): void;
  onSharedPort(socket: Socket): void;
}

export class Listeners {
  readonly #parts: ListenersParts;
  readonly #listeners = new Map<number, Listener>();
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(parts: ListenersParts) {
    this.#parts = parts;
    this.#unsubscribe = parts.state.onChange((change) => {
      if (change.kind === 'all' || change.kind === 'settings') this.#matchAll();
      if (change.kind !== 'environment') return;
      const ports = [change.before?.port, parts.state.environment(change.id)?.port];
      for (const port of new Set(ports)) if (typeof port === 'number') this.#match(port);
    });
    this.#matchAll();
  }

  /** Takes no more connections; those that there are stay. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const port of [...this.#listeners.keys()]) this.#close(port);
  }

  #matchAll(): void {
    const { state } = this.#parts;
    if (!state.isComplete) return;
    const ports = new Set(this.#listeners.keys());
    for (const { port } of state.environments()) if (port !== null) ports.add(port);
    ports.add(state.settings.sharedPort);
    ports.delete(0);
    for (const port of ports) this.#match(port);
  }

  /** Opens or closes a port as the state wants it. */
  #match(port: number): void {
    const { state } = this.#parts;
    const listener = this.#listeners.get(port);
    const { address } = state.settings;
    if (listener !== undefined && (!this.#isWanted(port) || listener.address !== address)) this.#close(port);
    if (this.#listeners.has(port) || !this.#isWanted(port)) return;
    const opened: Listener = { address, retry: undefined, reported: undefined };
    this.#listeners.set(port, opened);
    void this.#open(port, opened);
  }

  #isWanted(port: number): boolean {
    const { state } = this.#parts;
    return state.settings.sharedPort === port || state.environmentByPort(port) !== undefined;
  }

  async #open(port: number, listener: Listener): Promise<void> {
    const { sockets, log } = this.#parts;
    try {
      await sockets.listen(port, listener.address, (socket) => this.#accept(socket, port));
      if (listener.reported !== undefined && this.#listeners.get(port) === listener) {
        log(`port ${port} is free now and open`);
      }
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error;
      // Closed meanwhile, which `listen` reports in this way too.
      if (this.#listeners.get(port) !== listener || this.#isClosed) return;
      this.#report(port, listener, error.message);
      listener.retry = setTimeout(() => void this.#open(port, listener), tryAgainMs);
    }
  }

  #report(port: number, listener: Listener, message: string): void {
    if (listener.reported === message) return;
    listener.reported = message;
    const { state, recorder, log } = this.#parts;
    const environment = state.environmentByPort(port)?.id;
    log(`${environment ?? sharedPortName}: ${message}`);
    if (environment !== undefined) recorder.record({ type: 'port-taken', environment, port, message });
  }

  /** A port may be shared or own from one moment to the next; what it is now counts. */
  #accept(socket: Socket, port: number): void {
    if (this.#parts.state.settings.sharedPort === port) this.#parts.onSharedPort(socket);
    else this.#parts.onOwnPort(socket, port);
  }

  #close(port: number): void {
    clearTimeout(this.#listeners.get(port)?.retry);
    this.#listeners.delete(port);
    this.#parts.sockets.close(port);
  }
}
