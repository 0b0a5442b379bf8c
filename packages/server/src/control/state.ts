/**
 * The state that gateways are fed with (GET /control/state): all that there is, then each change as it comes.
 *
 * A line is made once and shared by all gateways. Each gateway's queue is bounded: one that does not read is cut off,
 * and gets everything anew when it asks again.
 */
import type { Writable } from 'node:stream';
import type {
  AccountRoute,
  CustomerRoute,
  EnvironmentRoute,
  GatewaySettings,
  StateLine,
  Which,
} from '@berth/contract';
import type { Logger } from 'pino';
import type { KeyRing } from '../secrets/key-ring.ts';
import { hostKeyPurpose } from '../secrets/sealed-columns.ts';
import type { Settings } from '../settings.ts';
import type { Directory, DirectoryChange, KnownEnvironment } from './directory.ts';

/** A line before it has its number. */
type Line = StateLine extends infer One ? (One extends StateLine ? Omit<One, 'number'> : never) : never;

const usualBeatMs = 5000;
/** What a gateway may leave unread, beside the snapshot that its stream began with. */
const mostWaitingBytes = 4 * 1024 * 1024;
/** How long it may leave unread what it was sent before. */
const longestWaitMs = 30_000;
/** A gateway that was away for a moment hears whom to end when it is back; ending somebody twice is no harm. */
const endsKeptMs = 30_000;

interface Stream {
  output: Writable;
  /** Of the snapshot that it began with. */
  beginningBytes: number;
  /** Since it began: what was handed over, and what of it had left this process when that was more than before. */
  writtenBytes: number;
  sentBytes: number;
  sentAt: number;
}

export class GatewayState {
  readonly #directory: Directory;
  readonly #keyRing: KeyRing;
  readonly #logger: Logger;
  readonly #server: string;
  readonly #onLines: (count: number) => void;
  /** The lines that tell of what there is, each as its key has it now, without number and end. */
  readonly #entries = new Map<string, string>();
  /** Until when, in milliseconds, of entries that have their time. */
  readonly #ofTime = new Map<string, number>();
  readonly #streams = new Set<Stream>();
  readonly #undo: (() => void)[] = [];
  #ends: { at: number; line: string }[] = [];
  /** Written to all at the end of the turn. */
  #waiting: string[] = [];
  #snapshot: Buffer | null = null;
  #number = 0;

  /** @param hostKeys OpenSSH private key files */
  constructor(
    parts: {
      directory: Directory;
      keyRing: KeyRing;
      logger: Logger;
      settings: Settings;
      hostKeys: string[];
      server: string;
      /** Called with how many lines were sent to gateways. */
      onLines: (count: number) => void;
    },
    beatMs = usualBeatMs,
  ) {
    const { directory, keyRing, logger, settings, hostKeys, server, onLines } = parts;
    this.#directory = directory;
    this.#keyRing = keyRing;
    this.#logger = logger;
    this.#server = server;
    this.#onLines = onLines;
    this.#set('settings', { type: 'settings', settings: gatewaySettings(settings) });
    this.#set('host-keys', { type: 'host-keys', keys: hostKeys });
    for (const { id } of directory.customers()) this.#onChange({ kind: 'customer', id });
    for (const { id } of directory.environments()) this.#onChange({ kind: 'environment', id });
    for (const { name } of directory.accounts()) this.#onChange({ kind: 'account', name });
    for (const { target, source } of directory.lockouts())
      this.#onChange({ kind: 'lockout', target, source });
    for (const { source } of directory.bans()) this.#onChange({ kind: 'ban', source });
    this.#undo.push(directory.onChange((change) => this.#onChange(change)));
    const beat = setInterval(() => this.#beat(), beatMs);
    this.#undo.push(() => clearInterval(beat));
  }

  close(): void {
    for (const step of this.#undo.splice(0)) step();
    for (const { output } of this.#streams) output.destroy();
    this.#streams.clear();
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Feeds it until it is closed. */
  feed(output: Writable): void {
    this.#flush();
    const snapshot = this.#makeSnapshot();
    const stream: Stream = {
      output,
      beginningBytes: snapshot.length,
      writtenBytes: 0,
      sentBytes: 0,
      sentAt: Date.now(),
    };
    output.on('error', () => undefined);
    output.once('close', () => this.#streams.delete(stream));
    this.#streams.add(stream);
    this.#onLines(this.#entries.size);
    this.#write(stream, snapshot);
  }

  #onChange(change: DirectoryChange): void {
    const directory = this.#directory;
    switch (change.kind) {
      case 'environment': {
        const { id } = change;
        const key = `environment ${id}`;
        const environment = directory.environment(id);
        const isKnown = this.#entries.has(key);
        this.#set(key, { type: 'environment', id, route: environment ? this.#routeOf(environment) : null });
        if (isKnown && !environment) this.#end({ environment: id }, `The environment ${id} was deleted.`);
        return;
      }
      case 'customer': {
        const { id } = change;
        const customer = directory.customer(id);
        const route: CustomerRoute | null = customer
          ? {
              id,
              allowlist: customer.allowlist,
              keys: [...customer.keys.keys()],
              authorities: [...customer.authorities.keys()],
            }
          : null;
        this.#set(`customer ${id}`, { type: 'customer', id, route });
        return;
      }
      case 'account': {
        const { name } = change;
        const account = directory.account(name);
        const route: AccountRoute | null = account
          ? { name, customer: account.customerId, keys: [...account.keys] }
          : null;
        this.#set(`account ${name}`, { type: 'account', name, route });
        return;
      }
      case 'lockout': {
        const { target, source } = change;
        const until = directory.lockedUntil(target, source);
        const line: Line = { type: 'lockout', target, source, until: until?.toISOString() ?? null };
        this.#setUntil(`lockout ${source} ${target}`, line, until);
        return;
      }
      case 'ban': {
        const { source } = change;
        const until = directory.bannedUntil(source);
        const line: Line = { type: 'ban', source, until: until?.toISOString() ?? null };
        this.#setUntil(`ban ${source}`, line, until);
        return;
      }
      case 'end':
        this.#end(change.which, change.sentence);
    }
  }

  /** @returns null when its host key does not open, so that nothing can be served of it */
  #routeOf(environment: KnownEnvironment): EnvironmentRoute | null {
    const { id, customerId, username, passwordLogin, allowlist, hostKey } = environment;
    try {
      return {
        id,
        customer: customerId,
        port: portOfGateway(environment),
        username,
        hostKey: this.#keyRing.open(hostKey, hostKeyPurpose(id)),
        passwordLogin,
        allowlist,
      };
    } catch (error) {
      this.#logger.error(
        { error: (error as Error).message, environment: id },
        'a host key does not open; no gateway serves the environment',
      );
      return null;
    }
  }

  /** Tells of an entry, unless it is as it was. */
  #set(key: string, line: Line, gone = 'route' in line && line.route === null): void {
    const text = opened(line);
    const before = this.#entries.get(key);
    if (gone ? before === undefined : before === text) return;
    if (gone) this.#entries.delete(key);
    else this.#entries.set(key, text);
    this.#snapshot = null;
    this.#send(text);
  }

  /** Of entries that run out without a word. */
  #setUntil(key: string, line: Line, until: Date | null): void {
    if (until === null) this.#ofTime.delete(key);
    else this.#ofTime.set(key, until.getTime());
    this.#set(key, line, until === null);
  }

  #end(which: Which, sentence: string): void {
    const line = opened({ type: 'end', which, sentence });
    const now = Date.now();
    this.#ends = [...this.#ends.filter(({ at }) => at > now - endsKeptMs), { at: now, line }];
    this.#snapshot = null;
    this.#send(line);
  }

  #beat(): void {
    const now = Date.now();
    for (const [key, until] of this.#ofTime) {
      if (until > now) continue;
      this.#ofTime.delete(key);
      this.#entries.delete(key);
      this.#snapshot = null;
    }
    const ends = this.#ends.filter(({ at }) => at > now - endsKeptMs);
    if (ends.length < this.#ends.length) this.#snapshot = null;
    this.#ends = ends;
    this.#send(opened({ type: 'beat' }));
  }

  #send(text: string): void {
    this.#number += 1;
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    this.#waiting.push(numbered(text, this.#number));
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const lines = Buffer.from(this.#waiting.join(''));
    this.#onLines(this.#waiting.length * this.#streams.size);
    this.#waiting = [];
    for (const stream of this.#streams) this.#write(stream, lines);
  }

  #write(stream: Stream, lines: Buffer): void {
    const { output, beginningBytes, writtenBytes } = stream;
    const waitingBytes = output.writableLength;
    const now = Date.now();
    if (waitingBytes === 0 || writtenBytes - waitingBytes > stream.sentBytes)
      Object.assign(stream, { sentBytes: writtenBytes - waitingBytes, sentAt: now });
    if (now - stream.sentAt > longestWaitMs || waitingBytes > beginningBytes + mostWaitingBytes) {
      this.#logger.warn({ waitingBytes }, 'a gateway does not read its state; it is cut off');
      output.destroy();
      this.#streams.delete(stream);
      return;
    }
    output.write(lines);
    stream.writtenBytes += lines.length;
  }

  /** Begins with the number that later lines go on from. */
  #makeSnapshot(): Buffer {
    if (this.#snapshot === null) {
      const entries = [...this.#entries.values(), ...this.#ends.map(({ line }) => line)];
      this.#snapshot = Buffer.from(entries.map((text) => numbered(text, this.#number)).join(''));
    }
    return Buffer.concat([
      Buffer.from(numbered(opened({ type: 'begin', server: this.#server }), this.#number)),
      this.#snapshot,
      Buffer.from(numbered(opened({ type: 'complete' }), this.#number)),
    ]);
  }
}

/**
 * The own port that gateways shall listen on. Not while a container publishes it itself, or is about to: a change of
 * exposure holds from the next start.
 */
export function portOfGateway({
  port,
  status,
  exposure,
  runningExposure,
}: Pick<KnownEnvironment, 'port' | 'status' | 'exposure' | 'runningExposure'>): number | null {
  const isStarting = status === 'creating' || status === 'starting' || status === 'restarting';
  if (isStarting && exposure === 'direct') return null;
  return (runningExposure ?? exposure) === 'gateway' ? port : null;
}

/** A line without its number and its end. */
function opened(line: Line): string {
  return JSON.stringify(line).slice(0, -1);
}

function numbered(text: string, number: number): string {
  return `${text},"number":${number}}\n`;
}

function gatewaySettings(settings: Settings): GatewaySettings {
  return {
    address: settings.portAddress,
    sharedPort: settings.sharedPort,
    proxyProtocol: settings.proxyProtocol,
    graceSeconds: settings['limits.graceSeconds'],
    attemptsPerConnection: settings['limits.attempts'],
    connectionsPerSecond: settings['limits.connectionsPerSecond'],
    unauthenticatedPerSource: settings['limits.unauthenticatedPerSource'],
    startups: settings['limits.startups'],
    liveConnections: settings.liveConnections,
    drainSeconds: settings.drainSeconds,
  };
}
