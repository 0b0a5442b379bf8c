/** What a supervisor and its workers tell each other over IPC. They arrive in order. */
import type { LiveConnection } from '../gateway-worker.ts';
import type { ServerAddress } from '../control/server-address.ts';

export interface StartMessage {
  type: 'start';
  /** Whom to become before anything else; null: stays who it is. */
  account: { user: string; uid: number; gid: number } | null;
  /** Working folder, with the spool in it. */
  folder: string;
  server: ServerAddress;
  /** NDJSON of the last state that a worker knew; it holds host keys and is never written down. */
  snapshot: string | null;
}

export type ToWorker =
  | StartMessage
  /** Comes with the handle of a socket that is bound and must be listened on. */
  | { type: 'socket'; request: number }
  | { type: 'no-socket'; request: number; message: string }
  /** The server's address with certificates that were renewed. */
  | { type: 'server'; server: ServerAddress }
  | { type: 'connections'; request: number }
  /** To tell its state now. */
  | { type: 'snapshot'; request: number }
  /** Some other worker has ended: its journal waits for whoever takes it. */
  | { type: 'worker-ended' }
  /** To end: serves what it has and ends with the last of it. */
  | { type: 'drain'; sentence: string | null };

export type FromWorker =
  | { type: 'listen'; request: number; port: number; address: string }
  | { type: 'listening'; port: number }
  | { type: 'close'; port: number }
  /** Once the server has told everything, then at most every two seconds when it has changed, and when it is asked. */
  | { type: 'snapshot'; request: number | null; lines: string | null }
  /** It accepts connections on all ports of the state that it began with. */
  | { type: 'ready' }
  | { type: 'connections'; request: number; connections: LiveConnection[] };

export type SendToSupervisor = (message: FromWorker) => void;
