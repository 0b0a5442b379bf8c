/**
 * Every client through our relay to stock servers, the two legs with the same cipher and with different ones. With
 * BERTH_TEST_FULL=1 all of it, at its full length.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { moveBytes } from './matrix.ts';
import { type RunningRelay, relayTo } from './ours/relay.ts';
import { golangClient } from './peers/golang.ts';
import { clientPeers } from './peers/index.ts';
import { openSshClient } from './peers/openssh-client.ts';
import { imageOpenSshServer, openSshServer } from './peers/openssh-server.ts';
import { recorded } from './results.ts';
import { type Target, makeIdentities, serverOptions } from './target.ts';
import { isWhole, tryClients } from './trial.ts';

const mebibyte = 1024 * 1024;
const identities = makeIdentities();
after(() => identities.remove());

const move = { bytes: (isWhole ? 256 : 64) * mebibyte, rekeyBytes: 16 * mebibyte };
const trial = {
  identities,
  everyKey: isWhole,
  combinations: isWhole ? Infinity : 2,
  move,
  movers: isWhole ? clientPeers : [golangClient],
  sessions: 100,
};
/** The clients that are tried with the later server and with two ciphers; what that changes is in our legs. */
const few = isWhole ? clientPeers : [openSshClient];
await tryClients(relayTo(openSshServer, identities, { hasSameCipher: true }), clientPeers, trial);
for (const [upstream, hasSameCipher] of [
  [openSshServer, false],
  [imageOpenSshServer, true],
  [imageOpenSshServer, false],
] as const) {
  if (!isWhole && upstream === imageOpenSshServer && hasSameCipher) continue;
  await tryClients(relayTo(upstream, identities, { hasSameCipher }), few, {
    ...trial,
    movers: isWhole ? few : [],
  });
}

const skip = (await openSshServer.missing()) || (await openSshClient.missing());
describe('a relay whose leg to the server alone wants new keys', { skip }, () => {
  const { rekeyBytes } = move;
  const server = relayTo(openSshServer, identities, { hasSameCipher: true, upstreamRekeyBytes: rekeyBytes });
  let running: RunningRelay | undefined;
  let target: Target;

  before(async () => {
    running = await server.start(serverOptions(identities));
    const { host, port, user, home } = running;
    const [algorithms, { abilities }] = [await server.algorithms(), server];
    target = { host, port, user, home, identities, abilities, algorithms, sequencePort: port };
  });
  after(() => running?.stop());

  for (const direction of ['up', 'down'] as const) {
    const name = `carries everything ${direction}, and asks the client for none`;
    it(name, () =>
      recorded({ server, client: openSshClient }, [name], async () => {
        assert.ok(running !== undefined);
        const [inner, outer] = [running.upstreamExchanges(), running.exchanges?.() ?? 0];
        await moveBytes(openSshClient, target, direction, { bytes: move.bytes });
        const count: number = running.upstreamExchanges() - inner;
        assert.ok(count >= move.bytes / rekeyBytes, `${count} exchanges of keys`);
        assert.equal((running.exchanges?.() ?? 0) - outer, 1);
      }),
    );
  }
});
