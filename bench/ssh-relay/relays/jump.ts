import { readFileSync } from 'node:fs';
import { type Keys } from '../keys.ts';
import { type Sshd, missingSshd, startSshd } from '../../../packages/ssh/src/testing/sshd.ts';
import type { Relay } from './relay.ts';

/** `ssh -J` through a second sshd: the client encrypts twice, the jump host sees nothing. */
export const jump: Relay = {
  name: 'ssh -J',
  missing: () => missingSshd || undefined,
  start: async ({ keys, upstreamPort }) => {
    const { pid, port, stop } = await startBenchSshd(keys, keys.relayHost, []);
    return { port, jumpTo: upstreamPort, pid, stop };
  },
};

/**
 * A stock sshd that lets in the client and the relays, with a subsystem that only says that it is there.
 *
 * @param settings further lines of sshd_config; an algorithm that stands alone there is what a relay uses upstream
 */
export function startBenchSshd(keys: Keys, hostKey: string, settings: readonly string[]): Promise<Sshd> {
  return startSshd(readFileSync(hostKey, 'utf8'), [
    'PermitRootLogin yes',
    'StrictModes no',
    `AuthorizedKeysFile ${keys.upstreamAuthorized}`,
    `TrustedUserCAKeys ${keys.upstreamAuthorities}`,
    `AuthorizedPrincipalsFile ${keys.upstreamPrincipals}`,
    'UsePAM no',
    'PrintMotd no',
    'PrintLastLog no',
    'MaxSessions 1000',
    'Subsystem ready /bin/echo ready',
    ...settings,
  ]);
}
