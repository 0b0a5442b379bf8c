import { fileURLToPath } from 'node:url';
import { start } from '../processes.ts';
import type { Relay } from './relay.ts';

/** Bytes passed on as they come, by Node: what a relay in Node cannot be faster than. */
export const pipe: Relay = {
  name: 'TCP pipe in Node',
  missing: () => undefined,
  start: async ({ upstreamPort }) => {
    const program = fileURLToPath(new URL('pipe-process.ts', import.meta.url));
    const { pid, firstLine, stop } = await start(process.execPath, [program, `${upstreamPort}`]);
    return { port: Number(firstLine), pid, stop };
  },
};
