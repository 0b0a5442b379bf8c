/** What is being uploaded: a few files at a time, each with how far it is, read from the disk as they are sent. */
import type { Problem, UploadedFile } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';

const atOnce = 2;

export interface Transfer {
  id: number;
  name: string;
  /** Where it goes. */
  path: string;
  bytes: number;
  sent: number;
  bytesPerSecond: number;
  state: 'waiting' | 'moving' | 'done' | 'failed' | 'cancelled';
  /** Why it failed; `exists` is the one that can be helped here. */
  problem: { sentence: string; cure: string | null; exists: boolean } | null;
}

interface Entry {
  transfer: Transfer;
  file: File;
  replace: boolean;
  request: XMLHttpRequest | null;
}

export class Transfers {
  readonly #environment: string;
  readonly #entries = new Map<number, Entry>();
  readonly #listeners = new Set<() => void>();
  #list: readonly Transfer[] = [];
  #next = 1;

  constructor(environment: string) {
    this.#environment = environment;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  list = (): readonly Transfer[] => this.#list;

  upload(file: File, folder: string): void {
    const id = this.#next++;
    const path = `${folder.replace(/\/$/, '')}/${file.name}`;
    this.#entries.set(id, {
      transfer: {
        ...{ id, name: file.name, path, bytes: file.size, sent: 0, bytesPerSecond: 0 },
        ...{ state: 'waiting', problem: null },
      },
      file,
      replace: false,
      request: null,
    });
    this.#advance();
  }

  again(id: number, replace: boolean): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.replace = replace;
    this.#change(entry, { state: 'waiting', sent: 0, problem: null });
    this.#advance();
  }

  cancel(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#change(entry, { state: 'cancelled' });
    entry.request?.abort();
  }

  /** Those that are over are not shown any more. */
  clear(): void {
    for (const [id, { transfer }] of this.#entries)
      if (transfer.state !== 'moving' && transfer.state !== 'waiting') this.#entries.delete(id);
    this.#tell();
  }

  get isMoving(): boolean {
    return this.#list.some(({ state }) => state === 'moving' || state === 'waiting');
  }

  dispose(): void {
    for (const { request } of this.#entries.values()) request?.abort();
    this.#entries.clear();
  }

  #advance(): void {
    const moving = [...this.#entries.values()].filter(({ transfer }) => transfer.state === 'moving').length;
    const waiting = [...this.#entries.values()].filter(({ transfer }) => transfer.state === 'waiting');
    for (const entry of waiting.slice(0, atOnce - moving)) this.#send(entry);
    this.#tell();
  }

  /** fetch() does not say how much of a body was sent. */
  #send(entry: Entry): void {
    const { transfer, file, replace } = entry;
    const request = new XMLHttpRequest();
    entry.request = request;
    const query = new URLSearchParams({ path: transfer.path, ...(replace ? { replace: 'true' } : {}) });
    request.open('PUT', `${pathOf(routes.files, { id: this.#environment })}?${query}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.responseType = 'json';
    const began = performance.now();
    request.upload.addEventListener('progress', ({ loaded }) => {
      const seconds = (performance.now() - began) / 1000;
      this.#change(entry, { sent: loaded, bytesPerSecond: seconds > 0.2 ? loaded / seconds : 0 });
    });
    request.addEventListener('loadend', () => {
      if (entry.transfer.state === 'cancelled') this.#tell();
      else if (request.status === 201) {
        const { path } = request.response as UploadedFile;
        this.#change(entry, { state: 'done', path, sent: file.size });
      } else {
        const problem = request.response as Problem | null;
        this.#change(entry, {
          state: 'failed',
          problem: {
            sentence: problem?.detail ?? '',
            cure: problem?.cure ?? null,
            exists: problem?.code === 'file_exists',
          },
        });
      }
      this.#advance();
    });
    this.#change(entry, { state: 'moving' });
    request.send(file);
  }

  #change(entry: Entry, change: Partial<Transfer>): void {
    entry.transfer = { ...entry.transfer, ...change };
    this.#tell();
  }

  #tell(): void {
    this.#list = [...this.#entries.values()].map(({ transfer }) => transfer);
    for (const listener of this.#listeners) listener();
  }
}
