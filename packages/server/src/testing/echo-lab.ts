/**
 * What stands in the place of `jupyter-lab` in tests of the proxy: listens on the socket that it is told to, and answers
 * with what came to it, so that a test sees what reaches an environment. By itself it lets everybody in.
 *
 *   POST .../count   how many bytes its body has
 *   GET .../bytes/N  so many bytes
 *   GET .../cookies  answers that set cookies, of which not all may come out
 *   an upgrade       speaks first, then sends back what comes
 */
import { createServer } from 'node:http';
import { Readable } from 'node:stream';

const socket = process.argv.find((word) => word.startsWith('--ServerApp.sock='))?.split('=')[1];

const server = createServer(async (request, response) => {
  const { method, url = '', headers } = request;
  if (url.endsWith('/count')) {
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
    response.end(String(bytes));
    return;
  }
  const bytes = /\/bytes\/(\d+)$/.exec(url)?.[1];
  if (bytes !== undefined) {
    const chunk = Buffer.alloc(65_536, 'x');
    const chunks = Array.from({ length: Math.ceil(Number(bytes) / chunk.length) }, (_, index) =>
      chunk.subarray(0, Math.min(chunk.length, Number(bytes) - index * chunk.length)),
    );
    Readable.from(chunks).pipe(response);
    return;
  }
  if (url.endsWith('/cookies')) {
    response.setHeader('set-cookie', [
      'berth=stolen; Path=/',
      '__Host-berth=stolen; Path=/; Secure',
      'wide=1; Path=/; Domain=example.com',
      `narrow=1; Path=${url}; HttpOnly`,
    ]);
    response.setHeader('service-worker-allowed', '/');
    response.setHeader('access-control-allow-origin', '*');
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method, url, headers }));
});

server.on('upgrade', (request, stream, head) => {
  stream.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\nhello`,
  );
  stream.write(head);
  stream.pipe(stream);
});
server.listen(socket);
