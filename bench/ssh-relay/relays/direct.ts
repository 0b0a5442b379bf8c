import type { Relay } from './relay.ts';

/** No relay: what the others are held against. */
export const direct: Relay = {
  name: 'direct',
  missing: () => undefined,
  start: ({ upstreamPort }) => Promise.resolve({ port: upstreamPort, stop: () => Promise.resolve() }),
};
