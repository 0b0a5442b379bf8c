/**
 * The connections of a worker: all that are open, and of those that have logged in what they are and what they moved.
 * connection.ts and jump.ts enter them. From here their numbers are recorded, and they are ended: by the state's `end`
 * lines, by an allowlist that shuts them out, by the worker's own end.
 */
import type { ConnectionRecord, Grant, Which } from '@berth/contract';
import { disconnectReason } from '@berth/ssh';
import type { Relay, Transport } from '@berth/ssh';
import { mayReach } from './allowlist.ts';
import type { Credential } from './attempt.ts';
import type { LiveConnection } from './gateway-worker.ts';
import type { Metrics } from './metrics.ts';
import type { Recorder } from './records/recorder.ts';
import type { GatewayState, StateChange } from './state.ts';

const recordMs = 1000;
/** The server keeps no more of a reason than this. */
const mostReasonCharacters = 255;

/** Who is in. */
export interface LiveLogin {
  /** Of the connection. */
  id: string;
  credential: Credential;
  source: string;
  sourcePort: number;
  transport: Transport;
  /** Where it leads; null: the outer session of a jump, which leads to others and is not recorded by itself. */
  way: { grant: Grant; relay: Relay } | null;
}

interface Recorded {
  login: LiveLogin;
  startedAt: string;
  /** As they were recorded last. */
  bytesIn: number;
  bytesOut: number;
  channels: number;
  openChannels: number;
  /** Why we ended it. */
  endReason: string | undefined;
}

export interface LiveParts {
  gateway: string;
  state: GatewayState;
  recorder: Recorder;
  metrics: Metrics;
}

export class LiveConnections {
  readonly #parts: LiveParts;
  /** Logged in or not. */
  readonly #open = new Set<Transport>();
  readonly #logins = new Map<string, Recorded>();
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #emptied = Promise.withResolvers<void>();

  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#recordChanges(), recordMs);
    this.#unsubscribe = parts.state.onChange((change) => this.#follow(change));
  }

  /** Of all connections, logged in or not. */
  get size(): number {
    return this.#open.size;
  }

  /** A connection begins; it is open until its socket is closed. */
  opened(transport: Transport): void {
    this.#open.add(transport);
    void transport.finished.then(() => {
      this.#open.delete(transport);
      if (this.#open.size > 0) return;
      this.#emptied.resolve();
      this.#emptied = Promise.withResolvers();
    });
  }

  /** Somebody is in, until the connection is over. */
  loggedIn(login: LiveLogin): void {
    const recorded: Recorded = {
      login,
      startedAt: new Date().toISOString(),
      bytesIn: login.transport.receivedBytes,
      bytesOut: login.transport.sentBytes,
      channels: 0,
      openChannels: 0,
      endReason: undefined,
    };
    this.#logins.set(login.id, recorded);
    this.#record(recorded, null);
    void this.#untilEnd(recorded);
  }

  async #untilEnd(recorded: Recorded): Promise<void> {
    const { transport, way, id } = recorded.login;
    const relayEnd = await way?.relay.ended;
    await transport.finished;
    this.#logins.delete(id);
    if (way === null) return;
    const { metrics } = this.#parts;
    const { by, error } = relayEnd ?? {};
    const reason =
      recorded.endReason ??
      error?.message ??
      (by === 'client' ? 'The client left.' : 'The environment closed the connection.');
    this.#measure(recorded);
    recorded.openChannels = 0;
    metrics.relayed(recorded.bytesIn, recorded.bytesOut);
    this.#record(recorded, reason);
  }

  /** Those with an environment. */
  list(): LiveConnection[] {
    const found: LiveConnection[] = [];
    for (const { login, startedAt } of this.#logins.values()) {
      if (login.way === null) continue;
      found.push({ environment: login.way.grant.environment, source: login.source, since: startedAt });
    }
    return found;
  }

  /** Bytes of the connections that are recorded and have not ended. */
  numbers(): { bytesIn: number; bytesOut: number; connections: number } {
    const sum = { bytesIn: 0, bytesOut: 0, connections: 0 };
    for (const { login } of this.#logins.values()) {
      if (login.way === null) continue;
      sum.bytesIn += login.transport.receivedBytes;
      sum.bytesOut += login.transport.sentBytes;
      sum.connections += 1;
    }
    return sum;
  }

  /** Shows a line on every terminal. */
  say(line: string): void {
    for (const { login } of this.#logins.values()) {
      for (const channel of login.way?.relay.channels ?? []) channel.say(`\n${line}\n`);
    }
  }

  /** Ends every connection, logged in or not. */
  endAll(sentence: string): void {
    for (const recorded of this.#logins.values()) end(recorded, sentence);
    for (const transport of this.#open) transport.disconnect(disconnectReason.byApplication, sentence);
  }

  /** Resolves when there is no connection. */
  async emptied(): Promise<void> {
    if (this.#open.size > 0) await this.#emptied.promise;
    // The last records are written in the turn after.
    while (this.#logins.size > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
  }

  #follow(change: StateChange): void {
    if (change.kind === 'end') {
      for (const recorded of this.#logins.values()) {
        if (fits(recorded.login, change.which)) end(recorded, change.sentence);
      }
    } else if (change.kind !== 'settings' && change.kind !== 'account') {
      this.#endOutsiders(change);
    }
  }

  /** Ends those that the state lets in no more: from where they come, or since the environment is gone. */
  #endOutsiders(change: StateChange): void {
    const { state } = this.#parts;
    for (const recorded of this.#logins.values()) {
      const { way, source } = recorded.login;
      if (way === null) continue;
      const { environment: id, customer } = way.grant;
      if (change.kind === 'environment' && change.id !== id) continue;
      if (change.kind === 'customer' && change.id !== customer) continue;
      const environment = state.environment(id);
      if (environment === undefined) end(recorded, `${id} was deleted.`);
      else if (!mayReach(state, environment, source)) {
        end(recorded, `The allowlist of ${id} was changed and does not have ${source} any more.`);
      }
    }
  }

  #recordChanges(): void {
    for (const recorded of this.#logins.values()) {
      if (recorded.login.way !== null && this.#measure(recorded)) this.#record(recorded, null);
    }
  }

  /** Returns whether anything is another than before. */
  #measure(recorded: Recorded): boolean {
    const { transport, way } = recorded.login;
    const { receivedBytes: bytesIn, sentBytes: bytesOut } = transport;
    const { channelsOpened: channels = 0, channelsOpen: openChannels = 0 } = way?.relay ?? {};
    const isSame =
      recorded.bytesIn === bytesIn &&
      recorded.bytesOut === bytesOut &&
      recorded.channels === channels &&
      recorded.openChannels === openChannels;
    Object.assign(recorded, { bytesIn, bytesOut, channels, openChannels });
    return !isSame;
  }

  #record(recorded: Recorded, endReason: string | null): void {
    const { login, startedAt, bytesIn, bytesOut, channels, openChannels } = recorded;
    const { id, credential, source, sourcePort, transport, way } = login;
    if (way === null) return;
    const { environment, customer, account, keyName } = way.grant;
    const record: ConnectionRecord = {
      type: 'connection',
      id,
      gateway: this.#parts.gateway,
      environment,
      customer,
      account,
      method: credential.method,
      fingerprint: credential.fingerprint,
      key_name: keyName,
      way: credential.way,
      source,
      source_port: sourcePort,
      client: transport.remoteIdentification,
      started_at: startedAt,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      channels,
      open_channels: openChannels,
      ended_at: endReason === null ? null : new Date().toISOString(),
      end_reason: endReason?.slice(0, mostReasonCharacters) ?? null,
    };
    this.#parts.recorder.record(record);
  }
}

function end(recorded: Recorded, sentence: string): void {
  const { transport, way } = recorded.login;
  recorded.endReason ??= sentence;
  if (way === null) transport.disconnect(disconnectReason.byApplication, sentence);
  else way.relay.end(disconnectReason.byApplication, sentence);
}

function fits({ id, credential, way }: LiveLogin, which: Which): boolean {
  return (
    (which.connection === undefined || which.connection === id) &&
    (which.environment === undefined || which.environment === way?.grant.environment) &&
    (which.fingerprint === undefined || which.fingerprint === credential.fingerprint) &&
    (which.method === undefined || which.method === credential.method)
  );
}
