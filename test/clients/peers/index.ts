/** Every peer there is. */
import { dropbearClient, dropbearServer } from './dropbear.ts';
import { golangClient } from './golang.ts';
import { imageOpenSshClient, openSshClient } from './openssh-client.ts';
import { imageOpenSshServer, openSshServer } from './openssh-server.ts';
import { jschClient } from './jsch.ts';
import { libssh2Client } from './libssh2.ts';
import type { ClientPeer, ServerPeer } from './peer.ts';
import { asyncSshClient, paramikoClient } from './python.ts';

export const clientPeers: readonly ClientPeer[] = [
  openSshClient,
  imageOpenSshClient,
  dropbearClient,
  golangClient,
  paramikoClient,
  asyncSshClient,
  jschClient,
  libssh2Client,
];

export const serverPeers: readonly ServerPeer[] = [openSshServer, imageOpenSshServer, dropbearServer];
