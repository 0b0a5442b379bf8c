/**
 * One terminal on the page: xterm.js with its addons, on one session. It lives outside of React, which only says where its
 * element stands, so that moving it between tabs and splits costs nothing.
 */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal } from '@xterm/xterm';
import type { ServerMessage } from '@berth/contract';
import { TerminalConnection } from './connection.ts';
import type { ConnectionState } from './connection.ts';
import { linesIn, pastable } from './paste.ts';
import { onPreferences, preferences } from './preferences.ts';
import { contrastOf, themeOf } from './themes.ts';
import { unicodeWidths } from './widths.ts';

const scrollbackLines = 10_000;

export interface PaneState {
  connection: ConnectionState;
  /** What the program calls itself; empty: nothing yet. */
  title: string;
  /** Whether the session goes on without the page; false: the image has no keeper. */
  lasts: boolean;
  /** Whether another page has chosen the session's size. */
  isForeign: boolean;
  /** Whether it rang while it was not looked at. */
  rang: boolean;
  /** Of the search: which of how many; null: none is sought. */
  found: { index: number; count: number } | null;
}

export interface PaneOptions {
  session: string;
  /** Begins the session where there is none. */
  isNew: boolean;
  wake: boolean;
  address: (query: URLSearchParams) => string;
  mayTryAgain: () => Promise<boolean>;
  /** Whether so many lines shall be pasted. */
  askPaste: (text: string, lines: number) => Promise<boolean>;
  /** Files were dropped on it. */
  dropped: (files: File[]) => void;
  focused: () => void;
}

export class Pane {
  readonly id: string;
  /** What is put where the terminal is to be seen. */
  readonly host = document.createElement('div');
  readonly terminal: Terminal;
  readonly search = new SearchAddon({ highlightLimit: 2000 });
  readonly #connection: TerminalConnection;
  readonly #options: PaneOptions;
  readonly #fit = new FitAddon();
  readonly #undo: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();
  #webgl: WebglAddon | null = null;
  #state: PaneState = {
    connection: { kind: 'connecting' },
    title: '',
    lasts: true,
    isForeign: false,
    rang: false,
    found: null,
  };
  #scheme: 'light' | 'dark';
  #isOpen = false;
  #isShown = false;
  #isExact = true;
  /** What is read again was said before: whoever was there then has answered it. */
  #isReplayed = false;
  #replayedBytes = 0;
  #fitting = 0;

  constructor(options: PaneOptions, scheme: 'light' | 'dark') {
    this.id = options.session;
    this.#options = options;
    this.#scheme = scheme;
    const terminal = new Terminal({
      allowProposedApi: true,
      scrollback: scrollbackLines,
      fontFamily: "'IBM Plex Mono', ui-monospace, 'Noto Sans Mono CJK SC', monospace",
      fontWeightBold: 600,
      cursorBlink: true,
      macOptionIsMeta: true,
      rescaleOverlappingGlyphs: true,
      linkHandler: { activate: (_event, address) => openLink(address) },
      ...this.#looks(),
    });
    this.terminal = terminal;
    terminal.loadAddon(this.#fit);
    terminal.loadAddon(this.search);
    terminal.loadAddon(new WebLinksAddon((_event, address) => openLink(address)));
    terminal.unicode.register(unicodeWidths);
    terminal.unicode.activeVersion = unicodeWidths.version;
    const { session, isNew, wake, address, mayTryAgain } = options;
    const writer = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('');
    const { cols: columns, rows } = terminal;
    this.#connection = new TerminalConnection(
      { session, writer, isNew, wake, columns, rows, address },
      {
        state: (connection) => this.#change({ connection }),
        ready: (ready) => this.#ready(ready),
        output: (bytes, taken) => this.#write(bytes, taken),
        size: (columns, rows) => this.#takeSize(columns, rows),
        mayTryAgain,
      },
    );
    this.#silenceReplies();
    this.#listen();
  }

  get state(): PaneState {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Its element has a place and a size: from the first time on it is connected. */
  shown(): void {
    this.#isShown = true;
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.terminal.open(this.host);
      this.#fitNow();
      this.#connection.open();
    } else this.#fitSoon();
    this.#draw();
    this.#change({ rang: false });
    this.#connection.hold(document.visibilityState === 'visible');
  }

  /** Another tab is shown: its program does not wait for it, and its place on the graphics card is another's. */
  hidden(): void {
    this.#isShown = false;
    this.#webgl?.dispose();
    this.#webgl = null;
    this.#connection.hold(false);
  }

  focus(): void {
    this.terminal.focus();
    if (this.#state.isForeign) this.#takeOver();
  }

  setScheme(scheme: 'light' | 'dark'): void {
    this.#scheme = scheme;
    this.#applyLooks();
  }

  /** @param wake the environment may be started */
  connectAgain(wake: boolean): void {
    this.#connection.openAnew(wake);
  }

  retryNow(): void {
    this.#connection.retryNow();
  }

  /** As a key would. */
  type(text: string): void {
    this.#connection.type(text);
  }

  async copy(): Promise<void> {
    const text = this.terminal.getSelection();
    if (text !== '') await navigator.clipboard.writeText(text).catch(() => undefined);
  }

  /** All that is shown and that can be scrolled to, as lines of text. */
  get text(): string {
    const { normal, active } = this.terminal.buffer;
    const lines: string[] = [];
    for (const buffer of active === normal ? [normal] : [normal, active]) {
      for (let at = 0; at < buffer.length; at += 1) {
        const line = buffer.getLine(at);
        const text = line?.translateToString(true) ?? '';
        if (line?.isWrapped === true) lines.push(`${lines.pop() ?? ''}${text}`);
        else lines.push(text);
      }
    }
    return `${lines.join('\n').trimEnd()}\n`;
  }

  async paste(text: string): Promise<void> {
    const lines = linesIn(text);
    const runs = lines > 1 || (!this.terminal.modes.bracketedPasteMode && /[\r\n]$/.test(text));
    if (runs && preferences().askBeforePaste && !(await this.#options.askPaste(text, lines))) return;
    this.terminal.paste(pastable(text));
    this.focus();
  }

  dispose(): void {
    cancelAnimationFrame(this.#fitting);
    for (const step of this.#undo.splice(0)) step();
    this.#connection.close();
    this.#webgl?.dispose();
    this.terminal.dispose();
    this.host.remove();
  }

  #change(change: Partial<PaneState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  #listen(): void {
    const { terminal, host } = this;
    const on = <K extends keyof DocumentEventMap>(
      target: EventTarget,
      name: K,
      listener: (event: DocumentEventMap[K]) => void,
      options?: AddEventListenerOptions,
    ) => {
      target.addEventListener(name, listener as EventListener, options);
      this.#undo.push(() => target.removeEventListener(name, listener as EventListener, options));
    };
    terminal.onData((text) => this.#connection.type(text));
    terminal.onBinary((text) => this.#connection.typeBytes(text));
    terminal.onResize(({ cols, rows }) => {
      if (!this.#state.isForeign) this.#connection.resize(cols, rows);
    });
    terminal.onTitleChange((title) => this.#change({ title }));
    terminal.onBell(() => {
      if (!this.#isShown || document.visibilityState !== 'visible') this.#change({ rang: true });
    });
    this.search.onDidChangeResults(({ resultIndex, resultCount }) =>
      this.#change({ found: { index: resultIndex, count: resultCount } }),
    );
    terminal.onKey(() => {
      if (this.#state.isForeign) this.#takeOver();
    });
    on(host, 'focusin', () => {
      if (this.#state.isForeign) this.#takeOver();
      this.#options.focused();
    });
    on(host, 'mouseup', () => {
      if (preferences().copyOnSelect && terminal.hasSelection()) void this.copy();
    });
    // Before xterm.js has it.
    on(
      host,
      'paste',
      (event) => {
        event.preventDefault();
        event.stopPropagation();
        const files = [...(event.clipboardData?.files ?? [])];
        const text = event.clipboardData?.getData('text/plain') ?? '';
        if (text === '' && files.length > 0) this.#options.dropped(files);
        else void this.paste(text);
      },
      { capture: true },
    );
    on(host, 'dragover', (event) => {
      if (event.dataTransfer?.types.includes('Files') !== true) return;
      event.preventDefault();
      host.dataset['drop'] = '';
    });
    on(host, 'dragleave', () => delete host.dataset['drop']);
    on(host, 'drop', (event) => {
      delete host.dataset['drop'];
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      this.#options.dropped(files);
    });
    on(document, 'visibilitychange', () => {
      const isSeen = document.visibilityState === 'visible';
      this.#connection.hold(this.#isShown && isSeen);
      if (isSeen) this.#connection.retryNow();
      if (isSeen && this.#isShown) this.#change({ rang: false });
    });
    const online = () => this.#connection.retryNow();
    addEventListener('online', online);
    this.#undo.push(() => removeEventListener('online', online));
    this.#undo.push(onPreferences(() => this.#applyLooks()));
    const observer = new ResizeObserver((entries) => {
      for (const entry of entries) this.#lookAtPixels(entry);
      this.#fitSoon();
    });
    try {
      observer.observe(host, { box: 'device-pixel-content-box' });
    } catch {
      // Safari knows no such box.
      observer.observe(host);
    }
    this.#undo.push(() => observer.disconnect());
  }

  #looks() {
    const { theme, fontSize, screenReader } = preferences();
    return {
      fontSize,
      theme: themeOf(theme, this.#scheme),
      minimumContrastRatio: contrastOf(theme),
      screenReaderMode: screenReader,
    };
  }

  #applyLooks(): void {
    Object.assign(this.terminal.options, this.#looks());
    this.host.style.backgroundColor = this.terminal.options.theme?.background ?? '';
    this.#fitSoon();
  }

  /** By the graphics card where there is one, else as elements. */
  #draw(): void {
    this.host.style.backgroundColor = this.terminal.options.theme?.background ?? '';
    if (this.#webgl !== null) return;
    if (this.#isExact) this.#webgl = this.#loadWebgl();
    this.host.dataset['renderer'] = this.#webgl === null ? 'elements' : 'webgl';
  }

  /** @returns null where there is no graphics card, or no more place on it */
  #loadWebgl(): WebglAddon | null {
    if (!hasGraphicsCard()) return null;
    const webgl = new WebglAddon();
    try {
      webgl.onContextLoss(() => {
        webgl.dispose();
        if (this.#webgl === webgl) this.#webgl = null;
        this.host.dataset['renderer'] = 'elements';
      });
      this.terminal.loadAddon(webgl);
      return webgl;
    } catch {
      webgl.dispose();
      return null;
    }
  }

  /**
   * Where the browser counts other pixels than it says, as under some emulations, xterm.js would draw beyond its canvas and
   * nothing would be seen.
   */
  #lookAtPixels({ devicePixelContentBoxSize: real, contentBoxSize: said }: ResizeObserverEntry): void {
    const [pixels, size] = [real?.[0]?.inlineSize, said[0]?.inlineSize];
    if (pixels === undefined || size === undefined || size === 0) return;
    const isExact = Math.abs(pixels / size / devicePixelRatio - 1) < 0.05;
    if (isExact === this.#isExact) return;
    this.#isExact = isExact;
    this.#webgl?.dispose();
    this.#webgl = null;
    if (this.#isShown) this.#draw();
  }

  #fitSoon(): void {
    cancelAnimationFrame(this.#fitting);
    this.#fitting = requestAnimationFrame(() => this.#fitNow());
  }

  #fitNow(): void {
    if (!this.#isOpen || !this.#isShown || this.#state.isForeign || this.host.offsetWidth === 0) return;
    this.#fit.fit();
  }

  #ready({ offset, end, gap, modes, lasts, columns, rows }: Extract<ServerMessage, { type: 'ready' }>): void {
    this.#change({ lasts });
    if (gap) {
      this.terminal.reset();
      this.terminal.write(modes);
    }
    this.#replay(end - offset, gap || offset === 0);
    // Ours is in force now, unless another page was quicker.
    const { cols: ourColumns, rows: ourRows } = this.terminal;
    if (columns !== ourColumns || rows !== ourRows) this.#connection.resize(ourColumns, ourRows);
  }

  /** The next bytes were said before; their questions are answered already. */
  #replay(bytes: number, isAnew: boolean): void {
    this.#replayedBytes = isAnew ? bytes : 0;
    if (this.#replayedBytes > 0) this.terminal.write('', () => (this.#isReplayed = true));
  }

  #write(bytes: Uint8Array, taken: () => void): void {
    if (this.#replayedBytes === 0) return this.terminal.write(bytes, taken);
    const old = bytes.subarray(0, this.#replayedBytes);
    this.#replayedBytes -= old.length;
    if (this.#replayedBytes > 0) return this.terminal.write(old, taken);
    const rest = bytes.subarray(old.length);
    this.terminal.write(old, () => (this.#isReplayed = false));
    this.terminal.write(rest, taken);
  }

  #takeSize(columns: number, rows: number): void {
    this.#change({ isForeign: true });
    this.terminal.resize(columns, rows);
  }

  /** This page's size is the one in force again. */
  #takeOver(): void {
    this.#change({ isForeign: false });
    this.#fit.fit();
    this.#connection.resize(this.terminal.cols, this.terminal.rows);
  }

  /**
   * Programs ask the terminal who it is and where its cursor stands. One page answers: not one that reads what was said
   * before it came, and not one beside that in which somebody works.
   */
  #silenceReplies(): void {
    const { parser } = this.terminal;
    const silent = () => this.#isReplayed || this.#state.isForeign;
    for (const id of [
      { final: 'c' },
      { prefix: '>', final: 'c' },
      { prefix: '=', final: 'c' },
      { final: 'n' },
      { prefix: '?', final: 'n' },
      { final: 't' },
      { prefix: '>', final: 'q' },
      { prefix: '?', final: 'u' },
      { intermediates: '$', final: 'p' },
      { prefix: '?', intermediates: '$', final: 'p' },
    ])
      parser.registerCsiHandler(id, silent);
    for (const intermediates of ['$', '+']) parser.registerDcsHandler({ intermediates, final: 'q' }, silent);
    for (const code of [4, 10, 11, 12])
      parser.registerOscHandler(code, (data) => silent() && data.includes('?'));
  }
}

/**
 * Where the processor stands in for a graphics card, drawing by WebGL costs more than the terminal itself. The browser does not
 * say so when it is asked (`failIfMajorPerformanceCaveat`); the name of what draws does. Looked at once.
 */
function hasGraphicsCard(): boolean {
  if (graphicsCard !== undefined) return graphicsCard;
  const context = document.createElement('canvas').getContext('webgl2');
  const info = context?.getExtension('WEBGL_debug_renderer_info');
  const name = info ? String(context?.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  graphicsCard = context !== null && !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
  return graphicsCard;
}
let graphicsCard: boolean | undefined;

function openLink(address: string): void {
  const { protocol } = URL.parse(address) ?? {};
  if (protocol === 'http:' || protocol === 'https:') window.open(address, '_blank', 'noopener,noreferrer');
}
