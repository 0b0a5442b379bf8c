// A gateway of the least kind, for tests, fuzzing and benches: whoever knows the password or has any key is joined to
// one upstream server. What Berth decides is decided elsewhere; what a stranger can do to a process is the same here.

import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import type { Attempt, Decision } from '../authentication/attempt.ts';
import { ServerAuthentication } from '../authentication/server.ts';
import { type DialOptions, dial } from '../dial.ts';
import { Relay, type RelayOptions } from '../relay/relay.ts';
import type { Side } from '../relay/relay-channel.ts';
import { WaitingRoom } from '../relay/waiting-room.ts';
import { userSignatureAlgorithms } from '../transport/algorithms.ts';
import type { PacketHandler } from '../transport/packet-transport.ts';
import { type ServerTransportOptions, Transport } from '../transport/transport.ts';
import { type TransportError, disconnectReason } from '../transport/transport-error.ts';

export const gatewayPassword = 'right horse';

export interface GatewayOptions extends Pick<ServerTransportOptions, 'hostKeys' | 'handshakeMs'> {
  readonly upstream: Pick<DialOptions, 'host' | 'port' | 'user' | 'credentials' | 'hostKey'>;
  readonly relay?: RelayOptions;
  /** What happens before the upstream is dialled, while the client waits; without it nothing is answered meanwhile. */
  readonly wait?: (room: WaitingRoom) => Promise<void>;
  readonly graceMs?: number;
  /** Sees each payload that authentication, or the relay, gets. */
  readonly tap?: (from: Side, payload: Buffer) => void;
  /** How each connection ended. */
  readonly ended?: (error: TransportError | undefined) => void;
}

export interface Gateway {
  readonly host: string;
  readonly port: number;
  /** Connections that are not over. */
  readonly connections: () => number;
  readonly stop: () => Promise<void>;
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const transports = new Set<Transport>();
  const server = createServer({ noDelay: true }, (socket) => {
    serve(socket, transports, options).catch(() => {});
  });
  server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    connections: () => transports.size,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const transport of transports) transport.disconnect(disconnectReason.byApplication, 'The end.');
      await closed;
    },
  };
}

async function serve(socket: Socket, transports: Set<Transport>, options: GatewayOptions): Promise<void> {
  const { hostKeys, handshakeMs = 20_000, graceMs = 120_000, upstream, relay, wait, tap, ended } = options;
  const gone = new AbortController();
  const transport: Transport = Transport.server(socket, {
    hostKeys,
    handshakeMs,
    userSignatureAlgorithms,
    closed: (error) => {
      transports.delete(transport);
      gone.abort();
      ended?.(error);
    },
  });
  transports.add(transport);
  if (tap !== undefined) tapInto(transport, (payload) => tap('client', payload));
  await transport.established;
  const { result } = new ServerAuthentication(transport, {
    methods: ['publickey', 'password', 'keyboard-interactive'],
    decide,
    refused: () => ({ outcome: 'refuse' }),
    graceMs,
  });
  await result;
  const room = wait && new WaitingRoom(transport);
  try {
    if (room !== undefined) await wait?.(room);
    const inner = await dial({ ...upstream, signal: gone.signal });
    if (tap !== undefined) tapInto(inner, (payload) => tap('upstream', payload));
    await new Relay(transport, inner, { ...relay, ...(room && { begun: room }) }).ended;
  } catch {
    transport.disconnect(disconnectReason.byApplication, 'The environment does not answer.');
  }
}

export async function decide(attempt: Attempt): Promise<Decision> {
  const isRight = await (async () => {
    if (attempt.method === 'password') return attempt.password === gatewayPassword;
    if (attempt.method !== 'keyboard-interactive') return attempt.method === 'publickey';
    const prompts = [{ text: 'Password: ', echo: false }];
    const [answer] = await attempt.prompt({ prompts });
    return answer === gatewayPassword;
  })();
  if (!isRight) return { outcome: 'refuse' };
  return attempt.method === 'publickey' && !attempt.signed ? { outcome: 'usable' } : { outcome: 'accept' };
}

function tapInto(transport: Transport, see: (payload: Buffer) => void): void {
  const handle = transport.handle.bind(transport);
  transport.handle = (handler: PacketHandler, first?: readonly Buffer[]) => {
    const { batch } = handler;
    const seen: PacketHandler = {
      ...(batch === undefined
        ? {
            packet: (payload, sequenceNumber) => {
              see(payload);
              handler.packet?.(payload, sequenceNumber);
            },
          }
        : {
            batch: (bytes, packets) => {
              for (let index = 0; index < packets.count; index += 1) {
                if (packets.payloadBytes(index) > 0) see(packets.payload(bytes, index));
              }
              batch.call(handler, bytes, packets);
            },
          }),
      drained: () => handler.drained?.(),
      closed: (error) => handler.closed(error),
    };
    handle(seen, first);
  };
}
