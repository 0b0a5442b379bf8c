// A client's connection to a server, from its address to channels: what `dial` makes, and the connection protocol
// (RFC 4254) on it.

import { Connection, type ConnectionHandlers, type ConnectionOptions } from './connection/connection.ts';
import { type DialOptions, dial } from './dial.ts';

export interface ConnectOptions extends DialOptions {
  readonly handlers?: ConnectionHandlers;
  readonly connection?: ConnectionOptions;
}

/** Resolves when the server has let the user in. Rejects as `dial` does; no connection is left then. */
export async function connect({
  handlers,
  connection: options,
  ...address
}: ConnectOptions): Promise<Connection> {
  const transport = await dial(address);
  const connection = new Connection(transport, handlers, options);
  // The caller has the connection before a handler is called.
  setImmediate(() => transport.handle(connection));
  return connection;
}
