/**
 * Keeps the firewall in front of published ports as lockouts and allowlists say: whoever is locked out of an environment,
 * banned, or not in its allowlist does not reach its sshd. Told by the directory, and looked at again each minute, since
 * the table may have gone with a restart of the host.
 */
import type { DirectoryChange, KnownEnvironment } from '../control/directory.ts';
import type { Services } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { DirectPort } from '../runtime/runtime.ts';

/** Changes of one transaction come together. */
const gatherMs = 20;
const againMs = 60_000;

export class PortRules {
  readonly #services: Pick<Services, 'directory' | 'runtime' | 'logger'>;
  readonly #unsubscribe: () => void;
  readonly #timer: NodeJS.Timeout;
  #inForce = '';
  #applying: Promise<void> | null = null;
  #isDue = false;
  #stopped = false;

  constructor(services: Pick<Services, 'directory' | 'runtime' | 'logger'>) {
    this.#services = services;
    this.#unsubscribe = services.directory.onChange((change) => {
      if (matters(change)) this.#soon();
    });
    this.#timer = setInterval(() => {
      this.#inForce = '';
      this.#soon();
    }, againMs);
    this.#soon();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.#applying;
  }

  #soon(): void {
    this.#isDue = true;
    this.#applying ??= this.#apply().finally(() => (this.#applying = null));
  }

  async #apply(): Promise<void> {
    const { runtime, logger } = this.#services;
    while (this.#isDue && !this.#stopped) {
      await new Promise((resolve) => setTimeout(resolve, gatherMs));
      this.#isDue = false;
      const ports = this.#wanted();
      const wanted = JSON.stringify(ports);
      // Nothing to hold to, and nothing that was held to: an installation without direct ports needs no table.
      if (wanted === this.#inForce || (this.#inForce === '' && ports.length === 0)) continue;
      try {
        await runtime.guardPorts(ports);
        this.#inForce = wanted;
      } catch (error) {
        const passes = error instanceof RuntimeError && error.passing;
        logger[passes ? 'warn' : 'error'](
          { error: (error as Error).message },
          'lockouts and allowlists of direct ports are not in force; trying again',
        );
      }
    }
  }

  #wanted(): DirectPort[] {
    const { directory } = this.#services;
    const banned = [...directory.bans()];
    return [...directory.environments()]
      .filter(isDirect)
      .map((environment) => ({
        port: environment.port,
        allowed: allowedBy(environment, directory.customer(environment.customerId)?.allowlist ?? []),
        locked: [
          ...[...directory.lockouts()].filter(({ target }) => target === environment.id),
          ...banned,
        ].map(({ source, until }) => ({ source, until })),
      }))
      .filter(({ allowed, locked }) => allowed.length > 0 || locked.length > 0)
      .sort((a, b) => a.port - b.port);
  }
}

function isDirect(environment: KnownEnvironment): environment is KnownEnvironment & { port: number } {
  return environment.runningExposure === 'direct' && environment.port !== null;
}

function allowedBy({ allowlist }: KnownEnvironment, ofCustomer: string[]): string[] {
  return [...new Set([...allowlist, ...ofCustomer])].sort();
}

function matters({ kind }: DirectoryChange): boolean {
  return kind !== 'account' && kind !== 'end';
}
