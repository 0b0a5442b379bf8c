/**
 * Where an environment's sshd is, and the certificate that opens it: what a gateway needs to go on inwards.
 *
 * Called for each attempt that got in, so it costs no query: the address is kept for as long as the run lasts, and the
 * authority's key is opened once, at the start.
 */
import type { Forwarding, Upstream } from '@berth/contract';
import { signUserCertificate } from '@berth/ssh';
import type { SigningKey } from '@berth/ssh';
import type { Services } from '../http/app.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Directory, KnownEnvironment } from './directory.ts';

type Address = Pick<Upstream, 'host' | 'port'>;

/** Clocks of containers on other machines may be behind, and a gateway needs a moment to get there. */
const validBeforeNowMs = 60_000;
const validForMs = 3 * 60_000;

/** Addresses of environments that run, as the runtime said last. */
export class UpstreamAddresses {
  readonly #runtime: Pick<Runtime, 'observe'>;
  readonly #known = new Map<string, { runId: string; address: Address }>();
  readonly #asked = new Map<string, Promise<Address | null>>();

  constructor({ runtime, directory }: { runtime: Pick<Runtime, 'observe'>; directory: Directory }) {
    this.#runtime = runtime;
    // Whatever was changed, the address may be another.
    directory.onChange((change) => {
      if (change.kind === 'environment') this.forget(change.id);
    });
  }

  /** For one at which nobody answered. */
  forget(id: string): void {
    this.#known.delete(id);
    this.#asked.delete(id);
  }

  /** @returns null when it does not run just now @throws RuntimeError */
  async of({ id, status, runId }: KnownEnvironment): Promise<Address | null> {
    if (status !== 'running') return null;
    const known = this.#known.get(id);
    if (known !== undefined && known.runId === runId) return known.address;
    return this.#asked.get(id) ?? this.#ask(id);
  }

  /** Many attempts at the same time are one question. */
  #ask(id: string): Promise<Address | null> {
    const asking: Promise<Address | null> = this.#look(id, () => this.#asked.get(id) === asking);
    this.#asked.set(id, asking);
    return asking;
  }

  /** @param isLatest not where something changed meanwhile: then it may be of another run than there is now */
  async #look(id: string, isLatest: () => boolean): Promise<Address | null> {
    try {
      const workload = await this.#runtime.observe(id);
      if (workload?.state !== 'running' || workload.address === null) return null;
      if (workload.runId !== null && isLatest())
        this.#known.set(id, { runId: workload.runId, address: workload.address });
      return workload.address;
    } finally {
      if (isLatest()) this.#asked.delete(id);
    }
  }
}

/** Whom the upstream is for. */
export interface UpstreamWish {
  /** Id of the attempt; the certificate's key id, so that the container's log can be joined to the audit log. */
  attempt: string;
  environment: KnownEnvironment;
  /** Base64: the gateway's own key. */
  upstreamKey: string;
  forwarding: Forwarding;
  forceCommand: string | null;
}

/**
 * @returns null when it does not run just now
 * @throws RuntimeError when the runtime has to be asked and does not answer; KeyError when the gateway's key is none
 */
export async function findUpstream(
  { upstreamAddresses, authority }: Pick<Services, 'upstreamAddresses' | 'authority'>,
  wish: UpstreamWish,
): Promise<Upstream | null> {
  const { environment } = wish;
  const address = await upstreamAddresses.of(environment);
  if (address === null) return null;
  return {
    host: address.host,
    port: address.port,
    user: environment.username,
    hostKey: environment.hostKeyPublic.split(' ')[1] ?? '',
    certificate: certify(authority, wish),
  };
}

/** @returns base64 @throws KeyError when the gateway's key is none */
function certify(authority: SigningKey, wish: UpstreamWish): string {
  const { attempt, environment, upstreamKey, forwarding, forceCommand } = wish;
  const now = Date.now();
  const { blob } = signUserCertificate({
    ca: authority,
    publicKey: Buffer.from(upstreamKey, 'base64'),
    keyId: attempt,
    // The one name in the container's AuthorizedPrincipalsFile.
    principals: [environment.id],
    validAfter: new Date(now - validBeforeNowMs),
    validBefore: new Date(now + validForMs),
    ...(forceCommand === null ? {} : { criticalOptions: { 'force-command': forceCommand } }),
    extensions: [
      'permit-pty',
      'permit-user-rc',
      ...(forwarding.local || forwarding.remote ? ['permit-port-forwarding'] : []),
      ...(forwarding.agent ? ['permit-agent-forwarding'] : []),
      ...(forwarding.x11 ? ['permit-X11-forwarding'] : []),
    ],
  });
  return blob.toString('base64');
}
