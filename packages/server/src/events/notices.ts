/** Hands the database's notifications to whoever in this server waits for one environment, or for any. */
import type { EnvironmentNotice } from './events.ts';

type Listener = (notice: EnvironmentNotice) => void;

export class Notices {
  readonly #any = new Set<Listener>();
  readonly #one = new Map<string, Set<Listener>>();
  readonly #missed = new Set<() => void>();

  /** Called with what came through the database. */
  receive(message: string): void {
    const notice = JSON.parse(message) as EnvironmentNotice;
    for (const listener of [...this.#any, ...(this.#one.get(notice.id) ?? [])]) listener(notice);
  }

  /** Called when notifications may have been lost: everybody looks again. */
  receiveGap(): void {
    for (const listener of this.#missed) listener();
    for (const [id, listeners] of this.#one) for (const listener of listeners) listener({ id });
  }

  onAny(listener: Listener, onGap: () => void): () => void {
    this.#any.add(listener);
    this.#missed.add(onGap);
    return () => {
      this.#any.delete(listener);
      this.#missed.delete(onGap);
    };
  }

  onEnvironment(id: string, listener: Listener): () => void {
    const listeners = this.#one.get(id) ?? new Set();
    this.#one.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#one.delete(id);
    };
  }
}
