/**
 * What the gateway asks of its server (contract's control.ts), as the rest of the gateway sees it. `control-client.ts`
 * speaks the protocol; worker.ts gets it from main.ts.
 */
import type { AttemptAnswer, AttemptRequest, UpstreamLine, UpstreamRequest } from '@berth/contract';

/** How long whoever logs in waits for a server that is away. */
export const serverWaitMs = 5000;

export interface ServerLink {
  /** Whether the server feeds the state just now. A request may succeed although it says no, and the reverse. */
  readonly isUp: boolean;
  /**
   * The decision on one attempt. A server that is just starting again is waited for; the same id may be asked again.
   *
   * @throws ServerAway after serverWaitMs without an answer
   * @throws the signal's reason
   */
  attempt(request: AttemptRequest, signal: AbortSignal): Promise<AttemptAnswer>;
  /**
   * The way to an environment, started where needed: `progress` lines and at last `ready` or `failed`. A stream that
   * breaks is asked for again.
   *
   * @throws ServerAway when nothing is heard for serverWaitMs from a server that is away
   * @throws the signal's reason
   */
  upstream(request: UpstreamRequest, signal: AbortSignal): AsyncIterable<UpstreamLine>;
}

/** The server does not answer. The person is told to try again in a moment. */
export class ServerAway extends Error {
  override name = 'ServerAway';
}
