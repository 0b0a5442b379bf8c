/**
 * The gateway's way into an environment: one key pair of the process, renewed each minute, which the server certifies
 * for each login, and the dial to the environment's sshd. attempt.ts and wake.ts call it.
 */
import type { Upstream } from '@berth/contract';
import { defaultAlgorithms, dial, generateSigningKey, parseVerificationKey } from '@berth/ssh';
import type { SigningKey, Transport } from '@berth/ssh';

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
  #current: UpstreamKey;
  readonly #timer: NodeJS.Timeout;

  private constructor(first: UpstreamKey) {
    this.#current = first;
    this.#timer = setInterval(() => {
      void newKey().then((key) => (this.#current = key));
    }, renewMs);
    this.#timer.unref();
  }

  static async create(): Promise<UpstreamKeys> {
    return new UpstreamKeys(await newKey());
  }

  get current(): UpstreamKey {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function newKey(): Promise<UpstreamKey> {
  const key = await generateSigningKey('ssh-ed25519');
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
