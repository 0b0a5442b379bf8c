// node delay-process.ts UPSTREAM-PORT ROUND-TRIP-MS: a TCP path with delay, half of it each way, and with more
// bandwidth and buffer than SSH's window can fill. Prints the port that it listens on.

import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

const [upstreamPort = 0, roundTripMs = 0] = process.argv.slice(2).map(Number);
const bufferBytes = 64 * 1024 * 1024;
const options = { noDelay: true, allowHalfOpen: true };

const server = createServer(options, (client) => {
  const upstream = connect({ host: '127.0.0.1', port: upstreamPort, ...options });
  delay(client, upstream);
  delay(upstream, client);
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});

function delay(from: Socket, to: Socket): void {
  let onTheWay = 0;
  const later = (action: () => void): void => void setTimeout(action, roundTripMs / 2);
  from.on('data', (chunk: Buffer) => {
    onTheWay += chunk.length;
    if (onTheWay + to.writableLength > bufferBytes) from.pause();
    later(() => {
      to.write(chunk, () => {
        onTheWay -= chunk.length;
        if (onTheWay < bufferBytes / 2) from.resume();
      });
    });
  });
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroySoon()));
}
