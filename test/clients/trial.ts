/** Clients on a server: the cases, combinations of algorithms and exchanges of keys that each is tried with. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Case, type Unable, choices, exchangeWith, moveBytes, runAtOnce, sortCases } from './matrix.ts';
import { clientPeers } from './peers/index.ts';
import type { Choice, ClientPeer, RunningServer, ServerOptions, ServerPeer } from './peers/peer.ts';
import { record, recorded } from './results.ts';
import { type Identities, type Target, certifyAll, serverOptions } from './target.ts';

export interface Trial {
  readonly identities: Identities;
  /** Every type of key with every client, or each client with another one. */
  readonly everyKey: boolean;
  /** So many combinations of algorithms of each client; the clients begin at different ones. */
  readonly combinations: number;
  /** How much is moved each way, with new keys under way. */
  readonly move: { readonly bytes: number; readonly rekeyBytes: number };
  /** Those with which it is. */
  readonly movers: readonly ClientPeer[];
  /** Sessions at once on one connection, beyond the ten of the cases. */
  readonly sessions?: number;
}

/** Whether everything is tried, at its full length. */
export const isWhole = process.env['BERTH_TEST_FULL'] === '1';

/** Cases of each client that are under way together; the machine has not many cores. */
const concurrency = 3;

/** Describes the tests, once it is known which there are. */
export async function tryClients(
  server: ServerPeer,
  clients: readonly ClientPeer[],
  trial: Trial,
): Promise<void> {
  const { identities, combinations, move, movers, sessions } = trial;
  const missing = await server.missing();
  if (missing !== false) return void describe(`clients on ${server.name}`, { skip: missing });
  const { abilities } = server;
  const algorithms = await server.algorithms();
  const pairs = await Promise.all(clients.map((client) => sort(client, { abilities, algorithms })));
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
      if (abilities.has('rekey-up')) restless = await start({ rekeyBytes: move.rekeyBytes });
      certifyAll(identities, user);
      const sequencePort = asking?.port ?? port;
      target = { host, port, user, home, identities, abilities, algorithms, sequencePort };
    });

    after(() => Promise.all(servers.map((each) => each.stop())));

    for (const { client, skip, able, unable } of pairs) {
      const pair = { server, client };
      const see = (subject: string, run: () => Promise<void>): Promise<void> =>
        recorded(pair, [subject], run);
      describe(client.name, { skip }, () => {
        before(() =>
          record(
            ...unable.map(({ name, lacks }) => ({
              server: server.name,
              client: client.name,
              subject: name,
              outcome: 'not able' as const,
              lacks,
            })),
          ),
        );

        describe('does', { concurrency }, () => {
          const cases = trial.everyKey ? able : oneOfAKind(able, turnOf(client));
          for (const each of cases) it(each.name, () => see(each.name, () => each.run(client, target)));
        });

        it('agrees on algorithms that both know', async (context) => {
          const rows = await choices(client, target);
          const count = Math.min(combinations, rows.length);
          context.diagnostic(`${count} of ${rows.length} combinations`);
          assert.ok(rows.length > 0);
          const first = turnOf(client) * combinations;
          const chosen = Array.from(
            { length: count },
            (_, index) => rows[(first + index) % rows.length] ?? {},
          );
          await inTurns(chosen, (choice) =>
            recorded(pair, subjectsOf(choice), () => exchangeWith(client, target, choice)),
          );
        });

        if (sessions !== undefined && client.abilities.has('parallel') && abilities.has('parallel')) {
          const name = `runs ${sessions} sessions at once on one connection`;
          it(name, () => see(name, () => runAtOnce(client, target, sessions)));
        }

        if (!movers.includes(client)) return;
        for (const direction of ['up', 'down'] as const) {
          if (!abilities.has(`rekey-${direction}`)) continue;
          const asked = `goes on when the server wants new keys, going ${direction}`;
          it(asked, () => see(asked, () => moveAnew(client, target, restless, direction, move)));
          if (!client.abilities.has(`rekey-${direction}`)) continue;
          const asking = `wants new keys itself, going ${direction}`;
          it(asking, () =>
            see(asking, () => moveAnew(client, target, servers[0], direction, move, move.rekeyBytes)),
          );
        }
      });
    }
  });
}

/** Moves bytes, and sees that keys were exchanged as often as that asks for. */
async function moveAnew(
  client: ClientPeer,
  target: Target,
  server: RunningServer | undefined,
  direction: 'up' | 'down',
  { bytes, rekeyBytes }: Trial['move'],
  clientRekeyBytes?: number,
): Promise<void> {
  assert.ok(server?.exchanges !== undefined);
  const before = server.exchanges();
  const options = clientRekeyBytes === undefined ? { bytes } : { bytes, rekeyBytes: clientRekeyBytes };
  await moveBytes(client, { ...target, port: server.port }, direction, options);
  const count: number = server.exchanges() - before;
  // What is under way while keys are exchanged counts for neither the old ones nor the new.
  const expected = Math.floor((0.75 * bytes) / rekeyBytes);
  assert.ok(count >= expected, `${count} exchanges of keys, at least ${expected} expected`);
}

async function sort(
  client: ClientPeer,
  target: Pick<Target, 'abilities' | 'algorithms'>,
): Promise<{ client: ClientPeer; skip: string | false; able: Case[]; unable: Unable[] }> {
  const skip = await client.missing();
  return { client, skip, ...(skip === false ? await sortCases(client, target) : { able: [], unable: [] }) };
}

function turnOf(client: ClientPeer): number {
  return Math.max(clientPeers.indexOf(client), 0);
}

/** Of cases of a kind only one, another for each `turn`. */
function oneOfAKind(cases: readonly Case[], turn: number): Case[] {
  const kinds = Map.groupBy(cases, ({ kind }) => kind);
  return cases.filter((each) => {
    const alike = kinds.get(each.kind) ?? [];
    return each.kind === undefined || alike.indexOf(each) === turn % alike.length;
  });
}

function subjectsOf(choice: Choice): string[] {
  const names = { kex: 'key exchange', hostKey: 'host key', cipher: 'cipher', mac: 'MAC' } as const;
  return Object.entries(choice).map(([kind, name]) => `${names[kind as keyof Choice]} ${name}`);
}

/** A few at a time. */
async function inTurns<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
