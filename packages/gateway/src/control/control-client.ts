/**
 * The gateway's link to its server: attempts and upstreams. A server that is just being started again is waited for, so
 * that whoever logs in meanwhile notices a short pause and no more. Asking the same thing twice does no harm: attempts
 * have ids, and an environment that starts goes on starting.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { controlPaths } from '@berth/contract';
import type { AttemptAnswer, AttemptRequest, UpstreamLine, UpstreamRequest } from '@berth/contract';
import { ControlError } from './requests.ts';
import type { Requests } from './requests.ts';
import { ServerAway, serverWaitMs } from './server-link.ts';
import type { ServerLink } from './server-link.ts';

/** Between two tries: short, since a server needs a second to start. */
const retryMs = 100;

export class ControlClient implements ServerLink {
  readonly #requests: Requests;
  readonly #feed: { readonly isUp: boolean };

  constructor(requests: Requests, feed: { readonly isUp: boolean }) {
    this.#requests = requests;
    this.#feed = feed;
  }

  get isUp(): boolean {
    return this.#feed.isUp;
  }

  async attempt(request: AttemptRequest, signal: AbortSignal): Promise<AttemptAnswer> {
    signal.throwIfAborted();
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(new ServerAway('the server does not answer')), serverWaitMs);
    const gone = () => ending.abort(signal.reason);
    signal.addEventListener('abort', gone);
    const body = JSON.stringify(request);
    try {
      for (;;) {
        try {
          return (await this.#requests.json(controlPaths.attempts, body, ending.signal)) as AttemptAnswer;
        } catch (error) {
          if (!isAway(error)) throw error;
          await pauseUnless(ending.signal);
        }
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
    }
  }

  async *upstream(request: UpstreamRequest, signal: AbortSignal): AsyncGenerator<UpstreamLine, void> {
    let heardMs = Date.now();
    for (;;) {
      try {
        for await (const line of this.#requests.lines(controlPaths.upstreams, request, signal)) {
          heardMs = Date.now();
          yield line as UpstreamLine;
          if ((line as UpstreamLine).type !== 'progress') return;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isAway(error)) throw error;
      }
      if (Date.now() - heardMs > serverWaitMs) throw new ServerAway('the server does not answer');
      await pauseUnless(signal);
    }
  }
}

/** Whether asking again may help: there was no answer, or one that says that the server starts or ends. */
function isAway(error: unknown): boolean {
  if (error instanceof ServerAway) return false;
  if (error instanceof ControlError) return error.status === 503;
  return error instanceof Error && error.name !== 'AbortError';
}

async function pauseUnless(signal: AbortSignal): Promise<void> {
  try {
    await pause(retryMs, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
