// What stands between the client and the upstream server, as the bench sees it.

import type { Keys } from '../keys.ts';

export interface Relay {
  readonly name: string;
  /** Why it cannot take part here; undefined when it can. */
  missing(): string | undefined;
  /** Starts a process of its own that leads to one upstream server. */
  start(setup: RelaySetup): Promise<RunningRelay>;
}

interface RelaySetup {
  readonly keys: Keys;
  /**
   * On 127.0.0.1. It lets in `keys.client`, `keys.upstreamLogin` and certificates of `keys.upstreamAuthorities` as `keys.user`, and has
   * `keys.upstreamHost`.
   */
  readonly upstreamPort: number;
}

export interface RunningRelay {
  /** On 127.0.0.1; where the client connects, as `keys.user` with `keys.client`. */
  readonly port: number;
  /** Where the client has itself led to from there, for one that serves as a jump host. */
  readonly jumpTo?: number;
  /** Whose CPU and memory it costs, with those of its children; none for no relay at all. */
  readonly pid?: number;
  /** Of its children the one that the connections go through, where not all of it is to be looked at. */
  readonly gatewayPid?: number;
  stop(): Promise<void>;
}
