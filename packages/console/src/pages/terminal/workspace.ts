/**
 * The terminals of one page: which sessions it shows, how they lie, and what is being moved. React reads it by snapshots; the
 * layout is kept in the browser's tab, the sessions live inside the environment.
 */
import type { TerminalSessions } from '@berth/contract';
import { pathOf, routes } from '@berth/contract/paths';
import { call } from '../../api/client.ts';
import {
  activate,
  addTab,
  allPanes,
  panesOf,
  readLayout,
  remove,
  replace,
  resize,
  show,
  showBeside,
  split,
} from './layout.ts';
import type { Layout } from './layout.ts';
import { Pane } from './pane.ts';
import { Transfers } from './transfers.ts';

export interface WorkspaceState {
  layout: Layout;
  /** A text of several lines that waits for a word. */
  paste: { text: string; lines: number; answer: (isWanted: boolean) => void } | null;
}

export interface WorkspaceOptions {
  environment: string;
  scheme: 'light' | 'dark';
  /** Whether a person has come here, and not a page by itself: then the environment may be started. */
  isAsked: boolean;
  mayTryAgain: () => Promise<boolean>;
}

export class Workspace {
  readonly environment: string;
  readonly transfers: Transfers;
  readonly #options: WorkspaceOptions;
  readonly #panes = new Map<string, Pane>();
  readonly #listeners = new Set<() => void>();
  #scheme: 'light' | 'dark';
  #state: WorkspaceState = { layout: { tabs: [], shown: '' }, paste: null };

  constructor(options: WorkspaceOptions) {
    this.environment = options.environment;
    this.#options = options;
    this.#scheme = options.scheme;
    this.transfers = new Transfers(options.environment);
  }

  get state(): WorkspaceState {
    return this.#state;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** What this tab of the browser showed before; else the sessions that live inside; else a new one. */
  async begin(): Promise<void> {
    const before = readLayout(sessionStorage.getItem(this.#key));
    const found = await this.sessions().catch(() => null);
    const living = new Set(found?.items.map(({ session }) => session));
    let layout = before ?? { tabs: [], shown: '' };
    // One that cannot be asked just now, since the environment is stopped, may have them all.
    if (found !== null)
      for (const pane of allPanes(layout)) if (!living.has(pane)) layout = remove(layout, pane);
    if (before === null) for (const session of living) layout = addTab(layout, session);
    for (const pane of allPanes(layout)) this.#make(pane, false);
    if (layout.tabs.length === 0) return this.open();
    this.#set({ layout });
  }

  pane(id: string): Pane {
    const pane = this.#panes.get(id);
    if (pane === undefined) throw new Error('there is no such terminal');
    return pane;
  }

  /** The one that has the focus. */
  get active(): Pane | undefined {
    const { tabs, shown } = this.#state.layout;
    return this.#panes.get(tabs.find(({ id }) => id === shown)?.active ?? '');
  }

  /** A new session in a tab of its own. */
  open(): void {
    const id = newSession();
    this.#make(id, true);
    this.#set({ layout: addTab(this.#state.layout, id) });
  }

  /** A session that lives inside and is not shown here. */
  attach(session: string): void {
    if (!this.#panes.has(session)) {
      this.#make(session, false);
      this.#set({ layout: addTab(this.#state.layout, session) });
    } else this.activate(session);
  }

  split(direction: 'row' | 'column'): void {
    const beside = this.active;
    if (beside === undefined) return;
    const id = newSession();
    this.#make(id, true);
    this.#set({ layout: split(this.#state.layout, beside.id, direction, id) });
  }

  show(tab: string): void {
    this.#set({ layout: show(this.#state.layout, tab) });
  }

  showBeside(step: 1 | -1): void {
    this.#set({ layout: showBeside(this.#state.layout, step) });
  }

  activate(pane: string): void {
    const layout = activate(this.#state.layout, pane);
    if (layout !== this.#state.layout) this.#set({ layout });
  }

  /** To the next pane of the tab. */
  focusNext(): void {
    const { tabs, shown } = this.#state.layout;
    const tab = tabs.find(({ id }) => id === shown);
    if (tab === undefined) return;
    const panes = panesOf(tab.root);
    this.#panes.get(panes[(panes.indexOf(tab.active) + 1) % panes.length] ?? '')?.focus();
  }

  resize(tab: string, path: readonly number[], sizes: number[]): void {
    this.#set({ layout: resize(this.#state.layout, tab, path, sizes) });
  }

  /** It is shown no more; its session goes on. */
  detach(id: string): void {
    this.#panes.get(id)?.dispose();
    this.#panes.delete(id);
    this.#set({ layout: remove(this.#state.layout, id) });
    if (this.#state.layout.tabs.length === 0) this.open();
  }

  /** A new session in the place of one that is over. */
  replace(id: string): void {
    const made = newSession();
    this.#make(made, true);
    const before = this.#panes.get(id);
    this.#panes.delete(id);
    this.#set({ layout: replace(this.#state.layout, id, made) });
    before?.dispose();
  }

  /** Ends the session with what runs in it. @throws ApiError */
  async end(id: string): Promise<void> {
    const path = { id: this.environment, session: id };
    if (this.#panes.get(id)?.state.lasts !== false)
      await call('DELETE', routes.terminalSession, { path }).catch((error: { code?: string }) => {
        if (error.code !== 'not_found') throw error;
      });
    if (this.#panes.has(id)) this.detach(id);
  }

  /** @throws ApiError */
  sessions(): Promise<TerminalSessions> {
    return call<TerminalSessions>('GET', routes.terminals, { path: { id: this.environment } });
  }

  /** Where the pane's program works; the home folder where that is not known. */
  async folderOf(id: string): Promise<string> {
    const found = await this.sessions().catch(() => undefined);
    return found?.items.find(({ session }) => session === id)?.folder || '.';
  }

  setScheme(scheme: 'light' | 'dark'): void {
    this.#scheme = scheme;
    for (const pane of this.#panes.values()) pane.setScheme(scheme);
  }

  dispose(): void {
    for (const pane of this.#panes.values()) pane.dispose();
    this.#panes.clear();
    this.transfers.dispose();
  }

  #make(session: string, isNew: boolean): void {
    const pane = new Pane(
      {
        session,
        isNew,
        wake: this.#options.isAsked,
        address: (query) => {
          const url = new URL(`${pathOf(routes.terminal, { id: this.environment })}?${query}`, location.href);
          url.protocol = url.protocol.replace('http', 'ws');
          return url.href;
        },
        mayTryAgain: this.#options.mayTryAgain,
        askPaste: (text, lines) =>
          new Promise((resolve) =>
            this.#set({
              paste: {
                ...{ text, lines },
                answer: (isWanted) => {
                  this.#set({ paste: null });
                  resolve(isWanted);
                },
              },
            }),
          ),
        dropped: (files) => void this.#upload(session, files),
        focused: () => this.activate(session),
      },
      this.#scheme,
    );
    this.#panes.set(session, pane);
  }

  async #upload(pane: string, files: File[]): Promise<void> {
    const folder = await this.folderOf(pane);
    for (const file of files) this.transfers.upload(file, folder);
  }

  get #key(): string {
    return `berth-terminal ${this.environment}`;
  }

  #set(change: Partial<WorkspaceState>): void {
    this.#state = { ...this.#state, ...change };
    sessionStorage.setItem(this.#key, JSON.stringify(this.#state.layout));
    for (const listener of this.#listeners) listener();
  }
}

function newSession(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) =>
    byte.toString(36).padStart(2, '0'),
  ).join('');
}
