/** Our relay in front of a stock server, in the shape of a peer: it lets the client in, and logs in itself behind. */
import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import {
  Relay,
  ServerAuthentication,
  Transport,
  type TransportError,
  defaultAlgorithms,
  dial,
  parsePublicKey,
} from '@berth/ssh';
import type { Identities } from '../target.ts';
import type { RunningServer, ServerPeer } from '../peers/peer.ts';
import { everything } from './algorithms.ts';
import { makeFront, signingKeyOf } from './front.ts';

export interface RelayOptions {
  /** Whether what is sealed for one leg was opened with the same cipher on the other. */
  readonly hasSameCipher: boolean;
  /** New keys on the leg to the server alone, after so many bytes. */
  readonly upstreamRekeyBytes?: number;
}

export interface RunningRelay extends RunningServer {
  readonly upstreamExchanges: () => number;
}

export interface RelayPeer extends ServerPeer {
  readonly start: (...parameters: Parameters<ServerPeer['start']>) => Promise<RunningRelay>;
}

/** `hostKeys` and `userKeys` of the identities are those of both legs. */
export function relayTo(upstream: ServerPeer, identities: Identities, relay: RelayOptions): RelayPeer {
  return {
    name: `our relay to ${upstream.name}, ${relay.hasSameCipher ? 'one cipher' : 'two ciphers'}`,
    abilities: upstream.abilities,
    missing: upstream.missing,
    algorithms: async () => everything,
    start: async (options) => {
      const { hostKeys, password, authorizedKeys } = options;
      const server = await upstream.start({ hostKeys, password, authorizedKeys });
      const { transport, authentication, exchanges } = makeFront(options);
      const key = signingKeyOf(identities.userKeys['ssh-ed25519']);
      const hostKey = parsePublicKey(identities.hostKeys['ssh-ed25519'].publicLine).blob;
      const failures: unknown[] = [];
      const sockets = new Set<Socket>();
      const serve = async (socket: Socket): Promise<void> => {
        const gone = new AbortController();
        const closed = (error: TransportError | undefined): void => gone.abort(error);
        const client = Transport.server(socket, { ...transport, closed });
        await client.established;
        await new ServerAuthentication(client, { ...authentication, refused: () => ({ outcome: 'refuse' }) })
          .result;
        const used = client.negotiated?.encryptionServerToClient ?? '';
        const cipher = relay.hasSameCipher
          ? [used, ...defaultAlgorithms.cipher]
          : defaultAlgorithms.cipher.filter((name) => name !== used);
        const inner = await dial({
          host: server.host,
          port: server.port,
          user: server.user,
          credentials: [{ method: 'publickey', key }],
          hostKey,
          algorithms: { cipher, hostKey: ['ssh-ed25519'] },
          rekey: relay.upstreamRekeyBytes === undefined ? {} : { bytes: relay.upstreamRekeyBytes },
          signal: gone.signal,
        });
        await new Relay(client, inner).ended;
      };
      const listener = createServer({ noDelay: true }, (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        serve(socket).catch((error: unknown) => failures.push(error));
      });
      listener.listen(0, '127.0.0.1');
      await once(listener, 'listening');
      return {
        ...{ host: '127.0.0.1', port: (listener.address() as AddressInfo).port },
        ...{ user: server.user, home: server.home, exchanges },
        upstreamExchanges: () => server.exchanges?.() ?? 0,
        log: () => `${failures.map(String).join('\n')}\n${server.log()}`,
        stop: async () => {
          const isClosed = once(listener, 'close');
          listener.close();
          for (const socket of sockets) socket.destroy();
          await isClosed;
          await server.stop();
        },
      };
    },
  };
}
