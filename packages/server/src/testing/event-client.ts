/** A client of a stream of server-sent events, as a browser's EventSource is. */
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { EnvironmentEvent } from '@berth/contract';

/** What came so far of one stream, as a browser's EventSource would take it. */
export class EventClient {
  readonly events: { id: string | null; type: string; data: string }[] = [];
  response: IncomingMessage | null = null;
  ended = false;
  /** What it would send when it connects again. */
  lastId = '';
  #text = '';

  constructor(port: number, path: string, token: string, headers: Record<string, string> = {}) {
    const request = get(
      {
        port,
        host: '127.0.0.1',
        path,
        headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, ...headers },
      },
      (response) => {
        this.response = response;
        response.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
        response.once('close', () => (this.ended = true));
      },
    );
    request.on('error', () => (this.ended = true));
  }

  get messages(): string[] {
    return this.events
      .filter(({ type }) => type === 'message')
      .map(({ data }) => (JSON.parse(data) as EnvironmentEvent).message);
  }

  leave(): void {
    this.response?.destroy();
  }

  #take(chunk: string): void {
    this.#text += chunk;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = { id: null as string | null, type: 'message', data: '' };
      for (const line of block.split('\n')) {
        if (line.startsWith('id: ')) this.lastId = event.id = line.slice(4);
        if (line.startsWith('event: ')) event.type = line.slice(7);
        if (line.startsWith('data: ')) event.data += line.slice(6);
      }
      if (event.data !== '') this.events.push(event);
    }
  }
}
