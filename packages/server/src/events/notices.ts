/** Hands the database's notifications to whoever in this server waits for one environment, or for any. */
import type { Which } from '@berth/contract';
import { notify } from '../database/database.ts';
import type { Session } from '../database/database.ts';
import type { EnvironmentNotice } from './events.ts';

type Listener = (notice: EnvironmentNotice) => void;

/** What changed that is no environment; each server, and through it each gateway, hears of it. */
export type Announcement =
  /** Its allowlist, keys, authorities, or whether passwords are taken. */
  | { topic: 'customer'; id: number }
  | { topic: 'account'; name: string }
  | { topic: 'lockout'; target: string; source: string }
  | { topic: 'ban'; source: string }
  /** Secrets were sealed anew. */
  | { topic: 'secrets' }
  /** Live connections that shall end, with the sentence for the person. */
  | { topic: 'end'; which: Which; sentence: string };

type AnnouncementListener = (announcement: Announcement) => void;

/** Heard when the transaction commits. */
export async function announce(session: Session, announcement: Announcement): Promise<void> {
  await notify(session, JSON.stringify(announcement));
}

export class Notices {
  readonly #any = new Set<Listener>();
  readonly #one = new Map<string, Set<Listener>>();
  readonly #announcements = new Set<AnnouncementListener>();
  readonly #missed = new Set<() => void>();

  /** Called with what came through the database. */
  receive(message: string): void {
    const notice = JSON.parse(message) as EnvironmentNotice | Announcement;
    if ('topic' in notice) {
      for (const listener of this.#announcements) listener(notice);
      return;
    }
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

  onAnnouncement(listener: AnnouncementListener): () => void {
    this.#announcements.add(listener);
    return () => this.#announcements.delete(listener);
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
