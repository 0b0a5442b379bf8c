// Is an SSH server really there, and is it the one we know? One TCP connection, one SSH handshake until
// the server has proved that it holds its host key (RFC 4253), then goodbye: nobody logs in. Called again
// and again while a container starts, and by diagnosis; so it costs one connection and some 3 ms of CPU,
// and when its promise settles no socket, timer or listener is left.

import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { fingerprint } from './keys/fingerprint.ts';
import { parseVerificationKey } from './keys/verification-key.ts';
import { ProbeError, type ProbeErrorCode } from './probe-error.ts';
import { cipherNames, macNames } from './transport/packet-algorithms.ts';
import { Transport } from './transport/transport.ts';
import { TransportError, type TransportErrorCode, disconnectReason } from './transport/transport-error.ts';

export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  /** For everything from the look-up of the name to the server's NEWKEYS. */
  readonly timeoutMs: number;
  /** The blob of the host key, of any type, that the server must prove to hold; any ssh-ed25519 key without it. */
  readonly expectedHostKey?: Buffer;
  readonly signal?: AbortSignal;
}

export interface ProbeResult {
  /** The server's whole identification, such as `SSH-2.0-OpenSSH_10.0p2`; printable US-ASCII. */
  readonly serverVersion: string;
  /** The blob of the server's key, which it has proved to hold. */
  readonly hostKey: Buffer;
  /** `SHA256:...` */
  readonly fingerprint: string;
  /** Such as `mlkem768x25519-sha256`. */
  readonly keyExchange: string;
  readonly durationMs: number;
}

// How long the server has to close its side after we closed ours. sshd needs a few milliseconds; one that
// is closed at once instead may find its last bytes refused and log a reset.
const farewellMs = 250;

/** Resolves once the server has proved its host key and both sides sent NEWKEYS. Rejects with ProbeError, or with KeyError for
 * an `expectedHostKey` that is no public key. */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { host, port, timeoutMs, expectedHostKey, signal } = options;
  const hostKeyAlgorithms =
    expectedHostKey === undefined
      ? ['ssh-ed25519']
      : parseVerificationKey(expectedHostKey).signatureAlgorithms;
  if (signal?.aborted === true) throw aborted();
  const startedAt = performance.now();
  const socket = connect({ host, port, noDelay: true });
  // For the socket's life: an error after the promise settled changes nothing.
  socket.on('error', () => {});
  const onAbort = (): void => void socket.destroy(aborted());
  signal?.addEventListener('abort', onAbort);
  let transport: Transport | undefined;
  let mismatch: string | undefined;
  try {
    await connected(socket, timeoutMs);
    transport = Transport.client(socket, {
      software: 'Berth_probe',
      // A server goes no further with a client that shares no cipher with it, so all are offered.
      algorithms: { hostKey: hostKeyAlgorithms, cipher: cipherNames, mac: macNames },
      handshakeMs: Math.max(1, timeoutMs - (performance.now() - startedAt)),
      whyNotHostKey: (hostKey) => (mismatch = whyNot(hostKey, expectedHostKey)),
    });
    await transport.established;
    const durationMs = performance.now() - startedAt;
    const { hostKey, remoteIdentification: serverVersion, negotiated } = transport;
    const keyExchange = negotiated?.keyExchange ?? '';
    transport.disconnect(disconnectReason.byApplication, 'The probe is done.');
    await closed(socket, farewellMs);
    return { serverVersion, hostKey, fingerprint: fingerprint(hostKey), keyExchange, durationMs };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    if (mismatch !== undefined) throw new ProbeError('host_key_mismatch', mismatch);
    if (error.code === 'limit') throw timedOut(timeoutMs, transport);
    throw fromTransportError(error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    socket.destroy();
    if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve));
  }
}

async function connected(socket: Socket, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => socket.destroy(timedOut(timeoutMs, undefined)), timeoutMs);
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw fromSocketError(error as Error);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until both sides have closed, and no longer than `ms`. */
async function closed(socket: Socket, ms: number): Promise<void> {
  if (socket.closed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  socket.once('close', () => resolve());
  await promise;
  clearTimeout(timer);
}

function whyNot(hostKey: Buffer, expected: Buffer | undefined): string | undefined {
  if (expected === undefined || expected.equals(hostKey)) return undefined;
  return (
    `The server has another host key (${fingerprint(hostKey)}) than expected (${fingerprint(expected)}): ` +
    'another server answers at this address, or its key was changed.'
  );
}

function aborted(): ProbeError {
  return new ProbeError('aborted', 'The probe was called off.');
}

function timedOut(timeoutMs: number, transport: Transport | undefined): ProbeError {
  const isIdentified = transport !== undefined && transport.remoteIdentification !== '';
  const when = isIdentified ? 'in the middle of the key exchange' : 'before it said anything';
  return new ProbeError('timeout', `The server did not answer within ${timeoutMs} ms, ${when}.`);
}

const codes: Partial<Record<TransportErrorCode, ProbeErrorCode>> = {
  protocol: 'protocol',
  not_ssh: 'not_ssh',
  no_common_algorithm: 'no_common_algorithm',
  disconnected: 'closed',
  lost: 'closed',
};

/** What is no error of the server's comes back as it is. */
function fromTransportError(error: TransportError): Error {
  const options = { cause: error };
  if (error.cause instanceof Error) return fromSocketError(error.cause);
  if (error.code === 'host_key') {
    // A key that is none, or a proof that is none.
    const isMalformed = error.reason === disconnectReason.hostKeyNotVerifiable;
    return new ProbeError(isMalformed ? 'protocol' : 'bad_signature', error.message, options);
  }
  const code = codes[error.code];
  return code === undefined ? error : new ProbeError(code, error.message, options);
}

function fromSocketError(error: NodeJS.ErrnoException): ProbeError {
  if (error instanceof ProbeError) return error;
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
