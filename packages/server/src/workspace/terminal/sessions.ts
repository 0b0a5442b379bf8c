/** The sessions that live inside an environment, as their keepers tell of them. routes.ts calls it. */
import { BerthError, TerminalSession } from '@berth/contract';
import type { TerminalSessions } from '@berth/contract';
import type { TSchema } from 'typebox';
import { compileValidator } from '../../http/validation.ts';
import type { Inside } from '../inside.ts';
import { keeperProgram } from './keeper.ts';

/** POSIX: the shell found no such program. */
const commandNotFound = 127;
const mostBytes = 256 * 1024;
const mostMs = 10_000;
const marker = '\0berth-session 1\n';

const schema: TSchema = TerminalSession;
const check = compileValidator({ schema, method: 'GET', url: '', httpPart: 'body' });

/** What a keeper says of itself. */
interface Told {
  session: string;
  /** Seconds since 1970. */
  started: number;
  attached: number;
  columns: number;
  rows: number;
  ended: boolean;
  command: string;
  folder: string;
}

/** Oldest first. @throws BerthError `unavailable` */
export async function listSessions(inside: Inside): Promise<TerminalSessions> {
  const { status, text } = await run(inside, 'list');
  if (status === commandNotFound) return { items: [], lasting: false };
  const at = text.indexOf(marker);
  if (status !== 0 || at < 0) throw noAnswer();
  return { items: read(text.slice(at + marker.length)), lasting: true };
}

/** Its programs get a hang-up, and three seconds. @throws BerthError `not_found`, `unavailable` */
export async function endSession(inside: Inside, id: string): Promise<void> {
  const { status } = await run(inside, `end ${id}`);
  if (status === 0) return;
  if (status === 1 || status === commandNotFound)
    throw new BerthError('not_found', `There is no session ${id}.`, { cure: 'It has ended already.' });
  throw noAnswer();
}

/** The environment says it, so it is believed of what it is and no further. @throws BerthError `unavailable` */
function read(text: string): TerminalSession[] {
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    throw noAnswer();
  }
  if (!Array.isArray(told)) throw noAnswer();
  const sessions = (told as Told[]).flatMap(({ started, ...rest }) => {
    const at = new Date(Number(started) * 1000);
    const session = { ...rest, started_at: Number.isNaN(at.getTime()) ? '' : at.toISOString() };
    return (check(session) as { error?: unknown }).error === undefined ? [session] : [];
  });
  return sessions.sort((one, other) => one.started_at.localeCompare(other.started_at));
}

async function run(inside: Inside, words: string): Promise<{ status: number | undefined; text: string }> {
  const session = await inside.session();
  const timer = setTimeout(() => session.close(), mostMs);
  try {
    session.stderr.resume();
    const { channel } = session;
    const parts: Buffer[] = [];
    let bytes = 0;
    channel.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > mostBytes) session.close();
      else parts.push(chunk);
    });
    const ended = new Promise((resolve) => channel.once('end', resolve).once('close', resolve));
    await session.exec(`exec ${keeperProgram} ${words}`);
    const [exit] = await Promise.all([session.exited, ended]);
    const status = exit !== undefined && 'status' in exit ? exit.status : undefined;
    return { status, text: Buffer.concat(parts).toString() };
  } finally {
    clearTimeout(timer);
  }
}

function noAnswer(): BerthError {
  return new BerthError('unavailable', 'The environment does not say which sessions it has.');
}
