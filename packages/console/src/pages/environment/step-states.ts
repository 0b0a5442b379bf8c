/** How far a start has come, read from the timeline. */
import type { Environment, EnvironmentEvent } from '@berth/contract';

/** In the order in which they are taken; the first two are done with the answer to the request. */
const starting = ['quota', 'port', 'image', 'storage', 'container', 'handshake'] as const;
type Step = (typeof starting)[number];

export interface StepState {
  step: Step;
  state: 'done' | 'underway' | 'failed' | 'waiting';
  beganAt: number | null;
  endedAt: number | null;
  /** What was said of it last. */
  message: string | null;
}

/** @param events newest first, as the timeline is read */
export function stepsOf(events: EnvironmentEvent[], status: Environment['status']): StepState[] {
  const asked = events.findIndex(({ kind, status }) => kind === 'request' && status !== null);
  const since = events.slice(0, asked + 1).toReversed();
  const [request] = since;
  const requestAt = request === undefined ? null : Date.parse(request.at);
  const last = since.at(-1);
  const lines = new Map<string, EnvironmentEvent[]>();
  for (const event of since) {
    if (event.kind === 'step' && event.step !== null)
      lines.set(event.step, [...(lines.get(event.step) ?? []), event]);
  }
  const begins = starting.map((step) => {
    const [first] = lines.get(step) ?? [];
    return first === undefined ? null : Date.parse(first.at);
  });
  const current = begins.findLastIndex((begin) => begin !== null);
  return starting.map((step, index): StepState => {
    const message = lines.get(step)?.at(-1)?.message ?? null;
    if (index < 2)
      return { step, state: request ? 'done' : 'waiting', beganAt: requestAt, endedAt: requestAt, message };
    const beganAt = begins[index] ?? null;
    if (beganAt === null)
      return { step, state: index < current ? 'done' : 'waiting', beganAt, endedAt: beganAt, message };
    const next = begins.slice(index + 1).find((begin) => begin !== null) ?? null;
    const isLast = next === null;
    const endedAt =
      next ?? (status === 'running' || status === 'failed' ? (last ? Date.parse(last.at) : null) : null);
    const state = !isLast || status === 'running' ? 'done' : status === 'failed' ? 'failed' : 'underway';
    return { step, state, beganAt, endedAt, message };
  });
}
