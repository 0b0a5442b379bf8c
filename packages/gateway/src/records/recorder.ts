/** What the gateway owes its server: attempts, connections, ports that are taken. `spool.ts` keeps the promise. */
import type { GatewayRecordLine } from '@berth/contract';

export interface Recorder {
  /**
   * Takes a record; never throws, never waits. Attempts, the first and the last record of a connection are in the
   * journal when this returns, and reach the server at least once, if need be through another worker. Of the records
   * between, only the newest of a connection matters.
   */
  record(line: GatewayRecordLine): void;
  /** Ends when the server has all that was recorded so far, or when it cannot be reached: then it stays in the journal. */
  flush(): Promise<void>;
}
