/** Brings batches of records to the server. A record that the server refuses is found, told and dropped. */
import { controlPaths } from '@berth/contract';
import { ControlError } from '../control/requests.ts';
import type { Requests } from '../control/requests.ts';

const answerMs = 10_000;
/** The contract's bound is 5,000 records; a body stays well under what an HTTP server takes. */
const mostRecords = 1000;

export class Delivery {
  readonly #requests: Pick<Requests, 'json'>;
  readonly #log: (line: string) => void;

  constructor(requests: Pick<Requests, 'json'>, log: (line: string) => void) {
    this.#requests = requests;
    this.#log = log;
  }

  /**
   * Ends when the server has them.
   *
   * @param lines records, each a JSON document
   * @throws the system's error or ControlError: it has not, or not all
   */
  async deliver(lines: readonly string[]): Promise<void> {
    for (let start = 0; start < lines.length; start += mostRecords)
      await this.#deliver(lines.slice(start, start + mostRecords));
  }

  async #deliver(lines: readonly string[]): Promise<void> {
    try {
      await this.#requests.json(controlPaths.records, `[${lines.join(',')}]`, AbortSignal.timeout(answerMs));
    } catch (error) {
      const isRefused = error instanceof ControlError && (error.status === 400 || error.status === 413);
      if (!isRefused) throw error;
      if (lines.length === 1) {
        this.#log(`a record was refused and is dropped: ${lines[0]} (${error.message})`);
        return;
      }
      const middle = Math.ceil(lines.length / 2);
      await this.#deliver(lines.slice(0, middle));
      await this.#deliver(lines.slice(middle));
    }
  }
}
