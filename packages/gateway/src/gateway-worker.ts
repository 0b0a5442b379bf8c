/**
 * Between a worker process (main.ts: its privileges, its wires to supervisor and server) and the gateway inside it
 * (worker.ts: listeners, authentication, relay). main.ts calls `startWorker(parts)` of worker.ts.
 */
import type { StateLine } from '@berth/contract';
import type { ServerLink } from './control/server-link.ts';
import type { Sockets } from './listeners/sockets.ts';
import type { Recorder } from './records/recorder.ts';

export interface WorkerParts {
  /** The worker's id, as in `AttemptRequest.gateway` and `ConnectionRecord.gateway`. */
  gateway: string;
  sockets: Sockets;
  server: ServerLink;
  recorder: Recorder;
  /** A line for the operator, on stderr. */
  log(line: string): void;
}

/** Somebody who is logged in, as whoever ends Berth is told. */
export interface LiveConnection {
  environment: string;
  source: string;
  /** ISO 8601, UTC. */
  since: string;
}

export interface GatewayWorker {
  /**
   * One line of the state: first those of the snapshot that the worker began with, if there was one (`begin`, entries,
   * `complete`), then those of the server, whose stream begins anew after each interruption.
   */
  apply(line: StateLine): void;
  /** All that is known now, as a stream would begin: `begin`, entries, `complete`. */
  toLines(): StateLine[];
  /** Those that have logged in. */
  connections(): LiveConnection[];
  /** Counters for the gateway record: `name{label="value"}`. */
  metrics(): Record<string, number>;
  /**
   * Listens no more and serves what it has until it ends or `drainSeconds` (of the state) are over, then ends it with a
   * notice. Connections that are not logged in yet may still log in. Ends when none is left.
   *
   * @param sentence a notice to terminals, or null: none, since the connections are not to notice
   */
  drain(sentence: string | null): Promise<void>;
  /** Ends all connections at once, with their records. */
  close(): Promise<void>;
}
