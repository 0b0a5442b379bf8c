// Two ends of one real connection, TCP on loopback or a Unix socket, for tests of what stands on sockets.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SocketPair {
  readonly accepted: Socket;
  readonly connected: Socket;
  /** Ends both, whatever state they are in. */
  readonly close: () => void;
}

export async function socketPair(): Promise<SocketPair> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return pairOf(server, connect(port, '127.0.0.1'));
}

export async function unixSocketPair(): Promise<SocketPair> {
  const folder = mkdtempSync(join(tmpdir(), 'socket-pair-'));
  const server = createServer();
  server.listen(join(folder, 'socket'));
  await once(server, 'listening');
  try {
    return await pairOf(server, connect(join(folder, 'socket')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pairOf(server: Server, connected: Socket): Promise<SocketPair> {
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(connected, 'connect')])) as [
    [Socket],
    unknown,
  ];
  server.close();
  return {
    accepted,
    connected,
    close: () => {
      accepted.destroy();
      connected.destroy();
    },
  };
}
