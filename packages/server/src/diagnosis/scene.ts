/**
 * One diagnosis: whom it is about, and what several looks need to know. Each thing is looked at once, however many ask, and
 * the first that asks begins it.
 */
import { ProbeError, fingerprint, parsePublicKey, probe } from '@berth/ssh';
import type { ProbeResult } from '@berth/ssh';
import type { CredentialsRow } from '../database/schema.ts';
import { readCredentials } from '../credentials/credentials.ts';
import type { Services } from '../http/app.ts';
import type { Failing } from '../reconciler/converge.ts';
import type { Inside, ObservedWorkload } from '../runtime/runtime.ts';
import { servingGateways } from './table.ts';
import type { readEnvironment } from './table.ts';

export type Subject = NonNullable<Awaited<ReturnType<typeof readEnvironment>>>;

export interface Question {
  /** Whether what is others' may be named. */
  forAdministrator: boolean;
  /** Whose way in is looked at; null: not known. */
  source: string | null;
  /** Of the key that the person uses. */
  fingerprint: string | null;
  /** Base64. */
  certificate: string | null;
}

/** What came of shaking hands with an SSH server. */
export type Handshake = { result: ProbeResult } | { error: ProbeError };

const probeMs = 3000;
/** Workers report every five seconds. */
const gatewaySilenceSeconds = 15;

export class Scene {
  readonly services: Services;
  readonly subject: Subject;
  readonly question: Question;
  /** Why its start fails just now, before anything is cleaned up; null: this is no such moment. */
  readonly failing: Failing | null;
  readonly signal: AbortSignal;
  readonly #seen = new Map<string, Promise<unknown>>();

  constructor(parts: {
    services: Services;
    subject: Subject;
    question: Question;
    failing: Scene['failing'];
    signal: AbortSignal;
  }) {
    this.services = parts.services;
    this.subject = parts.subject;
    this.question = parts.question;
    this.failing = parts.failing;
    this.signal = parts.signal;
  }

  /** Whether a container of it is to be there and run. */
  get shouldRun(): boolean {
    const { wanted, status } = this.subject;
    return wanted === 'running' && status === 'running';
  }

  /** @throws RuntimeError */
  workload(): Promise<ObservedWorkload | null> {
    return this.#once('workload', () => this.services.runtime.observe(this.subject.id));
  }

  /** What ended and was started again by the runtime meanwhile is no longer what failed. */
  async runs(): Promise<boolean> {
    return (this.failing?.ended ?? null) === null && (await this.workload())?.state === 'running';
  }

  /** @returns null when it does not run @throws RuntimeError */
  inside(): Promise<Inside | null> {
    const { id, username } = this.subject;
    return this.#once('inside', async () =>
      (await this.runs()) ? this.services.runtime.lookInside(id, { username, signal: this.signal }) : null,
    );
  }

  /** With the sshd inside, whatever key it shows. undefined: it has no address. @throws RuntimeError */
  sshd(): Promise<Handshake | undefined> {
    return this.#once('sshd', async () => {
      const address = (await this.workload())?.address ?? null;
      return address === null ? undefined : this.shakeHands(address);
    });
  }

  /** `expectedHostKey` undefined: whatever Ed25519 key it shows. */
  async shakeHands(place: { host: string; port: number }, expectedHostKey?: Buffer): Promise<Handshake> {
    try {
      const result = await probe({
        ...place,
        timeoutMs: probeMs,
        signal: this.signal,
        ...(expectedHostKey && { expectedHostKey }),
      });
      return { result };
    } catch (error) {
      if (error instanceof ProbeError && error.code !== 'aborted') return { error };
      throw error;
    }
  }

  credentials(): Promise<CredentialsRow> {
    return this.#once('credentials', () => readCredentials(this.services.database, this.subject.id));
  }

  /** The environment's own, as Berth made it. */
  async hostKey(): Promise<{ blob: Buffer; fingerprint: string }> {
    const { blob } = parsePublicKey((await this.credentials()).host_key_public);
    return { blob, fingerprint: fingerprint(blob) };
  }

  /** Machines of gateways that take newcomers; null in the place of one that has not said yet where it is. */
  gateways(): Promise<(string | null)[]> {
    return this.#once('gateways', async () => {
      const { database, settings, gatewayStreams } = this.services;
      const streams = gatewayStreams();
      // With the embedded database there is one server, so one that is not connected to it is gone.
      if (settings.databaseUrl === null && streams === 0) return [];
      const reported = await servingGateways(database, gatewaySilenceSeconds);
      if (reported.length === 0 && streams > 0) return [null];
      return reported.map(({ host }) => host);
    });
  }

  /** What serves its own port just now, or will when it runs. */
  get exposure(): 'gateway' | 'direct' {
    return this.subject.running_exposure ?? this.subject.exposure;
  }

  #once<T>(name: string, look: () => Promise<T>): Promise<T> {
    let seen = this.#seen.get(name) as Promise<T> | undefined;
    if (seen === undefined) {
      seen = look();
      // Whoever asked has its own copy of what went wrong.
      seen.catch(() => undefined);
      this.#seen.set(name, seen);
    }
    return seen;
  }
}
