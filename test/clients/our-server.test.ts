/** Every client on our server, which gives each a shell. With BERTH_TEST_FULL=1 all of it, at its full length. */
import { after } from 'node:test';
import { ourServer } from './ours/server.ts';
import { golangClient } from './peers/golang.ts';
import { clientPeers } from './peers/index.ts';
import { openSshClient } from './peers/openssh-client.ts';
import { makeIdentities } from './target.ts';
import { isWhole, tryClients } from './trial.ts';

const mebibyte = 1024 * 1024;
const identities = makeIdentities();
after(() => identities.remove());

await tryClients(ourServer, clientPeers, {
  identities,
  everyKey: isWhole,
  combinations: isWhole ? Infinity : 4,
  move: { bytes: (isWhole ? 256 : 64) * mebibyte, rekeyBytes: 16 * mebibyte },
  movers: isWhole ? clientPeers : [openSshClient, golangClient],
  sessions: 100,
});
