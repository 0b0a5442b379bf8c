import { goProgram, missingGo } from '../go-program.ts';
import { start } from '../processes.ts';
import type { Relay } from './relay.ts';

/** Packets passed on by golang.org/x/crypto/ssh, in the way of sshpiper. */
export const go: Relay = {
  name: 'x/crypto/ssh',
  missing: () => missingGo,
  start: async ({ keys, upstreamPort }) => {
    const { pid, firstLine, stop } = await start(await goProgram(), [
      'relay',
      `-upstream=127.0.0.1:${upstreamPort}`,
      `-user=${keys.user}`,
      `-host-key=${keys.relayHost}`,
      `-client-keys=${keys.client}.pub`,
      `-upstream-key=${keys.upstreamLogin}`,
      `-upstream-host-key=${keys.upstreamHost}.pub`,
    ]);
    return { port: Number(firstLine), pid, stop };
  },
};
