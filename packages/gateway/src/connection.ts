/**
 * One client's life: from an accepted socket to the end of its relay. worker.ts makes one `Connections` and the listeners
 * hand sockets in; what is decided on the way is decided elsewhere:
 *
 *   socket -> listeners/proxy-protocol.ts -> limits/admission.ts -> allowlist.ts -> key exchange
 *          -> attempt.ts (route.ts, the server) -> wake.ts, upstream.ts -> the relay with policy.ts, counted by live.ts
 *                                               -> jump.ts, whose inner sessions come in here again
 */
import type { Socket } from 'node:net';
import {
  Relay,
  ServerAuthentication,
  Transport,
  TransportError,
  WaitingRoom,
  WindowBudget,
  defaultAlgorithms,
  disconnectReason,
} from '@berth/ssh';
import { isInBlocks, mayReach } from './allowlist.ts';
import { Login } from './attempt.ts';
import type { Credential, Entrance } from './attempt.ts';
import type { ServerLink } from './control/server-link.ts';
import { hostKeysOfEnvironment, hostKeysOfGateway } from './host-keys.ts';
import type { HostKeys } from './host-keys.ts';
import { newId } from './id.ts';
import { serveJump } from './jump.ts';
import type { JumpDoor } from './jump.ts';
import type { Admission, Admitted } from './limits/admission.ts';
import type { Drops } from './limits/drops.ts';
import { sourceOf } from './limits/source.ts';
import { ProxyHeaderError, readProxyHeader } from './listeners/proxy-protocol.ts';
import type { LiveConnections } from './live.ts';
import type { DropReason, Metrics } from './metrics.ts';
import { debugMessage, relayPolicy } from './policy.ts';
import type { Recorder } from './records/recorder.ts';
import type { Door } from './route.ts';
import type { SocketPairs } from './socket-pairs.ts';
import type { GatewayState } from './state.ts';
import { dialUpstream } from './upstream.ts';
import type { UpstreamKey, UpstreamKeys } from './upstream.ts';
import { WakeFailed, wakeEnvironment, wantsTerminal } from './wake.ts';

/** What connections may hold for receivers that do not read, all together. */
const budgetBytes = 256 * 1024 * 1024;
const proxyHeaderMs = 5_000;
/** Connections of balancers that have not said yet whom they bring. */
const mostWithoutHeader = 1000;
/** The longest that a start may take of a client that is not in yet. */
const longestWakeMs = 900_000;
/** A dead path is noticed after this, and as many probes as sshd's TCPKeepAlive makes. */
const keepAlive = { idleMs: 600_000, intervalMs: 75_000, probes: 9 };

export interface ConnectionParts {
  /** The worker's id. */
  gateway: string;
  state: GatewayState;
  server: ServerLink;
  recorder: Recorder;
  admission: Admission;
  drops: Drops;
  metrics: Metrics;
  live: LiveConnections;
  upstreamKeys: UpstreamKeys;
  socketPairs: SocketPairs;
  log(line: string): void;
}

interface Origin {
  source: string;
  port: number;
}

/** A connection that is looked at. */
interface Arrived {
  id: string;
  door: Door;
  origin: Origin;
  admitted: Admitted;
  upstreamKey: UpstreamKey;
  transport: Transport;
  hostKeys: HostKeys;
  /** Aborted when the client is gone. */
  gone: AbortSignal;
}

/** Those of before the encrypt-then-MAC ones come last: libssh2 up to 1.10, of which curl is made, has no others. */
const macs = [...defaultAlgorithms.mac, 'hmac-sha2-256', 'hmac-sha2-512'];

export class Connections {
  readonly #parts: ConnectionParts;
  readonly #budget = new WindowBudget(budgetBytes);
  #withoutHeader = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Takes what came on a port of an environment's own. */
  onOwnPort(socket: Socket, port: number): void {
    this.#arriveFrom(socket, () => {
      const environment = this.#parts.state.environmentByPort(port);
      return environment === undefined ? undefined : { kind: 'own-port', environment: environment.id };
    });
  }

  /** Takes what came on the shared port. */
  onSharedPort(socket: Socket): void {
    this.#arriveFrom(socket, () => ({ kind: 'shared-port' }));
  }

  /** @param doorOf asked once the source is known; undefined: there is none any more */
  #arriveFrom(socket: Socket, doorOf: () => Door | undefined): void {
    const arrive = async (): Promise<void> => {
      const origin = await this.#originOf(socket);
      if (origin === undefined) return;
      const door = doorOf();
      if (door === undefined) this.#drop(socket, 'no_environment');
      else this.#arrive(socket, door, origin);
    };
    arrive().catch((error: unknown) => this.#fail(socket, error));
  }

  /** Whom a balancer brings, where the source is one; undefined: the connection is over. */
  async #originOf(socket: Socket): Promise<Origin | undefined> {
    socket.on('error', () => {});
    const source = sourceOf(socket.remoteAddress ?? '');
    // It has gone again.
    if (source === undefined) {
      socket.destroy();
      return undefined;
    }
    socket.setKeepAlive(true, keepAlive.idleMs, keepAlive.intervalMs, keepAlive.probes);
    const peer = { source, port: socket.remotePort ?? 0 };
    if (!isInBlocks(source, this.#parts.state.settings.proxyProtocol)) return peer;
    if (this.#withoutHeader >= mostWithoutHeader) {
      this.#drop(socket, 'flood');
      return undefined;
    }
    this.#withoutHeader += 1;
    try {
      return (await readProxyHeader(socket, proxyHeaderMs)) ?? peer;
    } catch (error) {
      if (!(error instanceof ProxyHeaderError)) throw error;
      this.#drop(socket, 'proxy_header');
      return undefined;
    } finally {
      this.#withoutHeader -= 1;
    }
  }

  #drop(socket: Socket, reason: DropReason): void {
    this.#parts.metrics.dropped(reason);
    socket.destroy();
  }

  #arrive(socket: Socket, door: Door, origin: Origin): void {
    const admitted = this.#admit(door, origin);
    if (admitted === undefined) socket.destroy();
    else this.#serve(socket, door, origin, admitted);
  }

  /** Before anything is said to it. What is not admitted is recorded here. */
  #admit(door: Door, origin: Origin): Admitted | undefined {
    const admitted = this.#parts.admission.admit(origin.source);
    if (typeof admitted !== 'string') return admitted;
    this.#parts.metrics.dropped(admitted);
    this.#recordDrop(admitted, door, origin);
    return undefined;
  }

  #recordDrop(reason: 'banned' | 'flood' | 'not_allowed', door: Door, { source, port }: Origin): void {
    const environment =
      door.kind === 'shared-port' ? undefined : this.#parts.state.environment(door.environment);
    this.#parts.drops.add({
      reason,
      source,
      sourcePort: port,
      way: door.kind,
      target: environment?.id ?? '',
      customer: environment?.customer ?? null,
      jumper: door.kind === 'jump' ? door.jumper : null,
    });
  }

  /** The socket is the connection's from here on. */
  #serve(socket: Socket, door: Door, origin: Origin, admitted: Admitted): void {
    this.#live(socket, door, origin, admitted).catch((error: unknown) => {
      admitted.leave();
      // What a client does or leaves is nothing to report, and the transport has seen to its end.
      if (error instanceof TransportError && error.code !== 'internal') return;
      this.#fail(socket, error);
    });
  }

  #fail(socket: Socket, error: unknown): void {
    socket.destroy();
    const { stack } = error instanceof Error ? error : new Error(String(error));
    this.#parts.log(`a connection failed: ${stack ?? ''}`);
  }

  async #live(socket: Socket, door: Door, origin: Origin, admitted: Admitted): Promise<void> {
    const began = performance.now();
    const { state, metrics, live, upstreamKeys } = this.#parts;
    const hostKeys = this.#hostKeysFor(door);
    const graceMs = state.settings.graceSeconds * 1000;
    const gone = new AbortController();
    const transport = Transport.server(socket, {
      hostKeys: hostKeys.forTransport,
      algorithms: { mac: macs },
      handshakeMs: graceMs,
      closed: () => {
        admitted.leave();
        gone.abort();
      },
    });
    live.opened(transport);
    metrics.accepted(door.kind);
    await transport.established;
    metrics.handshake((performance.now() - began) / 1000);
    const upstreamKey = upstreamKeys.current;
    const signal = gone.signal;
    const arrived = { id: newId(), door, origin, admitted, upstreamKey, transport, hostKeys, gone: signal };
    if (!this.#mayBeHere(arrived)) return;
    const entrance = await this.#authenticate(arrived, graceMs - (performance.now() - began));
    if (entrance !== undefined) await this.#enter(arrived, entrance);
  }

  #hostKeysFor(door: Door): HostKeys {
    const { state } = this.#parts;
    const environment = door.kind === 'shared-port' ? undefined : state.environment(door.environment);
    return environment === undefined ? hostKeysOfGateway(state.hostKeys) : hostKeysOfEnvironment(environment);
  }

  /** Where the port says which environment is meant, the allowlist is a thing to be told of. */
  #mayBeHere({ door, origin, transport }: Arrived): boolean {
    if (door.kind === 'shared-port') return true;
    const { state, metrics } = this.#parts;
    const environment = state.environment(door.environment);
    if (environment === undefined || mayReach(state, environment, origin.source)) return true;
    metrics.dropped('not_allowed');
    this.#recordDrop('not_allowed', door, origin);
    const sentence = `Connections from ${origin.source} are not allowed here.`;
    transport.disconnect(disconnectReason.hostNotAllowed, sentence);
    return false;
  }

  /** Resolves when the client is in. Rejects with the TransportError that the connection ended by. */
  async #authenticate(arrived: Arrived, graceMs: number): Promise<Entrance | undefined> {
    const { id, door, origin, admitted, upstreamKey, transport } = arrived;
    const { state } = this.#parts;
    const sentence = `Nobody has logged in within ${state.settings.graceSeconds} seconds.`;
    const grace = setTimeout(() => transport.disconnect(disconnectReason.byApplication, sentence), graceMs);
    const login = new Login(this.#parts, {
      id,
      door,
      source: origin.source,
      sourcePort: origin.port,
      transport,
      upstreamKey,
      onRight: () => {
        clearTimeout(grace);
        admitted.leave();
      },
    });
    try {
      await new ServerAuthentication(transport, {
        methods: this.#takesPasswords(door)
          ? ['publickey', 'password', 'keyboard-interactive']
          : ['publickey'],
        decide: (attempt) => login.decide(attempt),
        refused: (attempt) => login.refused(attempt),
        graceMs: graceMs + longestWakeMs,
        maximumAttempts: state.settings.attemptsPerConnection,
      }).result;
      return login.entrance;
    } catch (error) {
      login.end();
      throw error;
    } finally {
      clearTimeout(grace);
    }
  }

  /** On the shared port nobody is told what an environment takes. */
  #takesPasswords(door: Door): boolean {
    if (door.kind === 'shared-port') return true;
    return this.#parts.state.environment(door.environment)?.passwordLogin ?? true;
  }

  async #enter(arrived: Arrived, entrance: Entrance): Promise<void> {
    switch (entrance.kind) {
      case 'environment':
        await this.#relay(arrived, entrance, entrance.upstream);
        return;
      case 'waiting':
        await this.#wait(arrived, entrance);
        return;
      case 'jump':
        this.#jump(arrived, entrance);
    }
  }

  async #relay(
    { id, origin, transport, hostKeys }: Arrived,
    { credential, grant }: Extract<Entrance, { kind: 'environment' | 'waiting' }>,
    upstream: Transport,
    begun?: WaitingRoom,
  ): Promise<void> {
    const { environment, forwarding, terminal } = grant;
    const relay = new Relay(transport, upstream, {
      policy: relayPolicy({
        environment,
        forwarding,
        terminal,
        source: origin.source,
        sourcePort: origin.port,
        explain: (sentence) => transport.send(debugMessage(sentence)),
      }),
      hostKeys: hostKeys.keys,
      budget: this.#budget,
      ...(begun && { begun }),
    });
    this.#loggedIn({ id, origin, transport }, credential, grant.customer, { grant, relay });
    await relay.ended;
  }

  #loggedIn(
    { id, origin, transport }: Pick<Arrived, 'id' | 'origin' | 'transport'>,
    credential: Credential,
    customer: number,
    way: Parameters<LiveConnections['loggedIn']>[0]['way'],
  ): void {
    const { source, port: sourcePort } = origin;
    this.#parts.live.loggedIn({ id, credential, customer, source, sourcePort, transport, way });
  }

  /** Starts the environment once the client, which is in, asks for a terminal. */
  async #wait(arrived: Arrived, entrance: Extract<Entrance, { kind: 'waiting' }>): Promise<void> {
    const { transport, upstreamKey, gone: signal, origin } = arrived;
    const { grant, attempt, sentence } = entrance;
    const room = new WaitingRoom(transport);
    if (!(await wantsTerminal(room, sentence))) return;
    const { server } = this.#parts;
    try {
      const of = { attempt, grant, source: origin.source, upstreamKey, signal };
      const upstream = await wakeEnvironment(server, of, (line) => room.say(`${line}\n`));
      const inside = await dialUpstream(upstream, upstreamKey, transport, signal);
      await this.#relay(arrived, entrance, inside, room);
    } catch (error) {
      if (signal.aborted) return;
      room.refuse(
        error instanceof WakeFailed
          ? error.message
          : `${grant.environment} does not answer at the moment; try again.`,
      );
    }
  }

  #jump(arrived: Arrived, { credential, account, customer }: Extract<Entrance, { kind: 'jump' }>): void {
    const { transport, origin } = arrived;
    const { state, socketPairs } = this.#parts;
    this.#loggedIn(arrived, credential, customer, null);
    serveJump(
      { state, socketPairs, arrive: (makeSocket, door) => this.#arriveFromJump(makeSocket, door, origin) },
      { transport, account, customer, fingerprint: credential.fingerprint },
    );
  }

  async #arriveFromJump(
    makeSocket: () => Promise<Socket>,
    door: JumpDoor,
    origin: Origin,
  ): Promise<string | undefined> {
    const admitted = this.#admit(door, origin);
    if (admitted === undefined) return 'Too many connections have not logged in yet; try again.';
    try {
      const socket = await makeSocket();
      socket.on('error', () => {});
      this.#serve(socket, door, origin, admitted);
    } catch (error) {
      admitted.leave();
      throw error;
    }
    return undefined;
  }
}
