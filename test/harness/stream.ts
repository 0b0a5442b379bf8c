/** An answer of the API that goes on: the timeline as server-sent events, a log that is followed. */
import { once } from 'node:events';
import { request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { EnvironmentEvent } from '@berth/contract';
import { eventually } from './ssh.ts';

export class Stream {
  text = '';
  ended = false;
  readonly status: number;
  readonly contentType: string;
  readonly #outgoing: ClientRequest;

  private constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.#outgoing = outgoing;
    this.status = response.statusCode ?? 0;
    this.contentType = response.headers['content-type'] ?? '';
    response.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    response.once('close', () => (this.ended = true));
    response.on('error', () => undefined);
  }

  static async open(socketPath: string, path: string, headers: Record<string, string> = {}): Promise<Stream> {
    const outgoing = request({ socketPath, path, headers });
    outgoing.end();
    const [response] = (await once(outgoing, 'response', { signal: AbortSignal.timeout(10_000) })) as [
      IncomingMessage,
    ];
    outgoing.on('error', () => undefined);
    return new Stream(outgoing, response);
  }

  /** The timeline's lines that have come so far. */
  get events(): EnvironmentEvent[] {
    return this.text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => /^id: /m.test(block))
      .map((block) => JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '') as EnvironmentEvent);
  }

  has(pattern: RegExp, withinMs = 10_000): Promise<string> {
    return eventually(
      () => this.text,
      (text) => pattern.test(text),
      withinMs,
      20,
    );
  }

  close(): void {
    this.#outgoing.destroy();
  }
}
