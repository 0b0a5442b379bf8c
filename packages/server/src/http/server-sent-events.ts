/**
 * An environment's timeline as server-sent events (HTML standard, section 9.2): first what happened after the
 * event that the client saw last, then each new one.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { listEvents, presentEvent } from '../events/events.ts';
import { findEnvironment } from '../environments/table.ts';
import type { Services } from './app.ts';

const heartbeatMs = 15_000;
const batch = 500;
/** A client that reads no more is let go when this much waits for it. */
const longestBacklogBytes = 1024 * 1024;

export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { database, notices, stopping }: Services,
  id: string,
  after: number,
): Promise<FastifyReply> {
  const lastSeen = Number(request.headers['last-event-id']);
  let cursor = Number.isSafeInteger(lastSeen) && lastSeen > 0 ? lastSeen : after;

  reply.hijack();
  const stream = reply.raw;
  stream.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
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

  const unsubscribe = notices.onEnvironment(id, () => void send());
  const heartbeat = setInterval(() => {
    if (!stream.writableEnded) stream.write(': still here\n\n');
  }, heartbeatMs);
  const end = () => stream.end();
  stopping.addEventListener('abort', end);
  stream.once('close', () => {
    unsubscribe();
    clearInterval(heartbeat);
    stopping.removeEventListener('abort', end);
  });
  await send();
  return reply;
}
