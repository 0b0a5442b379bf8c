/** Our client on every server. With BERTH_TEST_FULL=1 all of it, at its full length. */
import { after } from 'node:test';
import { ourClient } from './ours/client.ts';
import { serverPeers } from './peers/index.ts';
import { openSshServer } from './peers/openssh-server.ts';
import { makeIdentities } from './target.ts';
import { isWhole, tryClients } from './trial.ts';

const mebibyte = 1024 * 1024;
const identities = makeIdentities();
after(() => identities.remove());

for (const server of serverPeers) {
  await tryClients(server, [ourClient], {
    identities,
    everyKey: isWhole || server === openSshServer,
    combinations: Infinity,
    move: { bytes: (isWhole ? 256 : 64) * mebibyte, rekeyBytes: 16 * mebibyte },
    movers: isWhole || server === openSshServer ? [ourClient] : [],
    sessions: 100,
  });
}
