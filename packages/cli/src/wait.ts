/** Waits until an environment has come to rest, and shows what Berth does meanwhile. */
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf, routes } from '@berth/contract/paths';
import { passingStatuses } from '@berth/contract/vocabulary';
import type { Environment, EnvironmentEvent } from '@berth/contract';
import type { Client } from './client.ts';
import { CommandFailure, exitCodes } from './failure.ts';
import type { Progress } from './progress.ts';
import { followEvents } from './timeline.ts';

/** The stream says at once when something changed; asking now and then covers a stream that broke. */
const askAgainMs = 2_000;
/** How long after the end the last lines of the timeline may still arrive. */
const lastEventsMs = 500;
/** How long a server may be gone, as for a restart. */
const patienceMs = 60_000;

export function isPassing(environment: Environment): boolean {
  return passingStatuses.includes(environment.status);
}

/**
 * @param after the timeline is shown from the event after this one
 * @returns the environment at rest; undefined when it is gone or `signal` aborted
 */
export async function waitUntilAtRest(
  client: Client,
  id: string,
  options: { after: number; progress: Progress; signal?: AbortSignal },
): Promise<Environment | undefined> {
  const following = new AbortController();
  const signal = AbortSignal.any([following.signal, ...(options.signal ? [options.signal] : [])]);
  let changed = Promise.withResolvers<void>();
  const restSeen = Promise.withResolvers<void>();

  const show = async () => {
    for await (const event of followEvents(client, id, { after: options.after, signal })) {
      showEvent(options.progress, event);
      if (event.status === null) continue;
      changed.resolve();
      if (!passingStatuses.includes(event.status)) restSeen.resolve();
    }
    // The timeline of an environment that is gone ends.
    changed.resolve();
    restSeen.resolve();
  };
  // Without the timeline, asking for the environment still tells how it goes and why it failed.
  let timelineLost = false;
  const shown = show().catch(() => {
    timelineLost = true;
  });

  try {
    let answeredMs = Date.now();
    while (!options.signal?.aborted) {
      changed = Promise.withResolvers<void>();
      try {
        const environment = await client.get<Environment>(pathOf(routes.environment, { id }));
        answeredMs = Date.now();
        if (!isPassing(environment)) {
          await Promise.race([restSeen.promise, delay(lastEventsMs, undefined, { signal }).catch(() => {})]);
          return environment;
        }
        if (timelineLost && environment.step !== null) options.progress.step(environment.step);
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        if (error.exitCode === exitCodes.notFound) return undefined;
        const mayComeBack = error.exitCode === exitCodes.unreachable || error.exitCode === exitCodes.tryLater;
        if (!mayComeBack || Date.now() - answeredMs > patienceMs) throw error;
      }
      await Promise.race([changed.promise, delay(askAgainMs, undefined, { signal }).catch(() => {})]);
    }
    return undefined;
  } finally {
    following.abort();
    await shown;
    options.progress.end();
  }
}

function showEvent(progress: Progress, event: EnvironmentEvent): void {
  if (event.kind === 'step') progress.step(event.message);
  else if (event.kind !== 'request' && event.kind !== 'status') progress.note(event.message);
}
