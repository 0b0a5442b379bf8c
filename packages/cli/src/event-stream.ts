/** Server-sent events (WHATWG HTML, 9.2): the lines of a stream turned into messages. */

export interface Message {
  id: string;
  /** "message" unless the server named another kind */
  event: string;
  data: string;
}

/**
 * Messages with data, in order. Comments, which servers send to keep a connection alive, are dropped, and so
 * is a message that the stream's end cut off.
 */
export async function* messagesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Message> {
  let id = '';
  let event = 'message';
  let data: string[] = [];
  for await (const line of linesOf(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { id, event, data: data.join('\n') };
      data = [];
      event = 'message';
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
}

/** Whole lines of UTF-8; the rest after the last line feed is a line only where `withRest` says so. */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  { withRest = false }: { withRest?: boolean } = {},
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  rest += decoder.decode();
  if (withRest && rest !== '') yield rest;
}
