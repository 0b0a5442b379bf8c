import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { start } from '../ssh-relay/processes.ts';
import type { Relay } from '../ssh-relay/relays/relay.ts';
import type { Printed } from './berth-process.ts';

const program = fileURLToPath(new URL('berth-process.ts', import.meta.url));

/** Gateway and server, with all that they decide, count and write down. */
export const whole: Relay = {
  name: 'gateway',
  missing: () => undefined,
  start: async ({ keys, upstreamPort }) => {
    const { pid, firstLine, stop } = await start(
      process.execPath,
      [program, `${upstreamPort}`, keys.user, keys.upstreamHost, `${keys.client}.pub`],
      'SIGTERM',
    );
    const { port, environment, authority, gatewayPid } = JSON.parse(firstLine) as Printed;
    // Upstreams read them at each login.
    writeFileSync(keys.upstreamAuthorities, `${authority}\n`);
    writeFileSync(keys.upstreamPrincipals, `${environment}\n`);
    return { port, pid, gatewayPid, stop };
  },
};
