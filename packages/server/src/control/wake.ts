/**
 * The way to an environment that is not there yet (POST /control/upstreams): starts it where it may be started, waits for
 * it with a word on what happens, and hands out the upstream.
 *
 * The start is a request like a person's: it goes on when whoever asked for it goes away.
 */
import { BerthError } from '@berth/contract';
import type { UpstreamLine, UpstreamRequest } from '@berth/contract';
import { wakeEnvironment } from '../environments/environments.ts';
import { lastEvent, listEvents } from '../events/events.ts';
import type { Services } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { readStanding } from './table.ts';
import type { Standing } from './table.ts';
import { findUpstream } from './upstream.ts';

/** How often the seconds are told where nothing else happens. */
const tickMs = 1000;
/** The reconciler gives up by itself before that. */
const marginSeconds = 30;
const linesAtOnce = 100;

/** What the person sees of a timeline. */
const shownKinds: ReadonlySet<string> = new Set(['step', 'retry', 'drift']);

/** Ends with `ready` or `failed`; without either when the signal says that nobody waits, or the server stops. */
export async function* provideUpstream(
  services: Services,
  wish: UpstreamRequest,
  signal: AbortSignal,
): AsyncGenerator<UpstreamLine> {
  const { directory, notices, upstreamAddresses, stopping, settings, logger } = services;
  const { environment: id } = wish;
  const stirring = new Stirring();
  const undo = [
    notices.onEnvironment(id, () => stirring.stir()),
    directory.onChange((change) => {
      if (change.kind === 'environment' && change.id === id) stirring.stir();
    }),
  ];
  const gone = () => stirring.stir();
  for (const each of [signal, stopping]) each.addEventListener('abort', gone);
  const began = Date.now();
  const seconds = () => Math.floor((Date.now() - began) / 1000);
  try {
    // Whoever asks may have found nobody at the address that is known.
    upstreamAddresses.forget(id);
    const last = await lastEvent(services.database, id);
    let message = last && shownKinds.has(last.kind) ? last.message : 'Waiting for its sshd to answer.';
    let seen = last?.id ?? 0;
    let refusal = await begin(services, wish);
    for (let told = -1; !signal.aborted && !stopping.aborted;) {
      refusal ??= refusalOf(id, await readStanding(services.database, id));
      if (refusal === null && seconds() > settings.readyTimeoutSeconds + marginSeconds)
        refusal = `The environment ${id} did not answer within ${seconds()} s.`;
      if (refusal !== null) {
        yield { type: 'failed', sentence: refusal };
        return;
      }
      for (const event of await listEvents(services.database, id, { after: seen, limit: linesAtOnce })) {
        seen = event.id;
        if (!shownKinds.has(event.kind)) continue;
        ({ message } = event);
        told = seconds();
        yield { type: 'progress', message, seconds: told };
      }
      const upstream = await upstreamOf(services, wish);
      if (upstream !== null) {
        yield { type: 'ready', upstream };
        return;
      }
      if (seconds() > told) {
        told = seconds();
        yield { type: 'progress', message, seconds: told };
      }
      await stirring.wait(tickMs);
    }
  } catch (error) {
    logger.warn({ error: (error as Error).message, environment: id }, 'a login could not be led on');
    yield { type: 'failed', sentence: sentenceOf(error) };
  } finally {
    for (const step of undo) step();
    for (const each of [signal, stopping]) each.removeEventListener('abort', gone);
  }
}

/** Asks for its start where that is wished and needed. @returns why it is refused; null: it is not */
async function begin(services: Services, wish: UpstreamRequest): Promise<string | null> {
  const { environment: id, account, source, attempt } = wish;
  const standing = await readStanding(services.database, id);
  if (standing?.wanted === 'running' && standing.status !== 'failed') return null;
  if (!wish.wake || standing === undefined) return refusalOf(id, standing);
  try {
    await wakeEnvironment(services, { account, source, attempt }, id);
    return null;
  } catch (error) {
    if (error instanceof BerthError) return sentenceOf(error);
    throw error;
  }
}

/** @returns null as long as it may be waited for */
function refusalOf(id: string, standing: Standing | undefined): string | null {
  if (standing === undefined) return `The environment ${id} was deleted.`;
  if (standing.status === 'failed')
    return `The environment ${id} failed: ${standing.failure_cause} ${standing.failure_cure}`;
  return standing.wanted === 'running' ? null : `The environment ${id} is stopped.`;
}

function upstreamOf(services: Services, wish: UpstreamRequest): ReturnType<typeof findUpstream> {
  const environment = services.directory.environment(wish.environment);
  if (!environment) return Promise.resolve(null);
  const { attempt, upstream_key: upstreamKey, forwarding, force_command: forceCommand } = wish;
  return findUpstream(services, { attempt, environment, upstreamKey, forwarding, forceCommand });
}

function sentenceOf(error: unknown): string {
  if (error instanceof BerthError || error instanceof RuntimeError) return `${error.message} ${error.cure}`;
  return 'Berth cannot lead there just now. Try again in a few seconds.';
}

/** Waits until something happened since it was last waited for. */
class Stirring {
  #stirred = false;
  #wake: (() => void) | null = null;

  stir(): void {
    this.#stirred = true;
    this.#wake?.();
  }

  async wait(atMostMs: number): Promise<void> {
    if (!this.#stirred) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, atMostMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#stirred = false;
    this.#wake = null;
  }
}
