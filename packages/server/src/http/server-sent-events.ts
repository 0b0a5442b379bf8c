/**
 * Server-sent events (HTML standard, section 9.2): the stream itself, and an environment's timeline as one, which is first
 * what happened after the event that the client saw last, then each new one.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { listEvents, presentEvent } from '../events/events.ts';
import { findEnvironment } from '../environments/table.ts';
import type { Services } from './app.ts';

const heartbeatMs = 15_000;
const batch = 500;
/** A client that reads no more is let go when this much waits for it. */
export const longestBacklogBytes = 1024 * 1024;

/**
 * The answer as a stream, which ends with the server and when the asker may no longer ask.
 *
 * @param heartbeat what is said when nothing happens, so that nobody in between takes the connection for dead
 */
export function openEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  { stopping, signedIn }: Pick<Services, 'stopping' | 'signedIn'>,
  heartbeat = () => ': still here\n\n',
): ServerResponse {
  reply.hijack();
  const stream = reply.raw;
  stream.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const timer = setInterval(() => {
    if (!stream.writableEnded) stream.write(heartbeat());
  }, heartbeatMs);
  const end = () => stream.end();
  stopping.addEventListener('abort', end);
  const unfollow = signedIn.follow(request.principal, end);
  stream.once('close', () => {
    clearInterval(timer);
    stopping.removeEventListener('abort', end);
    unfollow();
  });
  return stream;
}

export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
  id: string,
  after: number,
): Promise<FastifyReply> {
  const { database, notices } = services;
  const lastSeen = Number(request.headers['last-event-id']);
  let cursor = Number.isSafeInteger(lastSeen) && lastSeen > 0 ? lastSeen : after;

  const stream = openEventStream(request, reply, services);
  stream.write(': the timeline of one environment\n\n');

  let busy = false;
  let again = false;
  const send = async (): Promise<void> => {
    again = true;
    if (busy) return;
    busy = true;
    try {
      while (again && !stream.writableEnded && !stream.destroyed) {
        again = false;
        // Looked for first: the last line is written together with the deletion, so what is read after it has that line.
        const gone = !(await findEnvironment(database, id, null));
        const rows = await listEvents(database, id, { after: cursor, limit: batch });
        for (const row of rows) {
          if (stream.writableEnded) break;
          cursor = row.id;
          stream.write(`id: ${row.id}\ndata: ${JSON.stringify(presentEvent(row))}\n\n`);
        }
        if (stream.writableLength > longestBacklogBytes) stream.destroy();
        else if (rows.length === batch) again = true;
        else if (gone && !stream.writableEnded) stream.end('event: gone\ndata: {}\n\n');
      }
    } catch (error) {
      request.log.warn({ error }, 'the timeline could not be read');
      stream.destroy();
    } finally {
      busy = false;
    }
  };

  stream.once(
    'close',
    notices.onEnvironment(id, () => void send()),
  );
  await send();
  return reply;
}
