/** Our server, in the shape of a peer: the shell server of packages/ssh with all algorithms and ways to log in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startShellServer } from '../../../packages/ssh/src/testing/shell-server.ts';
import { openSshServer } from '../peers/openssh-server.ts';
import type { ServerPeer } from '../peers/peer.ts';
import { everything } from './algorithms.ts';
import { makeFront, user } from './front.ts';

export const ourServer: ServerPeer = {
  name: 'our server',
  abilities: openSshServer.abilities,
  missing: async () => false,
  algorithms: async () => everything,
  start: async (options) => {
    const { signingKeys, transport, authentication, exchanges } = makeFront(options);
    const server = await startShellServer({ hostKeys: signingKeys, transport, authentication });
    const home = mkdtempSync(join(tmpdir(), 'our-server-'));
    return {
      host: '127.0.0.1',
      port: server.port,
      user,
      home,
      exchanges,
      log: () => server.failures.map(String).join('\n'),
      stop: async () => {
        await server.stop();
        rmSync(home, { recursive: true, force: true });
      },
    };
  },
};
