import { fileURLToPath } from 'node:url';
import { start } from '../processes.ts';
import type { Relay } from './relay.ts';

/** Packets passed on by packages/ssh. */
export const berth: Relay = {
  name: 'Berth',
  missing: () => undefined,
  start: async ({ keys, upstreamPort }) => {
    const program = fileURLToPath(new URL('berth-process.ts', import.meta.url));
    const { pid, firstLine, stop } = await start(process.execPath, [
      program,
      `${upstreamPort}`,
      keys.user,
      keys.relayHost,
      `${keys.client}.pub`,
      keys.upstreamLogin,
      `${keys.upstreamHost}.pub`,
    ]);
    return { port: Number(firstLine), pid, stop };
  },
};
