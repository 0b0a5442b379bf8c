// Two ends of one real TCP connection on loopback, for tests of what stands on sockets.

import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

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
  const connected = connect(port, '127.0.0.1');
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
