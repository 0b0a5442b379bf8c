/**
 * A login of Berth itself to an environment's sshd, for somebody who is signed in: what the terminal and JupyterLab
 * stand on. Every control of the gateway holds: it is decided like any other attempt, starts what is stopped, stands in
 * the audit log and among the connections, and is ended like them (inside-connections.ts).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { BerthError, canonicalAddress } from '@berth/contract';
import type {
  AttemptAnswer,
  AttemptRecord,
  ConnectionRecord,
  Forwarding,
  Grant,
  Refusal,
  Upstream,
  WayIn,
} from '@berth/contract';
import {
  AuthenticationError,
  Connection,
  SigningKey,
  TransportError,
  dial,
  parseVerificationKey,
} from '@berth/ssh';
import type { Channel, ClientSession, Forward, Transport } from '@berth/ssh';
import type { Principal } from '../accounts/principal.ts';
import { decideSignedIn } from '../attempts/attempts.ts';
import type { Directory, KnownEnvironment } from '../control/directory.ts';
import { provideUpstream } from '../control/wake.ts';
import type { Services } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';

/** An environment that runs answers at once; one that has just started was waited for. */
const dialMs = 10_000;
/** A container that went away without a word is noticed after a minute and a half. */
const keepalive = { intervalMs: 30_000, maximumUnanswered: 3 };
const mostWords = 255;

const nothing: Forwarding = { local: false, remote: false, agent: false, x11: false, sftp: false };

export interface InsideWish {
  principal: Principal;
  /** Id of the environment. */
  environment: string;
  way: Extract<WayIn, 'terminal' | 'jupyter'>;
  /** The person's address and port. */
  source: string;
  sourcePort: number;
  /** The browser's own words. */
  client: string;
  /** Whether a stopped environment is started: where a person asked for it, not a page that connects again by itself. */
  wake: boolean;
  /** Nobody waits any more. */
  signal: AbortSignal;
  /** What happens while an environment is started; `seconds` since that began. */
  onStatus?(status: { message: string; seconds: number }): void;
}

/** Right person, but not now or not from there; `message` and `cure` are for the person. */
export class NotLetIn extends BerthError {
  readonly reason: Refusal;

  constructor(reason: Refusal, sentence: string, cure?: string) {
    const code =
      reason === 'unavailable'
        ? 'unavailable'
        : reason === 'not_running' || reason === 'failed'
          ? 'wrong_state'
          : 'not_let_in';
    super(code, sentence, cure === undefined ? {} : { cure });
    this.name = 'NotLetIn';
    this.reason = reason;
  }
}

/** A connection that has got in. It ends with `end`, or when the environment or a control ends it. */
export class Inside {
  /** As in the list of connections. */
  readonly id: string;
  readonly principal: Principal;
  readonly environment: string;
  readonly source: string;
  readonly grant: Grant;
  /** Why it ends; nothing of it is of use from then on. */
  readonly ending: Promise<string>;
  /** The same, once its last byte is counted. */
  readonly ended: Promise<string>;
  readonly #wish: InsideWish;
  readonly #connection: Connection;
  readonly #transport: Transport;
  readonly #startedAt = new Date().toISOString();
  readonly #ending = Promise.withResolvers<string>();
  readonly #ended = Promise.withResolvers<string>();
  #channels = 0;
  #endReason: string | undefined;
  #isCut = false;

  constructor(id: string, wish: InsideWish, grant: Grant, transport: Transport) {
    this.id = id;
    this.principal = wish.principal;
    this.environment = wish.environment;
    this.source = wish.source;
    this.grant = grant;
    this.#wish = wish;
    this.#transport = transport;
    this.ending = this.#ending.promise;
    this.ended = this.#ended.promise;
    this.#connection = new Connection(
      transport,
      { closed: (error) => void this.#close(error) },
      { keepalive },
    );
    transport.handle(this.#connection);
  }

  /** Why it is to end or has ended; undefined: it lives. */
  get endReason(): string | undefined {
    return this.#endReason;
  }

  get openChannels(): number {
    return this.#connection.channelCount;
  }

  /** For every program that is started: as at the gateway, who came is known inside. */
  get variables(): Record<string, string> {
    return { BERTH_CLIENT: `${this.source} ${this.#wish.sourcePort}` };
  }

  /** Rejects with ChannelOpenError, or why the connection ended. */
  session(): Promise<ClientSession> {
    this.#channels += 1;
    return this.#connection.session();
  }

  /** Only with way `jupyter`. Rejects with ChannelOpenError, or why the connection ended. */
  open(forward: Forward): Promise<Channel> {
    this.#channels += 1;
    return this.#connection.open(forward);
  }

  /** Whether somebody, or a control, ended it on purpose: whoever had it must come in anew. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** @param sentence why, for the person and the records */
  end(sentence: string, isCut = false): void {
    if (this.#endReason === undefined) this.#isCut = isCut;
    this.#endReason ??= sentence;
    this.#ending.resolve(this.#endReason);
    this.#connection.disconnect(sentence);
  }

  /** As gateways record connections: in are the bytes that went into the environment. */
  record(gateway: string, endReason: string | null): ConnectionRecord {
    const { principal, source, sourcePort, client, way, environment } = this.#wish;
    return {
      type: 'connection',
      id: this.id,
      gateway,
      environment,
      customer: this.grant.customer,
      account: principal.account,
      method: 'session',
      fingerprint: null,
      key_name: null,
      way,
      source,
      source_port: sourcePort,
      client,
      started_at: this.#startedAt,
      bytes_in: this.#transport.sentBytes,
      bytes_out: this.#transport.receivedBytes,
      channels: this.#channels,
      open_channels: endReason === null ? this.openChannels : 0,
      ended_at: endReason === null ? null : new Date().toISOString(),
      end_reason: endReason?.slice(0, mostWords) ?? null,
    };
  }

  async #close(error: TransportError | undefined): Promise<void> {
    this.#endReason ??= error?.message ?? 'The environment closed the connection.';
    this.#ending.resolve(this.#endReason);
    await this.#transport.finished;
    this.#ended.resolve(this.#endReason);
  }
}

/**
 * Logs in, starting the environment where that is wished. The attempt is recorded, whichever way it went; a connection
 * that cannot be recorded is none.
 *
 * @throws BerthError `not_found`, `forbidden` for a token that may only read; NotLetIn; the signal's reason
 */
export async function openInside(services: Services, asked: InsideWish): Promise<Inside> {
  const wish: InsideWish = {
    ...asked,
    source: canonicalAddress(asked.source.split('%')[0] ?? '') ?? asked.source,
    client: asked.client.slice(0, mostWords),
  };
  const environment = mustMayUse(services.directory, wish.principal, wish.environment);
  const login = new Login(services, wish, environment);
  try {
    return await login.open();
  } catch (error) {
    wish.signal.throwIfAborted();
    const refused = whyNot(error);
    if (refused === undefined) throw error;
    await services.insides.refused(login.attempt(refused.reason));
    throw refused;
  }
}

/** Whether the account may use the environment, whatever its state. */
function mayUse(principal: Principal, customerId: number): boolean {
  return (
    (principal.role === 'admin' || principal.customerId === customerId) && principal.scopes.includes('write')
  );
}

/** @throws BerthError `not_found`; `forbidden` for a token that may only read */
export function mustMayUse(directory: Directory, principal: Principal, id: string): KnownEnvironment {
  const environment = directory.environment(id);
  if (!environment || (principal.role !== 'admin' && environment.customerId !== principal.customerId))
    throw new BerthError('not_found', `There is no environment ${JSON.stringify(id)}.`);
  if (!mayUse(principal, environment.customerId))
    throw new BerthError('forbidden', 'This token may only read; that needs the scope write.', {
      cure: 'Make a token with the scope write.',
    });
  return environment;
}

/** One attempt, with a key of its own. */
class Login {
  readonly #services: Services;
  readonly #wish: InsideWish;
  readonly #environment: KnownEnvironment;
  readonly #id = newId();
  readonly #connection = newId();
  readonly #key = new SigningKey(generateKeyPairSync('ed25519').privateKey);
  readonly #forwarding: Forwarding;

  constructor(services: Services, wish: InsideWish, environment: KnownEnvironment) {
    this.#services = services;
    this.#wish = wish;
    this.#environment = environment;
    // JupyterLab is reached through a channel that Berth opens to its socket and to nowhere else: what people may
    // forward is another matter. Files are moved over sftp where people may.
    this.#forwarding =
      wish.way === 'jupyter'
        ? { ...nothing, local: true }
        : { ...nothing, sftp: environment.forwarding.sftp };
  }

  async open(): Promise<Inside> {
    const answer = await this.#decide();
    if (answer.outcome !== 'accept' && answer.outcome !== 'wake')
      throw new NotLetIn('unavailable', 'No way in.');
    const transport =
      (answer.outcome === 'accept' ? await this.#tryDial(answer.upstream) : null) ??
      (await this.#dial(await this.#walk()));
    const inside = new Inside(this.#connection, this.#wish, answer.grant, transport);
    await this.#services.insides.admit(inside, this.attempt(null));
    return inside;
  }

  /** @param reason null: it got in */
  attempt(reason: Refusal | null): AttemptRecord {
    const { principal, way, source, sourcePort, client } = this.#wish;
    const { id, customerId, username } = this.#environment;
    return {
      type: 'attempt',
      id: this.#id,
      at: new Date().toISOString(),
      connection: this.#connection,
      way,
      target: id,
      jumper: null,
      user: username,
      source,
      source_port: sourcePort,
      client,
      method: 'session',
      accepted: reason === null,
      reason,
      fingerprint: null,
      account: principal.account,
      customer: customerId,
      count: 1,
    };
  }

  /** @throws NotLetIn */
  async #decide(): Promise<AttemptAnswer> {
    const { principal, way, source } = this.#wish;
    const { id, username } = this.#environment;
    const answer = await decideSignedIn(this.#services, {
      id: this.#id,
      way,
      target: id,
      jumper: null,
      user: username,
      source,
      upstream_key: this.#publicKey,
      account: principal.account,
      forwarding: this.#forwarding,
    });
    if (answer.outcome === 'refuse' || answer.outcome === 'end')
      throw new NotLetIn(answer.reason, answer.sentence ?? 'You are not let in.', cureFor(answer.reason));
    return answer;
  }

  get #publicKey(): string {
    return this.#key.publicKey.blob.toString('base64');
  }

  /** @returns null when nobody answers at the address that was known */
  async #tryDial(upstream: Upstream): Promise<Transport | null> {
    try {
      return await this.#dial(upstream);
    } catch (error) {
      if (error instanceof TransportError) return null;
      throw error;
    }
  }

  /** Waits until it is there. @throws NotLetIn */
  async #walk(): Promise<Upstream> {
    const { principal, source, wake, signal, onStatus } = this.#wish;
    const lines = provideUpstream(
      this.#services,
      {
        attempt: this.#id,
        environment: this.#environment.id,
        upstream_key: this.#publicKey,
        account: principal.account,
        source,
        forwarding: this.#forwarding,
        force_command: null,
        wake,
      },
      signal,
    );
    for await (const line of lines) {
      if (line.type === 'ready') return line.upstream;
      if (line.type === 'failed') throw new NotLetIn(wake ? 'failed' : 'not_running', line.sentence, '');
      onStatus?.({ message: line.message, seconds: line.seconds });
    }
    signal.throwIfAborted();
    throw new NotLetIn('unavailable', 'Berth is about to end.');
  }

  /** @throws TransportError, AuthenticationError, or the signal's reason */
  #dial({ host, port, user, hostKey, certificate }: Upstream): Promise<Transport> {
    const expected = Buffer.from(hostKey, 'base64');
    return dial({
      host,
      port,
      user,
      credentials: [{ method: 'publickey', key: this.#key, certificate: Buffer.from(certificate, 'base64') }],
      hostKey: expected,
      algorithms: { hostKey: parseVerificationKey(expected).signatureAlgorithms },
      timeoutMs: dialMs,
      signal: this.#wish.signal,
    });
  }
}

/** The other sentences have it in them. */
function cureFor(reason: Refusal): string {
  return reason === 'not_allowed' ? 'Come from an address that it has, or have this one added to it.' : '';
}

/** @returns undefined for what is nobody's refusal */
function whyNot(error: unknown): NotLetIn | undefined {
  if (error instanceof NotLetIn) return error;
  if (error instanceof RuntimeError) return new NotLetIn('unavailable', error.message, error.cure);
  if (error instanceof TransportError || error instanceof AuthenticationError)
    return new NotLetIn('unavailable', `The environment's sshd does not let Berth in: ${error.message}`);
  return undefined;
}

/** As gateways make ids of attempts and connections. */
function newId(): string {
  return randomBytes(16).toString('hex');
}
