/**
 * The gateway's way into an environment: one key pair of the process, renewed each minute, which the server certifies
 * for each login, and the dial to the environment's sshd. attempt.ts and wake.ts call it.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { Upstream } from '@berth/contract';
import { SigningKey, defaultAlgorithms, dial, parseVerificationKey } from '@berth/ssh';
import type { Transport } from '@berth/ssh';

const renewMs = 60_000;
/** An environment that runs answers at once; one that has just started was waited for. */
const dialMs = 10_000;

export interface UpstreamKey {
  key: SigningKey;
  /** Base64 of the public key's wire format, as the server certifies it. */
  publicKey: string;
}

/** A login keeps the key that it began with; nobody has one for longer than its certificate holds. */
export class UpstreamKeys {
  #current = newKey();
  readonly #timer = setInterval(() => (this.#current = newKey()), renewMs).unref();

  get current(): UpstreamKey {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function newKey(): UpstreamKey {
  const key = new SigningKey(generateKeyPairSync('ed25519').privateKey);
  return { key, publicKey: key.publicKey.blob.toString('base64') };
}

/**
 * Logs in to an environment's sshd, which must have the host key that the server knows.
 *
 * @param client the person's side; its cipher is taken here too, so that packets are sealed where they were opened
 * @throws TransportError, AuthenticationError, or the signal's reason
 */
export function dialUpstream(
  { host, port, user, hostKey, certificate }: Upstream,
  { key }: UpstreamKey,
  client: Transport,
  signal: AbortSignal,
): Promise<Transport> {
  const cipher = client.negotiated?.encryptionServerToClient;
  const expected = Buffer.from(hostKey, 'base64');
  return dial({
    host,
    port,
    user,
    credentials: [{ method: 'publickey', key, certificate: Buffer.from(certificate, 'base64') }],
    hostKey: expected,
    algorithms: {
      cipher: [...new Set([...(cipher === undefined ? [] : [cipher]), ...defaultAlgorithms.cipher])],
      hostKey: parseVerificationKey(expected).signatureAlgorithms,
    },
    timeoutMs: dialMs,
    signal,
  });
}
