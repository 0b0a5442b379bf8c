/** Lines of a container's log. The engine sends frames: one byte of stream, three of zero, four of length. */
import type Docker from 'dockerode';

const headerBytes = 8;
/** A line longer than this is cut, so that a container cannot fill Berth's memory. */
const longestLine = 64 * 1024;

export async function* containerLog(
  container: Docker.Container,
  options: { tail: number; follow: boolean; signal: AbortSignal },
): AsyncIterable<string> {
  const common = { stdout: true, stderr: true, tail: options.tail };
  if (!options.follow) {
    yield* lines(new Set([await container.logs({ ...common, follow: false })]));
    return;
  }
  const stream = await container.logs({ ...common, follow: true, abortSignal: options.signal });
  yield* lines(stream as unknown as AsyncIterable<Buffer>);
}

async function* lines(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncIterable<string> {
  let frames: Buffer = Buffer.alloc(0);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    frames = frames.length === 0 ? chunk : Buffer.concat([frames, chunk]);
    while (frames.length >= headerBytes) {
      const end = headerBytes + frames.readUInt32BE(4);
      if (frames.length < end) break;
      text += decoder.decode(frames.subarray(headerBytes, end), { stream: true });
      frames = frames.subarray(end);
      const whole = text.split('\n');
      text = (whole.pop() ?? '').slice(0, longestLine);
      for (const line of whole) yield line.slice(0, longestLine);
    }
  }
  if (text !== '') yield text;
}
