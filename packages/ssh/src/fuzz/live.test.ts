// Mutated bytes over real sockets to a gateway, in each state of a connection: before the key exchange, in it, in
// authentication and after it. Each connection ends or still answers, nothing of it is left behind, and then somebody
// else logs in as if nothing had been.
//
//   FUZZ_SEED=1 node --test packages/ssh/src/fuzz/live.test.ts     the run of a seed again, as far as sockets allow
//   npm run soak -- live                                           10,000 connections in each state

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { after, before, describe, test, type TestContext } from 'node:test';
import { runInNewContext } from 'node:vm';
import { ServerAuthentication } from '../authentication/server.ts';
import { Connection } from '../connection/connection.ts';
import { dial } from '../dial.ts';
import { type Gateway, decide, gatewayPassword, startGateway } from '../testing/gateway.ts';
import { HandPeer, testHostKey } from '../testing/hand-peer.ts';
import { message } from '../transport/messages.ts';
import { Transport } from '../transport/transport.ts';
import { Writer } from '../wire.ts';
import { Random, mutate } from './mutation.ts';
import { readCorpus } from './session-file.ts';

const isFull = process.env['BERTH_TEST_FULL'] !== undefined;
const connectionsOfState = isFull ? 10_000 : 300;
const atOnce = 20;
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** Nothing here waits longer but by a fault. */
const longestMs = 10_000;

const payloads = readCorpus().flatMap(({ entries }) =>
  entries.filter(({ from }) => from === 'client').map(({ payload }) => payload),
);
const isOfLogin = ([number = 0]: Buffer): boolean => number < message.globalRequest;
const login = payloads.filter(isOfLogin);
const channels = payloads.filter((payload) => !isOfLogin(payload));

const ping = new Writer().byte(message.ping).string('still there?').toBuffer();
const serviceRequest = new Writer().byte(message.serviceRequest).string('ssh-userauth').toBuffer();
const password = new Writer()
  .byte(message.userauthRequest)
  .string('somebody')
  .string('ssh-connection')
  .string('password')
  .boolean(false)
  .string(gatewayPassword)
  .toBuffer();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

type Attack = (peer: HandPeer, random: Random) => Promise<void>;

/** Each brings its connection into a state and leaves it there, with mutated bytes behind it. */
const states: Record<string, Attack> = {
  'before the key exchange': async (peer, random) => {
    peer.isGathering = true;
    peer.identify();
    peer.sendKexInit();
    peer.isGathering = false;
    const [line, kexInit] = [Buffer.from('SSH-2.0-Stranger_1.0\r\n'), peer.ownKexInit];
    const bytes = random.below(2) === 0 ? [mutate(line, random, payloads), peer.seal(kexInit)] : [line];
    if (bytes.length === 1) bytes.push(mutate(peer.seal(kexInit), random, payloads));
    peer.socket.write(Buffer.concat(bytes));
  },
  'in the key exchange': async (peer, random) => {
    peer.identify();
    await peer.receiveIdentification();
    const place = random.below(3);
    peer.sendKexInit();
    if (place === 0) peer.send(mutate(peer.ownKexInit, random, payloads));
    if ((await peer.receiveKexInit()) === false) return;
    const share = peer.shareMessage();
    if (place === 1) {
      peer.send(mutate(share, random, payloads));
      return;
    }
    peer.send(share);
    await peer.receiveReply();
    peer.write(mutate(peer.seal(Buffer.from([message.newKeys])), random, payloads));
  },
  'in authentication': async (peer, random) => {
    await peer.exchangeKeys();
    if (random.below(4) > 0) peer.send(serviceRequest);
    for (let count = 0; count < 5; count += 1) {
      const payload = random.of(login);
      peer.send(random.below(3) === 0 ? payload : mutate(payload, random, payloads));
    }
    peer.send(ping);
  },
  'after authentication': async (peer, random) => {
    await peer.exchangeKeys();
    peer.send(serviceRequest, password);
    if ((await peer.receiveNumber(message.userauthSuccess)) === undefined) return;
    for (let count = 0; count < 10; count += 1) {
      const payload = random.of(channels);
      peer.send(random.below(3) > 0 ? payload : mutate(payload, random, payloads));
    }
    if (random.below(4) === 0) {
      // What is not what it was sealed as.
      peer.write(mutate(peer.seal(random.of(channels)), random, payloads));
    }
    peer.send(ping);
  },
};

/** A server that gives whoever has any key, or the password, a program that echoes. */
async function startUpstream() {
  const server = createServer((socket) => {
    const transport = Transport.server(socket, { hostKeys: [testHostKey] });
    const serve = async (): Promise<void> => {
      await transport.established;
      const methods = ['password'] as const;
      const refused = () => ({ outcome: 'refuse' }) as const;
      await new ServerAuthentication(transport, { methods, decide, refused }).result;
      const connection = new Connection(transport, {
        session: ({ channel }) => ({ exec: () => channel.pipe(channel) !== undefined, shell: () => true }),
        forward: (_forward, channel) => void channel.pipe(channel),
      });
      transport.handle(connection);
    };
    serve().catch(() => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, stop: () => new Promise((resolve) => server.close(resolve)) };
}

describe('mutated bytes do no harm to a gateway', () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let gateway: Gateway;
  const log: string[] = [];
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({
      hostKeys: [testHostKey],
      upstream: {
        ...upstream,
        user: 'somebody',
        credentials: [{ method: 'password', password: gatewayPassword }],
        hostKey: testHostKey.blob,
      },
      ended: (error) => log.push(error?.message ?? ''),
    });
    process.on('uncaughtException', note);
    process.on('unhandledRejection', note);
  });

  after(async () => {
    await gateway.stop();
    await upstream.stop();
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  });

  async function attack(act: Attack, random: Random): Promise<void> {
    const socket = connect(gateway.port, gateway.host);
    await once(socket, 'connect');
    const peer = new HandPeer(socket, 'client');
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error('The connection neither ended nor answered.')),
      longestMs,
    );
    try {
      const deed = async (): Promise<void> => {
        await act(peer, random);
        // A pong, or the end; where there are no keys yet, the end of what is sent must be enough.
        if (peer.hasKeys) await peer.receiveNumber(message.pong);
        socket.end();
        await peer.closed;
      };
      // What this side cannot read or make any more is no fault of the gateway's, as long as it ends.
      const ended = deed().catch(async () => {
        socket.end();
        await peer.closed;
      });
      await Promise.race([ended, late.promise]);
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  }

  async function goodLogin(): Promise<void> {
    const transport = await dial({
      ...gateway,
      user: 'somebody',
      credentials: [{ method: 'password', password: gatewayPassword }],
      hostKey: testHostKey.blob,
    });
    const connection = new Connection(transport);
    transport.handle(connection);
    const session = await connection.session();
    await session.exec('cat');
    session.channel.end('as ever');
    const chunks: Buffer[] = [];
    for await (const chunk of session.channel) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), 'as ever');
    connection.disconnect('done');
  }

  async function footprint(): Promise<{ heapBytes: number; handles: number }> {
    const until = Date.now() + longestMs;
    // The last connections have a second to close.
    while (gateway.connections() > 0 && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(gateway.connections(), 0, 'connections are left');
    const servers = (): string[] => process.getActiveResourcesInfo();
    while (servers().includes('TCPSocketWrap') && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // What is freed outside of the heap is known a turn later.
    for (let round = 0; round < 3; round += 1) {
      collectGarbage();
      await new Promise(setImmediate);
    }
    const { heapUsed, external } = process.memoryUsage();
    return { heapBytes: heapUsed + external, handles: servers().length };
  }

  async function run(context: TestContext, name: string, act: Attack): Promise<void> {
    context.diagnostic(`FUZZ_SEED=${seed}`);
    const random = new Random(seed);
    const batch = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += atOnce) {
        const randoms = Array.from({ length: atOnce }, () => new Random(random.below(2 ** 32)));
        await Promise.all(randoms.map((each) => attack(act, each)));
        assert.deepEqual(failures, [], `${name}: something was thrown`);
      }
    };
    await goodLogin();
    await batch(connectionsOfState / 3);
    const before = await footprint();
    await batch((connectionsOfState * 2) / 3);
    await goodLogin();
    const after = await footprint();
    const grownBytes = after.heapBytes - before.heapBytes;
    context.diagnostic(`heap grown by ${grownBytes} bytes`);
    assert.ok(grownBytes < 4 * 1024 * 1024, `the heap grew by ${grownBytes} bytes`);
    // One or two may be the test runner's.
    assert.ok(after.handles <= before.handles + 2, `${after.handles} handles after ${before.handles}`);
    for (const line of log.splice(0)) {
      assert.match(line, /^[^\p{Cc}]*$/u);
      assert.doesNotMatch(line, /^Internal error/);
    }
  }

  for (const [name, act] of Object.entries(states)) test(name, (context) => run(context, name, act));
});
