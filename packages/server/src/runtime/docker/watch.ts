/** Follows the engine's events, through restarts of the engine. */
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';

const up = new Set(['start', 'unpause', 'restart']);
const down = new Set(['die', 'destroy', 'pause', 'oom']);
const shortestPauseMs = 200;
const longestPauseMs = 2000;

export async function watchEvents(
  docker: Docker,
  installationLabel: string,
  environmentLabel: string,
  handlers: { onChange(id: string, change: 'up' | 'down'): void; onReconnect(): void; onLost(): void },
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = shortestPauseMs;
  while (!signal.aborted) {
    try {
      const stream = await docker.getEvents({
        abortSignal: signal,
        filters: { type: ['container'], label: [installationLabel], event: [...up, ...down] },
      });
      pauseMs = shortestPauseMs;
      handlers.onReconnect();
      let rest = '';
      for await (const chunk of stream) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines.filter((each) => each.trim() !== '')) {
          const event = JSON.parse(line) as {
            Action: string;
            Actor?: { Attributes?: Record<string, string> };
          };
          const id = event.Actor?.Attributes?.[environmentLabel];
          if (id) handlers.onChange(id, up.has(event.Action) ? 'up' : 'down');
        }
      }
    } catch {
      // The engine is away; what it did meanwhile is found by looking at everything on reconnection.
    }
    if (signal.aborted) return;
    handlers.onLost();
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
