// Mutated packets, as they are after decryption, for authentication, the connection layer and the relay: sessions of
// stock clients and servers (session-file.ts) with payloads changed, left out, repeated and mixed. Nothing may throw
// but what ends that connection, every connection ends or still answers, and nothing of it is left behind.
//
//   FUZZ_SEED=1 node --test packages/ssh/src/fuzz/packets.test.ts     the run of a seed again
//   npm run soak -- packets                                           a million mutated packets

import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { describe, test, type TestContext } from 'node:test';
import { runInNewContext } from 'node:vm';
import { ServerAuthentication } from '../authentication/server.ts';
import { Connection } from '../connection/connection.ts';
import { Relay } from '../relay/relay.ts';
import { WindowBudget } from '../window-budget.ts';
import { decide } from '../testing/gateway.ts';
import { PairedTransport, transportPair } from '../testing/transport-pair.ts';
import { message } from '../transport/messages.ts';
import type { PacketTransport } from '../transport/packet-transport.ts';
import { Writer } from '../wire.ts';
import { Random, mutateSession } from './mutation.ts';
import { type Entry, type RecordedSession, readCorpus, writeSession } from './session-file.ts';

const isFull = process.env['BERTH_TEST_FULL'] !== undefined;
const mutatedPackets = isFull ? 250_000 : 5_000;
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

const sessions = readCorpus();
const corpus = sessions.flatMap(({ entries }) => entries.map(({ payload }) => payload));

const question = new Writer().byte(message.globalRequest).string('still-there@test').boolean(true).toBuffer();
const refusal = Buffer.from([message.requestFailure]);

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

/** The far end of a transport: notes how many answers came, and refuses what it is asked for. */
class FarEnd {
  readonly transport: PairedTransport;
  answers = 0;

  constructor(transport: PairedTransport) {
    this.transport = transport;
    transport.handle({
      packet: (payload) => {
        const number = payload[0];
        if (number === message.globalRequest) {
          const wantsReply = payload[5 + payload.readUInt32BE(1)];
          if (wantsReply !== 0) transport.send(refusal);
        } else if (number !== message.channelWindowAdjust) {
          this.answers += 1;
        }
      },
      closed: () => {},
    });
  }

  /** Whether it is over, or a question is answered. */
  async isOverOrAnswers(payload = question): Promise<boolean> {
    await turns(3);
    const before = this.answers;
    this.transport.send(payload);
    for (let turn = 0; turn < 50; turn += 1) {
      if (this.transport.end !== undefined || this.answers > before) return true;
      await turns(1);
    }
    return false;
  }
}

const isOfLogin = ({ payload }: Entry): boolean => (payload[0] ?? 0) < message.globalRequest;

interface Target {
  readonly takes: (entry: Entry) => boolean;
  /** Plays a session; returns whether the connection was over or usable afterwards. */
  readonly play: (entries: readonly Entry[]) => Promise<boolean>;
}

/** A server that gives each session what it asks for, and each forwarded connection back what it sends. */
function serveChannels(transport: PacketTransport): void {
  const connection = new Connection(transport, {
    session: (session) => ({
      pty: () => true,
      environment: () => true,
      shell: () => true,
      exec: () => {
        session.channel.pipe(session.channel);
        session.channel.on('finish', () => session.exit(0));
        return true;
      },
      subsystem: () => {
        session.channel.resume();
        return Promise.resolve(true);
      },
      x11: () => false,
      agent: () => true,
    }),
    forward: (_forward, channel) => void channel.pipe(channel),
    listen: (place) => ('port' in place ? { ...place, port: 1024 } : place),
    unlisten: () => true,
  });
  transport.handle(connection);
}

const targets: Record<string, Target> = {
  'the server of authentication': {
    takes: (entry) => entry.from === 'client',
    play: async (entries) => {
      const { client, server } = transportPair();
      const authentication = new ServerAuthentication(server, {
        methods: ['publickey', 'password', 'keyboard-interactive'],
        decide,
        refused: () => ({ outcome: 'refuse' }),
      });
      let isIn = false;
      const serve = async (): Promise<void> => {
        await authentication.result;
        isIn = true;
        serveChannels(server);
      };
      serve().catch(() => {});
      const far = new FarEnd(client);
      for (const { payload } of entries) client.send(payload);
      await turns(10);
      const service = new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer();
      const isFine = await far.isOverOrAnswers(isIn ? question : service);
      client.break();
      await turns(2);
      return isFine;
    },
  },

  'the server of the connection layer': {
    takes: (entry) => entry.from === 'client' && !isOfLogin(entry),
    play: async (entries) => {
      const { client, server } = transportPair();
      serveChannels(server);
      const far = new FarEnd(client);
      for (const { payload } of entries) client.send(payload);
      await turns(5);
      const isFine = await far.isOverOrAnswers();
      client.break();
      await turns(2);
      return isFine;
    },
  },

  'the client of the connection layer': {
    takes: (entry) => entry.from === 'upstream' && !isOfLogin(entry),
    play: async (entries) => {
      const { client, server } = transportPair();
      const connection = new Connection(client, {
        forward: (_forward, channel) => void channel.pipe(channel),
      });
      client.handle(connection);
      const far = new FarEnd(server);
      const asked = [
        connection.session().then((session) => session.exec('true')),
        connection.listen({ host: '', port: 0 }),
      ];
      for (const promise of asked) promise.catch(() => {});
      await turns(2);
      for (const { payload } of entries) server.send(payload);
      await turns(5);
      const isFine = await far.isOverOrAnswers();
      server.break();
      await turns(2);
      return isFine;
    },
  },

  'the relay': {
    takes: (entry) => !isOfLogin(entry),
    play: async (entries) => {
      const [outer, inner] = [transportPair(), transportPair()];
      const budget = new WindowBudget(16 * 1024 * 1024);
      const relay = new Relay(outer.server, inner.client, { budget, maximumChannels: 20 });
      const [client, upstream] = [new FarEnd(outer.client), new FarEnd(inner.server)];
      let last = entries[0]?.from;
      for (const { from, payload } of entries) {
        // What one side says is an answer to the other's.
        if (from !== last) await turns(2);
        last = from;
        (from === 'client' ? client : upstream).transport.send(payload);
      }
      await turns(5);
      const isFine = await client.isOverOrAnswers();
      outer.client.break();
      inner.server.break();
      await relay.ended;
      await turns(2);
      assert.equal(budget.takenBytes, 0, 'windows were not given back');
      assert.deepEqual(relay.channels, []);
      return isFine;
    },
  },
};

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function footprint(): Promise<{ heapBytes: number; handles: number }> {
  await turns(10);
  collectGarbage();
  await turns(2);
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return { heapBytes: heapUsed + external, handles: process.getActiveResourcesInfo().length };
}

async function fuzz(context: TestContext, { takes, play }: Target): Promise<void> {
  context.diagnostic(`FUZZ_SEED=${seed}`);
  const random = new Random(seed);
  let current: readonly Entry[] = [];
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  const tryOut = async (entries: readonly Entry[]): Promise<void> => {
    current = entries;
    if (!(await play(entries))) failures.push(new Error('The connection neither ended nor answered.'));
    const [failure] = failures;
    if (failure === undefined) return;
    const file = writeSession({ name: `finding-${seed}`, entries: current });
    throw new Error(`Found with FUZZ_SEED=${seed}, kept in ${file}`, { cause: failure });
  };
  try {
    const chosen: RecordedSession[] = sessions
      .map(({ name, entries }) => ({ name, entries: entries.filter(takes) }))
      .filter(({ entries }) => entries.length > 0);
    for (const { entries } of chosen) await tryOut(entries);
    let before = await footprint();
    let count = 0;
    let rounds = 0;
    while (count < mutatedPackets) {
      const { entries, mutated } = mutateSession(random.of(chosen), random, corpus);
      await tryOut(entries);
      count += mutated;
      rounds += 1;
      // By then everything that is made once is there.
      if (rounds === 300) before = await footprint();
    }
    const after = await footprint();
    const grownBytes = after.heapBytes - before.heapBytes;
    context.diagnostic(`${count} mutated packets in ${rounds} sessions, heap grown by ${grownBytes} bytes`);
    assert.ok(grownBytes < 4 * 1024 * 1024, `the heap grew by ${grownBytes} bytes`);
    assert.ok(after.handles <= before.handles, `${after.handles} handles after ${before.handles}`);
  } finally {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  }
}

describe('mutated packets do no harm to', () => {
  for (const [name, target] of Object.entries(targets)) test(name, (context) => fuzz(context, target));
});
