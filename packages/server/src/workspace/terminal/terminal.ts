/**
 * One terminal in a browser: joins its WebSocket (contract, terminal.ts) to a session inside the environment. routes.ts
 * calls it for each WebSocket.
 *
 * Memory is bounded in both directions. Towards the page no more is read of the environment than the page has taken plus
 * a window; of the page no more is taken than a window beyond what the environment has. A page that reads nothing stalls
 * its own connection and nothing else.
 */
import { constants } from 'node:os';
import { BerthError, PageMessage, inputWindowBytes, terminalWindowBytes } from '@berth/contract';
import type { ServerMessage, TerminalEnd, TerminalQuery } from '@berth/contract';
import type { TSchema } from 'typebox';
import type { WebSocket } from 'ws';
import type { Services } from '../../http/app.ts';
import { compileValidator } from '../../http/validation.ts';
import { NotLetIn, openInside } from '../inside.ts';
import type { Inside, InsideWish } from '../inside.ts';
import type { KeeperFailure, KeeperWord } from './keeper.ts';
import { openKeptLine, openPlainLine } from './line.ts';
import type { Line } from './line.ts';

/** A laptop that was closed is noticed after two of these; the session goes on meanwhile. */
const pingMs = 15_000;
/** How long a good-bye may take, in either direction. */
const leaveMs = 2000;
/** With its envelopes; a page that sends more than its window is none of ours. */
const mostWaitingBytes = 2 * inputWindowBytes;

/** WebSocket close codes (RFC 6455, section 7.4): all has been said; it is not the protocol. */
const closeCodes = { done: 1000, protocol: 1008 } as const;

const schema: TSchema = PageMessage;
const check = compileValidator({ schema, method: 'GET', url: '', httpPart: 'body' });

/** Why a session cannot be had. */
const keeperEnds: Record<KeeperFailure, [TerminalEnd, string]> = {
  gone: ['gone', 'The session has ended.'],
  many: ['many', 'The environment has as many sessions as it can hold. End one of them first.'],
  failed: ['unavailable', 'The session could not be begun.'],
};

/** Who comes, from where, and to what. */
export type TerminalVisit = Pick<
  InsideWish,
  'principal' | 'environment' | 'source' | 'sourcePort' | 'client'
> & { query: TerminalQuery };

/** Until the WebSocket is closed. */
export async function serveTerminal(
  services: Services,
  socket: WebSocket,
  visit: TerminalVisit,
): Promise<void> {
  await new Terminal(services, socket, visit.query).serve(visit);
}

class Terminal {
  readonly #services: Services;
  readonly #socket: WebSocket;
  readonly #query: TerminalQuery;
  readonly #gone = new AbortController();
  #line: Line | null = null;
  /** Offsets of output: what was sent, and what the page has taken. */
  #sent = 0;
  #taken = 0;
  #isStalled = false;
  #isReady = false;
  #isAlive = true;
  /** Nothing more is said: the page knows the end. */
  #isOver = false;
  #leaving: Promise<unknown> | null = null;
  #size: { columns: number; rows: number };
  #holds = true;

  constructor(services: Services, socket: WebSocket, query: TerminalQuery) {
    this.#services = services;
    this.#socket = socket;
    this.#query = query;
    this.#size = { columns: query.columns, rows: query.rows };
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => (this.#isAlive = true));
    socket.once('close', () => this.#gone.abort());
  }

  async serve(visit: TerminalVisit): Promise<void> {
    const { stopping } = this.#services;
    const ping = setInterval(() => this.#ping(), pingMs);
    const stop = () => this.#end('unavailable', 'Berth is being restarted.');
    stopping.addEventListener('abort', stop);
    const closed = new Promise((resolve) => this.#gone.signal.addEventListener('abort', resolve));
    let inside: Inside | undefined;
    try {
      inside = await openInside(this.#services, {
        ...visit,
        way: 'terminal',
        wake: this.#query.wake ?? false,
        signal: this.#gone.signal,
        onStatus: ({ message, seconds }) => this.#say({ type: 'progress', message, seconds }),
      });
      const line = await this.#open(inside);
      if (line !== null) await Promise.race([line.ended, inside.ended, closed]);
      this.#tellEnd(inside, line);
    } catch (error) {
      this.#tellFault(inside, error);
    }
    await closed;
    clearInterval(ping);
    stopping.removeEventListener('abort', stop);
    await this.#leaving;
    inside?.end('The page was closed or lost its connection.');
  }

  /** @returns null when the session that is asked for is not there */
  async #open(inside: Inside): Promise<Line | null> {
    const { session: id, new: isNew = false, from = 0, writer } = this.#query;
    const take = (word: KeeperWord) => this.#take(word);
    const asked = this.#size;
    // A session without a keeper has ended with its connection.
    const line =
      (await openKeptLine(inside, { id, isNew, from, writer, ...asked, take })) ??
      (isNew ? await openPlainLine(inside, { ...asked, take }) : null);
    this.#line = line;
    // What the page has said meanwhile.
    if (this.#size !== asked) line?.size(this.#size.columns, this.#size.rows);
    if (!this.#holds) line?.hold(false);
    return line;
  }

  #take(word: KeeperWord): void {
    switch (word.type) {
      case 'welcome': {
        const { offset, end, hasGap: gap, modes, taken, columns, rows } = word;
        this.#sent = this.#taken = offset;
        this.#isReady = true;
        this.#holdBack();
        const lasts = this.#line?.lasts ?? false;
        return this.#say({ type: 'ready', offset, end, gap, modes, taken, columns, rows, lasts });
      }
      case 'output':
        this.#sent += word.bytes.length;
        if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(word.bytes);
        return this.#holdBack();
      case 'taken':
        return this.#say({ type: 'taken', offset: word.taken });
      case 'size':
        return this.#say(word);
      case 'exit': {
        const { status, signal } = word;
        this.#say({ type: 'exit', status, signal: signal === null ? null : nameOf(signal) });
        // The page says good-bye when it has seen all; the end of the line is no news to it.
        this.#isOver = true;
        return;
      }
      case 'failed':
        return this.#end(...keeperEnds[word.why]);
    }
  }

  /** Nothing is read of the environment while the page owes its window. */
  #holdBack(): void {
    const isStalled = this.#sent - this.#taken >= terminalWindowBytes;
    if (isStalled === this.#isStalled) return;
    this.#isStalled = isStalled;
    if (isStalled) this.#line?.pause();
    else this.#line?.resume();
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (isBinary) return this.#input(data);
    const message = readMessage(data);
    if (message === undefined) return this.#refuse('not a message of the terminal');
    switch (message.type) {
      case 'size':
        this.#size = { columns: message.columns, rows: message.rows };
        return this.#line?.size(message.columns, message.rows);
      case 'taken':
        if (message.offset > this.#sent) return this.#refuse('took what was not sent');
        this.#taken = Math.max(this.#taken, message.offset);
        this.#line?.acknowledge(this.#taken);
        return this.#holdBack();
      case 'hold':
        this.#holds = message.hold;
        return this.#line?.hold(message.hold);
      case 'leave':
        this.#leave();
    }
  }

  #input(bytes: Buffer): void {
    const line = this.#line;
    if (line === null || !this.#isReady) return this.#refuse('input before the session is ready');
    if (line.waitingBytes + bytes.length > mostWaitingBytes)
      return this.#refuse('more input than the window has room for');
    line.input(bytes);
  }

  #leave(): void {
    const line = this.#line;
    this.#isOver = true;
    if (line !== null && this.#leaving === null) {
      line.leave();
      // What is said last must be there before the connection ends.
      const late = new Promise((resolve) => setTimeout(resolve, leaveMs).unref());
      this.#leaving = Promise.race([line.ended, late]);
    }
    this.#socket.close(closeCodes.done);
  }

  #refuse(why: string): void {
    this.#isOver = true;
    this.#socket.close(closeCodes.protocol, why);
  }

  #tellEnd(inside: Inside, line: Line | null): void {
    const { endReason, isCut } = inside;
    if (line === null) this.#end(...keeperEnds.gone);
    else if (endReason === undefined) this.#end('unavailable', 'The session gave no answer.');
    else this.#end(isCut ? 'ended' : 'unavailable', endReason);
  }

  #tellFault(inside: Inside | undefined, error: unknown): void {
    if (this.#gone.signal.aborted) return;
    if (inside?.isCut === true) return this.#end('ended', inside.endReason ?? '');
    if (error instanceof NotLetIn) return this.#end(endOf(error), `${error.message} ${error.cure}`.trim());
    if (error instanceof BerthError) return this.#end('refused', `${error.message} ${error.cure}`);
    this.#services.logger.warn({ error: (error as Error).message }, 'a terminal could not be opened');
    this.#end('unavailable', 'The terminal could not be opened.');
  }

  /** Says why, and closes. */
  #end(why: TerminalEnd, sentence: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#say({ type: 'end', why, sentence });
    this.#socket.close(closeCodes.done);
    setTimeout(() => this.#socket.terminate(), leaveMs).unref();
  }

  #say(message: ServerMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #ping(): void {
    if (!this.#isAlive) return this.#socket.terminate();
    this.#isAlive = false;
    this.#socket.ping();
  }
}

function readMessage(data: Buffer): PageMessage | undefined {
  try {
    const message: unknown = JSON.parse(data.toString());
    const { error } = check(message) as { error?: unknown };
    return error === undefined ? (message as PageMessage) : undefined;
  } catch {
    return undefined;
  }
}

function endOf({ reason }: NotLetIn): TerminalEnd {
  if (reason === 'unavailable') return 'unavailable';
  return reason === 'not_running' || reason === 'failed' ? 'stopped' : 'refused';
}

/** `SIGHUP`; a number that has no name here as it is. */
function nameOf(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] ?? String(signal);
}
