/**
 * The auth log (setting `authLog`): each attempt to log in by SSH in sshd's words, with the header of the traditional
 * syslog (RFC 3164), in a file or to a syslog server. What takes the gateways' records calls it after they are in the
 * audit log. Nothing waits for it, and nothing fails with it: what cannot be written is dropped and told.
 */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import type { ConnectionRecord } from '@berth/contract';
import type { Logger } from 'pino';
import type { Settings } from '../settings.ts';
import type { NewAttempt } from './attempts.ts';
import { attemptLines, endLine } from './sshd-words.ts';
import type { Line } from './sshd-words.ts';

/** RFC 3164, 4.1.1: authpriv. */
const facility = 10;
/** RFC 3164, 4.1. */
const longestPacketBytes = 1024;
const mostWaiting = 20_000;
const tellEveryMs = 60_000;
const mostConnections = 10_000;

interface Sink {
  /** @throws Error when it could not be written */
  write(lines: Line[]): Promise<void>;
  close(): Promise<void>;
}

export class AuthLog {
  readonly #sink: Sink | null;
  readonly #logger: Logger;
  readonly #attemptsPerConnection: number;
  /** Of connections: failed attempts, and who got in. */
  readonly #failures = new Map<string, number>();
  readonly #users = new Map<string, string>();
  #waiting: Line[] = [];
  #work: Promise<void> | null = null;
  #dropped = 0;
  #why = '';
  #toldAt = -Infinity;

  constructor(settings: Pick<Settings, 'authLog' | 'limits.attempts'>, logger: Logger) {
    const { authLog: place } = settings;
    this.#logger = logger;
    this.#attemptsPerConnection = settings['limits.attempts'];
    if (place === null) this.#sink = null;
    else this.#sink = place.startsWith('udp://') ? new SyslogServer(place) : new LogFile(place);
  }

  /** @param records such as were not known before */
  attempts(records: NewAttempt[]): void {
    if (this.#sink === null) return;
    for (const record of records) {
      const { connection, accepted, user } = record;
      let failures = 1;
      if (connection !== null && accepted) this.#users.set(connection, user);
      else if (connection !== null && record.method !== null) {
        failures = (this.#failures.get(connection) ?? 0) + 1;
        this.#failures.set(connection, failures);
      }
      this.#write(attemptLines(record, failures, this.#attemptsPerConnection));
    }
    forgetOldest(this.#failures);
    forgetOldest(this.#users);
  }

  /** Tells of those that have ended. */
  connections(records: ConnectionRecord[]): void {
    if (this.#sink === null) return;
    for (const record of records) {
      this.#failures.delete(record.id);
      const user = this.#users.get(record.id);
      if (record.ended_at === null || user === undefined) continue;
      this.#users.delete(record.id);
      this.#write([endLine(record, user)]);
    }
  }

  /** When all that waits is written. */
  async close(): Promise<void> {
    await this.#work;
    await this.#sink?.close();
  }

  #write(lines: Line[]): void {
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped += lines.length;
      this.#why = 'too many lines are waiting';
    } else this.#waiting.push(...lines);
    this.#work ??= this.#writeAll().finally(() => (this.#work = null));
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0 && this.#sink) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#sink.write(lines);
      } catch (error) {
        this.#dropped += lines.length;
        this.#why = (error as Error).message;
      }
    }
    const now = performance.now();
    if (this.#dropped === 0 || now - this.#toldAt < tellEveryMs) return;
    this.#toldAt = now;
    this.#logger.warn({ lines: this.#dropped, error: this.#why }, 'lines of the auth log were lost');
    this.#dropped = 0;
  }
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= mostConnections) return;
    map.delete(oldest);
  }
}

/**
 * A file that is appended to, and opened anew when another one stands in its place, as after logrotate, or when the
 * process is told to by SIGHUP.
 */
class LogFile implements Sink {
  readonly #path: string;
  #file: FileHandle | null = null;
  /** After a write that failed a part of a line may stand there. */
  #isCutOff = false;
  #isToReopen = false;
  readonly #reopen = () => {
    this.#isToReopen = true;
  };

  constructor(path: string) {
    this.#path = path;
    process.on('SIGHUP', this.#reopen);
  }

  async write(lines: Line[]): Promise<void> {
    const file = await this.#current();
    const text = lines.map((line) => `${headed(line)}\n`).join('');
    try {
      await file.appendFile(this.#isCutOff ? `\n${text}` : text);
      this.#isCutOff = false;
    } catch (error) {
      this.#isCutOff = true;
      throw error;
    }
  }

  async #current(): Promise<FileHandle> {
    const there = await stat(this.#path).catch(() => null);
    const ours = await this.#file?.stat();
    if (this.#file && !this.#isToReopen && there?.ino === ours?.ino && there?.dev === ours?.dev)
      return this.#file;
    await this.close(false);
    this.#isToReopen = false;
    this.#isCutOff = false;
    this.#file = await open(this.#path, 'a', 0o640);
    return this.#file;
  }

  async close(isEnd = true): Promise<void> {
    if (isEnd) process.off('SIGHUP', this.#reopen);
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

class SyslogServer implements Sink {
  readonly #host: string;
  readonly #port: number;
  readonly #socket: Socket;

  constructor(place: string) {
    const { hostname: host, port } = new URL(place);
    this.#host = host.replace(/^\[|\]$/g, '');
    this.#port = Number(port);
    this.#socket = createSocket(isIPv6(this.#host) ? 'udp6' : 'udp4');
    // What a send meets comes to its callback.
    this.#socket.on('error', () => undefined).unref();
  }

  async write(lines: Line[]): Promise<void> {
    for (const line of lines) {
      const text = `<${facility * 8 + line.severity}>${headed(line)}`;
      await new Promise<void>((resolve, reject) =>
        this.#socket.send(
          Buffer.from(text).subarray(0, longestPacketBytes),
          this.#port,
          this.#host,
          (error) => (error ? reject(error) : resolve()),
        ),
      );
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** RFC 3164, 4.1.2: the local time without a year, the name of this machine without its domain. */
function headed({ at, processId, message }: Line): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  const day = String(at.getDate()).padStart(2, ' ');
  const host = hostname().split('.')[0] || 'localhost';
  return `${months[at.getMonth()]} ${day} ${clock} ${host} sshd[${processId}]: ${message}`;
}
