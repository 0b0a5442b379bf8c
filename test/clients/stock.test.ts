/**
 * The peers themselves: every client on this machine's own sshd, and this machine's own ssh on every server. What
 * fails here is a peer, or how it is asked, and no matter of ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { casesFor, choices, exchangeWith, moveBytes } from './matrix.ts';
import { clientPeers, serverPeers } from './peers/index.ts';
import { openSshClient } from './peers/openssh-client.ts';
import { openSshServer } from './peers/openssh-server.ts';
import type { ClientPeer, RunningServer, ServerPeer } from './peers/peer.ts';
import { type Target, certifyAll, makeIdentities, serverOptions } from './target.ts';

/** So much is enough to see several exchanges of keys. */
const bytes = 16 * 1024 * 1024;
const rekeyBytes = 4 * 1024 * 1024;

for (const peer of clientPeers) await tryPair(peer, openSshServer);
for (const peer of serverPeers) if (peer !== openSshServer) await tryPair(openSshClient, peer);

async function tryPair(client: ClientPeer, server: ServerPeer): Promise<void> {
  const skip = (await server.missing()) || (await client.missing());
  const name = `${client.name} on ${server.name}`;
  if (skip !== false) return void describe(name, { skip });
  const algorithms = await server.algorithms();
  const cases = await casesFor(client, { abilities: server.abilities, algorithms });
  describe(name, () => {
    const identities = makeIdentities();
    const servers: RunningServer[] = [];
    let target: Target;

    const start = async (options: Partial<Parameters<ServerPeer['start']>[0]> = {}): Promise<RunningServer> => {
      const started = await server.start({ ...serverOptions(identities), ...options });
      servers.push(started);
      return started;
    };

    before(async () => {
      const { host, port, user, home } = await start();
      const { abilities } = server;
      const asking = abilities.has('sequence') ? await start({ methods: 'publickey,password' }) : undefined;
      certifyAll(identities, user);
      target = {
        ...{ host, port, user, home, identities, abilities, algorithms },
        sequencePort: asking?.port ?? port,
      };
    });

    after(async () => {
      for (const each of servers) await each.stop();
      identities.remove();
    });

    for (const each of cases) it(each.name, () => each.run(client, target));

    it('agrees on each algorithm that both know', async (context) => {
      const rows = await choices(client, target);
      context.diagnostic(`${rows.length} connections`);
      assert.ok(rows.length > 0);
      for (const row of rows) await exchangeWith(client, target, row);
    });

    it('exchanges keys anew under way, in either direction', { skip: !server.abilities.has('rekey') }, async () => {
      // The server begins where it counts the bytes itself, else the client must.
      const restless = await start({ rekeyBytes });
      const calm = await start();
      for (const { port, log } of client.abilities.has('rekey') ? [restless, calm] : [restless]) {
        for (const direction of ['up', 'down'] as const) {
          const before = exchangesIn(log());
          await moveBytes(client, { ...target, port }, direction, { bytes, rekeyBytes });
          assert.ok(exchangesIn(log()) - before > 3, `${direction}: ${exchangesIn(log()) - before}\n${log()}`);
        }
      }
    });
  });
}

/** sshd says so each time that it has read the client's proposal. */
function exchangesIn(log: string): number {
  return log.match(/SSH2_MSG_KEXINIT received/g)?.length ?? 0;
}
