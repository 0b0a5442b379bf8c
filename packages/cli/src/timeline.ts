/** An environment's timeline: read page by page, or followed as it grows. */
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract/paths';
import type { EnvironmentEvent, EventPage } from '@berth/contract';
import type { Client } from './client.ts';
import { messagesOf } from './event-stream.ts';
import { CommandFailure, exitCodes } from './failure.ts';

const pageLength = 1000;
/** The server says something every 15 seconds; a connection without a word for this long is dead. */
const idleTimeoutMs = 60_000;
const firstPauseMs = 200;
const longestPauseMs = 5_000;
/** How long a server may be gone, as for a restart, before following it ends. */
const patienceMs = 60_000;

export async function* pastEvents(client: Client, id: string, after = 0): AsyncGenerator<EnvironmentEvent> {
  const path = pathOf(routes.environmentEvents, { id });
  let cursor = after;
  while (true) {
    const { items } = await client.get<EventPage>(path, { after: cursor, limit: pageLength });
    yield* items;
    const last = items.at(-1);
    if (last === undefined || items.length < pageLength) return;
    cursor = last.id;
  }
}

/** The cursor from which only what happens from now on is seen. */
export async function lastEventId(client: Client, id: string): Promise<number> {
  let last = 0;
  for await (const event of pastEvents(client, id)) last = event.id;
  return last;
}

/**
 * Events with an id greater than `after`, each once, over as many connections as it takes. Ends when the
 * environment is gone or `signal` aborts.
 *
 * @throws CommandFailure when the server refuses, or has been away for longer than a restart takes
 */
export async function* followEvents(
  client: Client,
  id: string,
  options: { after: number; signal: AbortSignal; onInterruption?: () => void },
): AsyncGenerator<EnvironmentEvent> {
  const path = pathOf(routes.environmentEvents, { id });
  let after = options.after;
  let connectedBefore = false;
  let pauseMs = firstPauseMs;
  let awaySinceMs: number | undefined;
  while (!options.signal.aborted) {
    try {
      const stream = await client.stream(path, {
        query: { after },
        headers: { accept: 'text/event-stream', 'last-event-id': String(after) },
        signal: options.signal,
        idleTimeoutMs,
      });
      connectedBefore = true;
      awaySinceMs = undefined;
      for await (const message of messagesOf(stream)) {
        if (message.event === 'gone') return;
        const event = JSON.parse(message.data) as EnvironmentEvent;
        if (event.id <= after) continue;
        after = event.id;
        pauseMs = firstPauseMs;
        yield event;
      }
    } catch (error) {
      if (options.signal.aborted) return;
      if (error instanceof SyntaxError) throw error;
      const exitCode = error instanceof CommandFailure ? error.exitCode : exitCodes.unreachable;
      if (exitCode === exitCodes.notFound && connectedBefore) return;
      awaySinceMs ??= Date.now();
      const mayComeBack = exitCode === exitCodes.unreachable || exitCode === exitCodes.tryLater;
      if (!connectedBefore || !mayComeBack || Date.now() - awaySinceMs > patienceMs) throw error;
    }
    if (options.signal.aborted) return;
    options.onInterruption?.();
    await delay(pauseMs, undefined, { signal: options.signal }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
