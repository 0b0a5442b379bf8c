/** Every peer there is. */
import { dropbearClient, dropbearServer } from './dropbear.ts';
import { golangClient } from './golang.ts';
import { imageOpenSshClient, openSshClient } from './openssh-client.ts';
import { imageOpenSshServer, openSshServer } from './openssh-server.ts';
import type { ClientPeer, ServerPeer } from './peer.ts';
import { asyncSshClient, paramikoClient } from './python.ts';

export const clientPeers: readonly ClientPeer[] = [
  openSshClient,
  imageOpenSshClient,
  dropbearClient,
  golangClient,
  paramikoClient,
  asyncSshClient,
];

export const serverPeers: readonly ServerPeer[] = [openSshServer, imageOpenSshServer, dropbearServer];
