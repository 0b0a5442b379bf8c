// Is an SSH server really there, and is it the one we know? One TCP connection, one SSH handshake until
// the server has proved that it holds its host key (RFC 4253), then goodbye: nobody logs in. Called again
// and again while a container starts, and by diagnosis; so it costs one connection and some 3 ms of CPU,
// and when its promise settles no socket, timer or listener is left.

import { type Socket, connect } from 'node:net';
import { ProbeError } from './probe-error.ts';
import { type HandshakeResult, ProbeHandshake } from './probe-handshake.ts';

export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  /** For everything from the look-up of the name to the server's NEWKEYS. */
  readonly timeoutMs: number;
  /** The blob of the host key, of any type, that the server must prove to hold; any ssh-ed25519 key without it. */
  readonly expectedHostKey?: Buffer;
  readonly signal?: AbortSignal;
}

export interface ProbeResult extends HandshakeResult {
  readonly durationMs: number;
}

// How long the server has to close its side after we closed ours. sshd needs a few milliseconds; one that
// is closed at once instead may find its last bytes refused and log a reset.
const farewellMs = 250;

/** Resolves once the server has proved its host key and both sides sent NEWKEYS. Rejects with ProbeError, or with KeyError for
 * an `expectedHostKey` that is no public key. */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { host, port, timeoutMs, expectedHostKey, signal } = options;
  if (signal?.aborted === true) throw aborted();
  const startedAt = performance.now();
  const socket = connect({ host, port, noDelay: true });
  try {
    const result = await shakeHands(socket, new ProbeHandshake(expectedHostKey), timeoutMs, signal);
    const durationMs = performance.now() - startedAt;
    await leave(socket);
    return { ...result, durationMs };
  } finally {
    socket.destroy();
    if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve));
  }
}

function shakeHands(
  socket: Socket,
  handshake: ProbeHandshake,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<HandshakeResult> {
  const { promise, resolve, reject } = Promise.withResolvers<HandshakeResult>();
  const onAbort = (): void => reject(aborted());
  const timer = setTimeout(() => reject(handshake.timedOut(timeoutMs)), timeoutMs);
  signal?.addEventListener('abort', onAbort);

  socket.on('connect', () => socket.write(handshake.start()));
  socket.on('data', (chunk: Buffer) => {
    // After the handshake there is only what the server sends encrypted before it sees us leave.
    if (handshake.result !== undefined) return;
    try {
      const reply = handshake.receive(chunk);
      if (reply.length > 0) socket.write(reply);
    } catch (error) {
      const farewell = error instanceof ProbeError ? handshake.disconnect(error) : undefined;
      if (farewell !== undefined) socket.end(farewell);
      reject(error);
      return;
    }
    if (handshake.result !== undefined) resolve(handshake.result);
  });
  socket.on('end', () => reject(handshake.closed()));
  // The listener stays for the socket's life: an error after the promise settled changes nothing.
  socket.on('error', (error) => reject(fromSocketError(error)));

  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  });
}

/** Closes our side and waits a moment for the server to close its own. */
async function leave(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, farewellMs);
  socket.on('close', () => resolve());
  socket.end();
  await promise;
  clearTimeout(timer);
}

function aborted(): ProbeError {
  return new ProbeError('aborted', 'The probe was called off.');
}

function fromSocketError(error: NodeJS.ErrnoException): ProbeError {
  const options = { cause: error };
  switch (error.code) {
    case 'ECONNREFUSED':
      return new ProbeError('refused', 'Nothing listens there: the connection was refused.', options);
    case 'ECONNRESET':
    case 'EPIPE':
      return new ProbeError('reset', 'The connection was cut off in the middle of the handshake.', options);
    case 'ETIMEDOUT':
      return new ProbeError('timeout', 'The network gave up: no answer to the connection attempt.', options);
    default:
      return new ProbeError(
        'unreachable',
        `There is no way there (${error.code ?? error.message}).`,
        options,
      );
  }
}
