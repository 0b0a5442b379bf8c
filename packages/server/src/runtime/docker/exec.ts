/** Runs a program in a container and reads what it prints. What is in there is not trusted: time and bytes are bounded. */
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';

/**
 * @param user as in `docker exec --user`; undefined: the container's own
 * @returns what it wrote to standard output, cut where it is too long
 * @throws the signal's reason, or the engine's error, such as for a container that does not run
 */
export async function outputOf(
  docker: Docker,
  container: string,
  command: string[],
  { signal, mostBytes, env = [] }: { signal: AbortSignal; mostBytes: number; env?: string[] },
): Promise<string> {
  const run = await docker.getContainer(container).exec({
    Cmd: command,
    Env: env,
    AttachStdout: true,
    AttachStderr: true,
    abortSignal: signal,
  });
  const stream = await run.start({ abortSignal: signal });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  stderr.resume();
  docker.modem.demuxStream(stream, stdout, stderr);
  const end = () => stdout.end();
  for (const event of ['end', 'close', 'error']) stream.once(event, end);
  const onAbort = () => stdout.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    signal.throwIfAborted();
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= mostBytes) break;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.destroy();
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, mostBytes);
}
