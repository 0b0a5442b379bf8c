// The server's side of one SSH connection, from a socket to channels: the transport (RFC 4253), authentication
// (RFC 4252) and the connection protocol (RFC 4254), one after the other. For a server that ends SSH itself; a relay
// takes the transport after authentication and leaves the channels to the two ends.

import type { Socket } from 'node:net';
import {
  ServerAuthentication,
  type ServerAuthenticationOptions,
  type ServerAuthenticationResult,
} from './authentication/server.ts';
import { Connection, type ConnectionHandlers, type ConnectionOptions } from './connection/connection.ts';
import { type ServerTransportOptions, Transport } from './transport/transport.ts';

export interface AcceptOptions {
  /** Announces the algorithms that `authentication` takes, unless it says which itself. */
  readonly transport: ServerTransportOptions;
  readonly authentication: ServerAuthenticationOptions;
  readonly connection?: ConnectionOptions;
  /** What this client may do; called once it is in. */
  readonly handlers: (login: ServerAuthenticationResult) => ConnectionHandlers;
}

/** Who got in, by what, and what they have now. */
export interface AcceptedConnection extends ServerAuthenticationResult {
  readonly connection: Connection;
}

/**
 * Takes over a connected socket. Resolves when the client is in, before its first channel; rejects with TransportError
 * when the connection ends before, or with what a decision about the login threw.
 */
export async function acceptConnection(socket: Socket, options: AcceptOptions): Promise<AcceptedConnection> {
  const { algorithms } = options.authentication;
  const transport = Transport.server(socket, {
    ...(algorithms && { userSignatureAlgorithms: algorithms }),
    ...options.transport,
  });
  await transport.established;
  const login = await new ServerAuthentication(transport, options.authentication).result;
  const connection = new Connection(transport, options.handlers(login), options.connection);
  // The caller has the connection before a handler is called.
  setImmediate(() => transport.handle(connection));
  return { ...login, connection };
}
