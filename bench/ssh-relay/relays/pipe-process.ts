// node pipe-process.ts UPSTREAM-PORT: prints the port that it listens on.

import { type AddressInfo, connect, createServer } from 'node:net';

const upstreamPort = Number(process.argv[2]);
const options = { noDelay: true, allowHalfOpen: true };
const server = createServer(options, (client) => {
  const upstream = connect({ host: '127.0.0.1', port: upstreamPort, ...options });
  client.pipe(upstream).pipe(client);
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
