/**
 * The way from the server to a shell inside an environment: to a session that a keeper keeps there, or, where the image has
 * no keeper, to a shell on the connection itself. terminal.ts joins either to a page; both speak a keeper's words.
 */
import { once } from 'node:events';
import { constants } from 'node:os';
import type { ClientSession, Exit } from '@berth/ssh';
import type { Inside } from '../inside.ts';
import { KeeperError, KeeperReader, keeperProgram, toKeeper } from './keeper.ts';
import type { KeeperWord } from './keeper.ts';

/** POSIX: the shell found no such program. */
const commandNotFound = 127;

export interface Line {
  /** Whether the session goes on without the connection. */
  readonly lasts: boolean;
  /** Bytes that wait to be sent into the environment. */
  readonly waitingBytes: number;
  /** Resolves when all was read of it that there will be, and when the connection has ended. */
  readonly ended: Promise<void>;
  input(bytes: Buffer): void;
  size(columns: number, rows: number): void;
  acknowledge(offset: number): void;
  hold(holds: boolean): void;
  /** Says good-bye; `ended` follows. */
  leave(): void;
  /** Nothing is read of it, until it is resumed. */
  pause(): void;
  resume(): void;
}

interface LineOptions {
  columns: number;
  rows: number;
  /** Called for each word, not before the line is returned. */
  take: (word: KeeperWord) => void;
}

/**
 * @param options.isNew begins the session where there is none
 * @param options.from bytes of output that the page has
 * @returns null when the image has no keeper
 * @throws ChannelOpenError, ChannelError, KeeperError, or why the connection ended
 */
export async function openKeptLine(
  inside: Inside,
  options: LineOptions & { id: string; isNew: boolean; from: number; writer: string },
): Promise<Line | null> {
  const { id, isNew, from, writer, columns, rows, take } = options;
  const session = await inside.session();
  const { channel } = session;
  session.stderr.resume();
  const ended = endOf(session);
  const reader = new KeeperReader();
  const begun = Promise.withResolvers<true>();
  const early: KeeperWord[] = [];
  let deliver = (word: KeeperWord): void => void early.push(word);
  channel.on('data', (chunk: Buffer) => {
    try {
      for (const word of reader.read(chunk)) deliver(word);
      if (reader.begun) begun.resolve(true);
    } catch {
      // Whatever runs there in the keeper's place.
      session.close();
    }
  });
  const words = [keeperProgram, 'attach', id, '--size', `${columns}x${rows}`, ...(isNew ? ['--new'] : [])];
  await session.exec(`exec ${words.join(' ')} --client '${inside.variables['BERTH_CLIENT'] ?? ''}'`);
  if (!(await Promise.race([begun.promise, ended.then(() => false)]))) {
    const exit = await session.exited;
    if (exit !== undefined && 'status' in exit && exit.status === commandNotFound) return null;
    throw new KeeperError('the keeper of sessions does not begin');
  }
  channel.write(toKeeper.attach({ from, columns, rows, writer }));
  const delivered = new Promise<void>((resolve) => {
    setImmediate(() => {
      deliver = take;
      for (const word of early.splice(0)) take(word);
      resolve();
    });
  });
  return {
    lasts: true,
    // A keeper that has nothing to keep says so and ends at once: its word comes first.
    ended: delivered.then(() => ended),
    get waitingBytes() {
      return channel.writableLength;
    },
    pause: () => void channel.pause(),
    resume: () => void channel.resume(),
    input: (bytes) => void channel.write(toKeeper.input(bytes)),
    size: (columns, rows) => void channel.write(toKeeper.size(columns, rows)),
    acknowledge: (offset) => void channel.write(toKeeper.acknowledge(offset)),
    hold: (holds) => void channel.write(toKeeper.hold(holds)),
    leave: () => void channel.write(toKeeper.leave()),
  };
}

/**
 * A login shell that ends with the connection.
 *
 * @throws ChannelOpenError, ChannelError, or why the connection ended
 */
export async function openPlainLine(inside: Inside, { columns, rows, take }: LineOptions): Promise<Line> {
  const session = await inside.session();
  const { channel } = session;
  session.stderr.resume();
  const ended = endOf(session);
  await session.shell({
    pty: { term: 'xterm-256color', columns, rows, widthPixels: 0, heightPixels: 0, modes: {} },
    env: { ...inside.variables, COLORTERM: 'truecolor' },
  });
  setImmediate(() => {
    take({ type: 'welcome', hasGap: false, offset: 0, end: 0, taken: 0, columns, rows, modes: '' });
    channel.on('data', (bytes: Buffer) => take({ type: 'output', bytes }));
  });
  const exited = (async () => {
    const exit = await session.exited;
    await ended;
    take({ type: 'exit', ...statusOf(exit) });
  })();
  let taken = 0;
  return {
    lasts: false,
    // An end that nobody told of is the connection's.
    ended: exited.catch(() => ended),
    get waitingBytes() {
      return channel.writableLength;
    },
    pause: () => void channel.pause(),
    resume: () => void channel.resume(),
    input: (bytes) =>
      void channel.write(bytes, () => {
        taken += bytes.length;
        take({ type: 'taken', taken });
      }),
    size: (columns, rows) => session.resize({ columns, rows, widthPixels: 0, heightPixels: 0 }),
    acknowledge: () => undefined,
    hold: () => undefined,
    leave: () => session.close(),
  };
}

async function endOf({ channel }: ClientSession): Promise<void> {
  await Promise.race([once(channel, 'end'), once(channel, 'close')]).catch(() => undefined);
}

function statusOf(exit: Exit | undefined): { status: number | null; signal: number | null } {
  if (exit === undefined) return { status: null, signal: null };
  if ('status' in exit) return { status: exit.status, signal: null };
  return { status: null, signal: constants.signals[`SIG${exit.signal}` as NodeJS.Signals] ?? 0 };
}
