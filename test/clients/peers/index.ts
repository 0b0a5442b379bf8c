/** Every peer there is. */
import { dropbearClient, dropbearServer } from './dropbear.ts';
import { imageOpenSshClient, openSshClient } from './openssh-client.ts';
import { imageOpenSshServer, openSshServer } from './openssh-server.ts';
import type { ClientPeer, ServerPeer } from './peer.ts';

export const clientPeers: readonly ClientPeer[] = [openSshClient, imageOpenSshClient, dropbearClient];

export const serverPeers: readonly ServerPeer[] = [openSshServer, imageOpenSshServer, dropbearServer];
