// From an address to a server that has let its user in: what a relay's upstream leg is made of, and a client's
// connection. One TCP connection, one key exchange with the host key that is expected, and one round trip for the
// first credential that is right.

import { connect } from 'node:net';
import { authenticate } from './authentication/client.ts';
import type { Credential } from './authentication/credentials.ts';
import type { Algorithms } from './transport/algorithms.ts';
import { type RekeyLimits, Transport } from './transport/transport.ts';
import { TransportError, disconnectReason } from './transport/transport-error.ts';
import { fingerprint } from './keys/fingerprint.ts';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** In the order in which they are tried. */
  readonly credentials: readonly Credential[];
  /**
   * The blob of the host key that the server must prove to hold, or a function that says in a sentence why a key (or
   * certificate) is not taken, and undefined when it is.
   */
  readonly hostKey: Buffer | ((hostKey: Buffer, algorithm: string) => string | undefined);
  /** Host key algorithms among them must be those that the expected key can use. */
  readonly algorithms?: Partial<Algorithms>;
  readonly rekey?: Partial<RekeyLimits>;
  readonly software?: string;
  /** From the first packet to the login. 20 seconds unless told otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Text for the person; not to be shown without its control characters being escaped. */
  readonly banner?: (text: string) => void;
  /** Called once when a connection that was made is over, logged in or not. */
  readonly closed?: (error: TransportError | undefined) => void;
}

const defaultTimeoutMs = 20_000;
/** A path that is dead is noticed some probes after this, by the kernel. */
const keepAliveMs = 600_000;

/**
 * Resolves when the server has let the user in; the transport holds what follows until it is given a handler. Rejects
 * with TransportError (`lost` when nothing answers, `host_key`, `limit` when it takes too long), AuthenticationError
 * when no credential is right, or the reason of `signal`; no connection is left then.
 */
export async function dial(options: DialOptions): Promise<Transport> {
  const { host, port, user, credentials, hostKey, signal, timeoutMs = defaultTimeoutMs } = options;
  signal?.throwIfAborted();
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  stopped.catch(() => {});
  const onAbort = (): void => stop(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    stop(new TransportError('limit', `No login at ${host}:${port} within ${timeoutMs / 1000} s.`));
  }, timeoutMs);
  let transport: Transport | undefined;
  try {
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => {
        reject(new TransportError('lost', `${host}:${port} does not answer: ${error.message}.`));
      });
    });
    await Promise.race([connected, stopped]);
    transport = Transport.client(socket, {
      whyNotHostKey: typeof hostKey === 'function' ? hostKey : (offered) => whyNot(hostKey, offered),
      handshakeMs: timeoutMs,
      ...pick(options),
    });
    await Promise.race([transport.established, stopped]);
    await Promise.race([
      authenticate(transport, { user, credentials, ...(options.banner && { banner: options.banner }) }),
      stopped,
    ]);
    return transport;
  } catch (error) {
    if (transport === undefined) socket.destroy();
    else transport.disconnect(disconnectReason.byApplication, 'The login was given up.');
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function pick({ algorithms, rekey, software, closed }: DialOptions) {
  return {
    ...(algorithms && { algorithms }),
    ...(rekey && { rekey }),
    ...(software !== undefined && { software }),
    ...(closed && { closed }),
  };
}

function whyNot(expected: Buffer, offered: Buffer): string | undefined {
  if (expected.equals(offered)) return undefined;
  return (
    `The server has another host key (${fingerprint(offered)}) than expected (${fingerprint(expected)}): ` +
    'another server answers at this address, or its key was changed.'
  );
}
