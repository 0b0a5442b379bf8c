/**
 * The peers themselves: every client on this machine's own sshd, and this machine's own ssh on every server. What
 * fails here is a peer, or how it is asked, and no matter of ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Case, casesFor, choices, exchangeWith, moveBytes } from './matrix.ts';
import { clientPeers, serverPeers } from './peers/index.ts';
import { openSshClient } from './peers/openssh-client.ts';
import { openSshServer } from './peers/openssh-server.ts';
import type { ClientPeer, RunningServer, ServerOptions, ServerPeer } from './peers/peer.ts';
import { type Target, certifyAll, makeIdentities, serverOptions } from './target.ts';

/** So much is enough to see several exchanges of keys. */
const bytes = 16 * 1024 * 1024;
const rekeyBytes = 4 * 1024 * 1024;
/** So many combinations of algorithms of each client; the clients begin at different ones. */
const rowCount = 4;

const identities = makeIdentities();
after(() => identities.remove());

await tryOn(openSshServer, clientPeers);
for (const server of serverPeers) if (server !== openSshServer) await tryOn(server, [openSshClient]);

async function tryOn(server: ServerPeer, clients: readonly ClientPeer[]): Promise<void> {
  const missing = await server.missing();
  if (missing !== false) return void describe(`clients on ${server.name}`, { skip: missing });
  const { abilities } = server;
  const algorithms = await server.algorithms();
  const pairs = await Promise.all(
    clients.map(async (client) => {
      const skip = await client.missing();
      const all = skip === false ? await casesFor(client, { abilities, algorithms }) : [];
      return { client, skip, cases: oneOfAKind(all, clientPeers.indexOf(client)) };
    }),
  );
  describe(`clients on ${server.name}`, () => {
    const servers: RunningServer[] = [];
    let target: Target;
    let restless: RunningServer | undefined;

    const start = async (options: Partial<ServerOptions> = {}): Promise<RunningServer> => {
      const started = await server.start({ ...serverOptions(identities), ...options });
      servers.push(started);
      return started;
    };

    before(async () => {
      const { host, port, user, home } = await start();
      const asking = abilities.has('sequence') ? await start({ methods: 'publickey,password' }) : undefined;
      if (abilities.has('rekey-up')) restless = await start({ rekeyBytes });
      certifyAll(identities, user);
      const sequencePort = asking?.port ?? port;
      target = { host, port, user, home, identities, abilities, algorithms, sequencePort };
    });

    after(() => Promise.all(servers.map((each) => each.stop())));

    for (const { client, skip, cases } of pairs) {
      describe(client.name, { skip }, () => {
        describe('does', { concurrency: 2 }, () => {
          for (const each of cases) it(each.name, () => each.run(client, target));
        });

        it('agrees on algorithms that both know', async (context) => {
          const rows = await choices(client, target);
          context.diagnostic(`${rowCount} of ${rows.length} combinations`);
          assert.ok(rows.length > 0);
          const start = clientPeers.indexOf(client) * rowCount;
          for (let index = 0; index < Math.min(rowCount, rows.length); index += 1) {
            await exchangeWith(client, target, rows[(start + index) % rows.length] ?? {});
          }
        });

        for (const direction of ['up', 'down'] as const) {
          if (!abilities.has(`rekey-${direction}`)) continue;
          it(`goes on when the server wants new keys, going ${direction}`, () =>
            move(client, target, restless, direction));
          if (!client.abilities.has(`rekey-${direction}`)) continue;
          it(`wants new keys itself, going ${direction}`, () =>
            move(client, target, servers[0], direction, rekeyBytes));
        }
      });
    }
  });
}

async function move(
  client: ClientPeer,
  target: Target,
  server: RunningServer | undefined,
  direction: 'up' | 'down',
  rekeyBytes?: number,
): Promise<void> {
  assert.ok(server !== undefined);
  const before = exchangesIn(server.log());
  const options = rekeyBytes === undefined ? { bytes } : { bytes, rekeyBytes };
  await moveBytes(client, { ...target, port: server.port }, direction, options);
  const count: number = exchangesIn(server.log()) - before;
  assert.ok(count > 3, `${count} exchanges of keys`);
}

/** Of cases of a kind only one, another for each `turn`. */
function oneOfAKind(cases: readonly Case[], turn: number): Case[] {
  const kinds = Map.groupBy(cases, ({ kind }) => kind);
  return cases.filter((each) => {
    const alike = kinds.get(each.kind) ?? [];
    return each.kind === undefined || alike.indexOf(each) === turn % alike.length;
  });
}

/** sshd says so each time that it has read the client's proposal. */
function exchangesIn(log: string): number {
  return log.match(/SSH2_MSG_KEXINIT received/g)?.length ?? 0;
}
