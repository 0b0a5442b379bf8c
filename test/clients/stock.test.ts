/**
 * The peers themselves: every client on this machine's own sshd, and this machine's own ssh on every server. What
 * fails here is a peer, or how it is asked, and no matter of ours.
 */
import { after } from 'node:test';
import { clientPeers, serverPeers } from './peers/index.ts';
import { openSshClient } from './peers/openssh-client.ts';
import { openSshServer } from './peers/openssh-server.ts';
import { makeIdentities } from './target.ts';
import { tryClients } from './trial.ts';

const mebibyte = 1024 * 1024;
const identities = makeIdentities();
after(() => identities.remove());

const trial = {
  identities,
  everyKey: false,
  combinations: 4,
  // So much is enough to see several exchanges of keys.
  move: { bytes: 16 * mebibyte, rekeyBytes: 4 * mebibyte },
  movers: clientPeers,
};
await tryClients(openSshServer, clientPeers, trial);
for (const server of serverPeers) {
  if (server !== openSshServer) await tryClients(server, [openSshClient], trial);
}
