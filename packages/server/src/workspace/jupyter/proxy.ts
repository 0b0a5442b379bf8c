/**
 * Carries one request to JupyterLab over a channel of its own, and its answer back: as a stream both ways, whatever its
 * length, and from an upgrade on (RFC 9110, section 7.8) byte by byte.
 */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { BerthError } from '@berth/contract';
import { join } from '@berth/ssh';
import type { Channel } from '@berth/ssh';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { headersInwards, headersOutwards } from './headers.ts';

export interface Carried {
  channel: Channel;
  token: string;
  account: string;
  /** What everything of the environment begins with. */
  baseUrl: string;
  isSecure: boolean;
  /** Of a request that asks for another protocol. */
  upgrade: { socket: Socket; head: Buffer } | null;
}

/** Resolves when the answer has begun. @throws BerthError `jupyter_failed` when there is none */
export async function carry(request: FastifyRequest, reply: FastifyReply, carried: Carried): Promise<void> {
  const { channel, upgrade } = carried;
  const { raw } = request;
  const headers = headersInwards(raw.headers, carried);
  if (upgrade) Object.assign(headers, { connection: 'Upgrade', upgrade: raw.headers.upgrade });
  const inner = httpRequest({
    method: raw.method,
    path: raw.url,
    headers: { ...headers, ...(upgrade ? {} : { connection: 'close' }) },
    setHost: false,
    createConnection: () => channel,
  });
  const gone = () => channel.destroy();
  const client = upgrade?.socket ?? reply.raw;
  client.once('close', gone);
  const answer = Promise.withResolvers<{ response: IncomingMessage; head?: Buffer }>();
  inner.once('response', (response) => answer.resolve({ response }));
  inner.once('upgrade', (response, _socket, head) => answer.resolve({ response, head }));
  inner.on('error', (error) => {
    channel.destroy();
    client.off('close', gone);
    // What of the body is still to come goes nowhere; the answer may be on its way, or is made here.
    raw.unpipe(inner).resume();
    answer.reject(new BerthError('jupyter_failed', 'JupyterLab broke the request off.', { cause: error }));
  });
  if (!upgrade && hasBody(raw)) raw.pipe(inner);
  else inner.end();
  const { response, head } = await answer.promise;
  const outwards = headersOutwards(response.headers, carried);
  reply.hijack();
  if (upgrade && head) {
    reply.raw.detachSocket(upgrade.socket);
    const { upgrade: protocol } = response.headers;
    writeHead(upgrade.socket, response, { ...outwards, connection: 'Upgrade', upgrade: protocol });
    if (head.length > 0) upgrade.socket.write(head);
    if (upgrade.head.length > 0) channel.write(upgrade.head);
    join(channel, upgrade.socket);
    return;
  }
  reply.raw.writeHead(response.statusCode ?? 502, outwards);
  pipeline(response, reply.raw, (error) => {
    if (error) reply.raw.destroy();
    channel.destroy();
  });
}

/** Whether the same may be asked again where no answer came: nothing of it is used up, and it changes nothing. */
export function isRepeatable({ raw }: FastifyRequest): boolean {
  return (raw.method === 'GET' || raw.method === 'HEAD') && !hasBody(raw);
}

/** RFC 9112, section 6.3. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Of an answer that ends HTTP on this connection. */
function writeHead(
  socket: Socket,
  { statusCode = 101, statusMessage = '' }: IncomingMessage,
  headers: OutgoingHttpHeaders,
): void {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (const [name, value] of Object.entries(headers))
    for (const each of [value ?? []].flat()) lines.push(`${name}: ${each}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
