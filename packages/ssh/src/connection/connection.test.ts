// Both roles of the connection protocol against each other, in memory.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateSigningKey } from '../keys/signing-key.ts';
import { WindowBudget } from '../window-budget.ts';
import { type PairedTransport, transportPair } from '../testing/transport-pair.ts';
import { message } from '../transport/messages.ts';
import { ProtocolError, TransportError } from '../transport/transport-error.ts';
import { Writer } from '../wire.ts';
import type { Channel } from './channel.ts';
import { ChannelError, ChannelOpenError, openFailureReason } from './channel-error.ts';
import { Connection, type ConnectionHandlers, type ConnectionOptions } from './connection.ts';
import { type Forward, type Place, join } from './forwarding.ts';
import type { Session, SessionHandler } from './session.ts';

interface Ends {
  readonly client: PairedTransport;
  readonly server: PairedTransport;
  readonly clientEnd: Connection;
  readonly serverEnd: Connection;
}

interface Setting {
  readonly server?: ConnectionHandlers;
  readonly client?: ConnectionHandlers;
  readonly options?: ConnectionOptions;
}

function start({ server = {}, client = {}, options = {} }: Setting): Ends {
  const pair = transportPair();
  const throwing = { failed: (error: unknown) => assert.fail(String(error)) };
  const serverEnd = new Connection(pair.server, { ...throwing, ...server }, options);
  const clientEnd = new Connection(pair.client, { ...throwing, ...client }, options);
  pair.server.handle(serverEnd);
  pair.client.handle(clientEnd);
  return { ...pair, clientEnd, serverEnd };
}

/** Sessions whose `exec` is answered by a program that is given the session. */
function programs(program: (session: Session, command: string) => void): ConnectionHandlers {
  return {
    session: (session) => ({
      exec: (command) => {
        program(session, command.toString());
        return true;
      },
    }),
  };
}

const direct: Forward = {
  type: 'direct-tcpip',
  host: 'db',
  port: 5432,
  originHost: '127.0.0.1',
  originPort: 9,
};

/** A turn of the event loop that both transports had to deliver in. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

function windows(initialBytes: number, maximumBytes = initialBytes): ConnectionOptions {
  return { windows: { initialBytes, maximumBytes, budget: new WindowBudget(2 ** 40) } };
}

async function violation(ends: Ends): Promise<TransportError | undefined> {
  await settled();
  return ends.server.end;
}

test('a program gets its input and gives its output, its errors and its exit status', async () => {
  const { clientEnd, serverEnd } = start({
    server: programs((session, command) => {
      session.stderr.end(`errors of ${command}`);
      session.channel.pipe(session.channel);
      session.channel.on('finish', () => session.exit(7));
    }),
  });
  const session = await clientEnd.session();
  await session.exec('cat');
  session.channel.end('input');
  assert.deepEqual(await Promise.all([text(session.channel), text(session.stderr)]), [
    'input',
    'errors of cat',
  ]);
  assert.deepEqual(await session.exited, { status: 7 });
  await settled();
  assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
});

test('a client that closes at the end of the output still learns the exit status', async () => {
  let exit = (): void => assert.fail('not started');
  let isClosed = false;
  const { clientEnd, serverEnd } = start({
    server: {
      session: (session) => ({
        exec: () => {
          session.stderr.end();
          session.channel.resume().end('output');
          exit = () => session.exit(7);
          return true;
        },
        closed: () => (isClosed = true),
      }),
    },
  });
  const session = await clientEnd.session();
  await session.exec('program');
  session.stderr.resume();
  session.channel.end();
  assert.equal(await text(session.channel), 'output');
  session.close();
  await settled();
  assert.equal(isClosed, false);
  exit();
  assert.deepEqual(await session.exited, { status: 7 });
  await settled();
  assert.equal(isClosed, true);
  assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
});

test('a connection that ends while a program owes its exit status tells its owner', async () => {
  const closed = Promise.withResolvers<Error | undefined>();
  const { client, clientEnd, serverEnd } = start({
    server: {
      session: (session) => ({
        exec: () => {
          session.channel.resume().end();
          return true;
        },
        closed: closed.resolve,
      }),
    },
  });
  const session = await clientEnd.session();
  await session.exec('program');
  session.channel.resume().end();
  await once(session.channel, 'end');
  session.close();
  await settled();
  client.disconnect(11, 'gone');
  assert.ok(await closed.promise);
  await settled();
  assert.equal(serverEnd.channelCount, 0);
});

test('all that a client may ask of a session reaches its owner', async () => {
  const seen: unknown[] = [];
  const note =
    (name: string) =>
    (...values: unknown[]): boolean => {
      seen.push([name, ...values.map((value) => (Buffer.isBuffer(value) ? value.toString() : value))]);
      return true;
    };
  const over = Promise.withResolvers<void>();
  const handler: SessionHandler = {
    pty: note('pty'),
    environment: note('environment'),
    shell: note('shell'),
    windowChange: note('windowChange'),
    signal: note('signal'),
    break: note('break'),
    x11: note('x11'),
    agent: note('agent'),
    closed: () => over.resolve(),
  };
  const { clientEnd } = start({ server: { session: () => handler } });
  const session = await clientEnd.session();
  const size = { columns: 80, rows: 24, widthPixels: 640, heightPixels: 480 };
  const pty = { term: 'xterm', ...size, modes: { ECHO: 1, VINTR: 3, TTY_OP_OSPEED: 38400 } };
  const x11 = { isSingleConnection: true, protocol: 'MIT-MAGIC-COOKIE-1', cookie: '0a', screen: 1 };
  await session.shell({ pty, x11, agent: true, env: { LANG: 'C.UTF-8' } });
  session.signal('INT');
  session.resize({ ...size, columns: 132 });
  assert.equal(await session.break(500), true);
  session.close();
  await over.promise;
  assert.deepEqual(seen, [
    ['agent'],
    ['x11', x11],
    ['pty', pty],
    ['environment', 'LANG', 'C.UTF-8'],
    ['shell'],
    ['signal', 'INT'],
    ['windowChange', { ...size, columns: 132 }],
    ['break', 500],
  ]);
});

test('tells how a signal ended the program', async () => {
  const ended = { signal: 'SEGV', isCoreDumped: true, message: 'boom' };
  const { clientEnd } = start({ server: programs((session) => session.exitSignal(ended)) });
  const session = await clientEnd.session();
  await session.exec('crash');
  assert.deepEqual(await session.exited, ended);
});

test('carries a subsystem', async () => {
  const { clientEnd } = start({
    server: {
      session: (session) => ({
        subsystem: (name) => {
          session.channel.end(`this is ${name}`);
          return name === 'sftp';
        },
      }),
    },
  });
  const session = await clientEnd.session();
  await session.subsystem('sftp');
  assert.equal(await text(session.channel), 'this is sftp');
});

test('answers in the order of the requests, and takes data before the answers', async () => {
  const release = Promise.withResolvers<boolean>();
  const order: string[] = [];
  const { clientEnd } = start({
    server: {
      session: (session) => ({
        pty: () => {
          order.push('pty');
          return release.promise;
        },
        exec: () => {
          order.push('exec');
          session.channel.pipe(session.channel);
          return true;
        },
      }),
    },
  });
  const session = await clientEnd.session();
  const pty = { term: 'vt100', columns: 1, rows: 1, widthPixels: 0, heightPixels: 0, modes: {} };
  const started = session.exec('cat', { pty });
  session.channel.end('early');
  await settled();
  assert.deepEqual(order, ['pty']);
  release.resolve(false);
  await started;
  assert.deepEqual(session.refused, ['pty']);
  assert.equal(await text(session.channel), 'early');
});

test('starts one program a session', async () => {
  const { clientEnd } = start({ server: programs(() => {}) });
  const session = await clientEnd.session();
  await session.exec('one');
  await assert.rejects(
    session.exec('two'),
    (error) => error instanceof ChannelError && error.code === 'refused',
  );
});

test('refuses what its handlers refuse, with their reason', async () => {
  const { clientEnd } = start({
    server: {
      session: () => Promise.reject(new ChannelOpenError(openFailureReason.resourceShortage, 'Full.')),
      listen: () => undefined,
    },
  });
  const refused = (reason: number) => (error: unknown) =>
    error instanceof ChannelOpenError && error.reason === reason;
  await assert.rejects(clientEnd.session(), (error) => refused(4)(error) && String(error).includes('Full.'));
  await assert.rejects(clientEnd.open(direct), refused(openFailureReason.administrativelyProhibited));
  await assert.rejects(clientEnd.listen({ host: '', port: 0 }), ChannelError);
});

test('says that a forward failed when the handler throws, and tells the owner why', async () => {
  const failures: unknown[] = [];
  const { clientEnd, serverEnd } = start({
    server: {
      forward: async () => {
        await settled();
        throw new Error('ECONNREFUSED');
      },
      failed: (error) => failures.push(error),
    },
  });
  await assert.rejects(
    clientEnd.open(direct),
    (error) => error instanceof ChannelOpenError && error.reason === 2,
  );
  assert.match(String(failures), /ECONNREFUSED/);
  assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
});

test('forwards a connection each way, of every type', async () => {
  const asked: Forward[] = [];
  const echo = (forward: Forward, channel: Channel): void => {
    asked.push(forward);
    channel.pipe(channel);
  };
  const { clientEnd, serverEnd } = start({
    server: {
      forward: echo,
      listen: (place) => place,
      session: () => ({ agent: () => true, x11: () => true, shell: () => true }),
    },
    client: { forward: echo },
  });
  const origin = { originHost: '::1', originPort: 4 };
  const byClient: Forward[] = [direct, { type: 'direct-streamlocal@openssh.com', path: '/run/a.sock' }];
  const byServer: Forward[] = [
    { type: 'forwarded-tcpip', host: 'localhost', port: 80, ...origin },
    { type: 'forwarded-streamlocal@openssh.com', path: '/run/b.sock' },
    { type: 'x11', ...origin },
    { type: 'auth-agent@openssh.com' },
  ];
  for (const forward of byServer) {
    await assert.rejects(
      serverEnd.open(forward),
      (error) => error instanceof ChannelOpenError && error.reason === 1,
    );
  }
  await clientEnd.listen({ host: 'localhost', port: 80 });
  await clientEnd.listen({ path: '/run/b.sock' });
  const session = await clientEnd.session();
  await session.shell({
    agent: true,
    x11: { isSingleConnection: false, protocol: 'p', cookie: '', screen: 0 },
  });
  for (const forward of [...byClient, ...byServer]) {
    const channel = await (byClient.includes(forward) ? clientEnd : serverEnd).open(forward);
    channel.end(forward.type);
    assert.equal(await text(channel), forward.type);
  }
  assert.deepEqual(asked, [...byClient, ...byServer]);
});

test('does not open channels that the other side is to open', async () => {
  const { clientEnd, serverEnd } = start({ server: { forward: () => {} }, client: { forward: () => {} } });
  const unknownType = (error: unknown): boolean => error instanceof ChannelOpenError && error.reason === 3;
  await assert.rejects(serverEnd.open(direct), unknownType);
  await assert.rejects(serverEnd.session(), unknownType);
  await assert.rejects(clientEnd.open({ type: 'auth-agent@openssh.com' }), unknownType);
  const { client, server } = start({});
  const refusals: Buffer[] = [];
  client.handle({ packet: (payload) => void refusals.push(Buffer.from(payload)), closed: () => {} });
  const tunnel = new Writer().byte(message.channelOpen).string('tun@openssh.com').uint32(6);
  client.send(tunnel.uint32(1000).uint32(1000).uint32(1).uint32(0x7fffffff).toBuffer());
  await settled();
  assert.deepEqual(refusals[0]?.subarray(0, 9), Buffer.from([92, 0, 0, 0, 6, 0, 0, 0, 3]));
  assert.equal(server.end, undefined);
});

test('listens where the client asks, tells the port, and stops', async () => {
  const places: Place[] = [];
  const { clientEnd, serverEnd } = start({
    server: {
      listen: async (place) => {
        places.push(place);
        await settled();
        return 'port' in place ? { ...place, port: 40000 } : place;
      },
      unlisten: (place) => places.push(place) > 0,
    },
    client: { forward: (_forward, channel) => void channel.end('hello') },
  });
  const place = await clientEnd.listen({ host: '127.0.0.1', port: 0 });
  assert.deepEqual(place, { host: '127.0.0.1', port: 40000 });
  const forward = {
    type: 'forwarded-tcpip',
    host: '127.0.0.1',
    port: 40000,
    originHost: '',
    originPort: 1,
  } as const;
  assert.equal(await text(await serverEnd.open(forward)), 'hello');
  await clientEnd.unlisten(place);
  await assert.rejects(serverEnd.open(forward), ChannelOpenError);
  await clientEnd.listen({ path: '/run/a' });
  await clientEnd.unlisten({ path: '/run/a' });
  assert.deepEqual(places.slice(1), [place, { path: '/run/a' }, { path: '/run/a' }]);
});

test('half of a channel ends by itself, on either side', async () => {
  const got = Promise.withResolvers<Channel>();
  const { clientEnd } = start({ server: { forward: (_forward, channel) => got.resolve(channel) } });
  const [client, server] = [await clientEnd.open(direct), await got.promise];
  server.end('the server ends first');
  assert.equal(await text(client), 'the server ends first');
  client.write('and the client ');
  await settled();
  assert.deepEqual([client.destroyed, server.destroyed], [false, false]);
  client.end('goes on');
  assert.equal(await text(server), 'and the client goes on');
  await settled();
  assert.equal(clientEnd.channelCount, 0);
});

test('both sides may close at once, and what was sent before is read', async () => {
  const got = Promise.withResolvers<Channel>();
  const { clientEnd, serverEnd } = start({
    server: { forward: (_forward, channel) => got.resolve(channel) },
  });
  const [client, server] = [await clientEnd.open(direct), await got.promise];
  client.destroy();
  server.destroy();
  await settled();
  assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
  const second = await clientEnd.open(direct);
  second.write('last words');
  second.destroy();
  await settled();
  assert.equal(clientEnd.channelCount, 0);
});

test('what came before CLOSE is still read', async () => {
  const got = Promise.withResolvers<Channel>();
  const { clientEnd, serverEnd } = start({
    server: { forward: (_forward, channel) => got.resolve(channel) },
  });
  const client = await clientEnd.open(direct);
  const server = await got.promise;
  client.write('last words');
  await settled();
  client.destroy();
  await settled();
  assert.equal(serverEnd.channelCount, 1);
  assert.equal(await text(server), 'last words');
  await settled();
  assert.equal(serverEnd.channelCount, 0);
});

test('a reader that stops holds its window, and no other channel waits for it', async () => {
  const channels: Channel[] = [];
  const { clientEnd, client } = start({
    server: { forward: (_forward, channel) => void channels.push(channel) },
    options: windows(64 * 1024),
  });
  const stuck = await clientEnd.open(direct);
  const other = await clientEnd.open(direct);
  let sent = 0;
  while (stuck.write(Buffer.alloc(4096))) sent += 4096;
  await settled();
  const data = randomBytes(3_000_000);
  other.end(data);
  assert.ok((await buffer(channels[1] as Channel)).equals(data));
  const held = stuck.writableLength;
  assert.ok(held > 0 && sent <= 128 * 1024, `${held} bytes wait here of ${sent}`);
  assert.ok(client.largestPendingBytes < 256 * 1024);
  stuck.end();
  const read = await buffer(channels[0] as Channel);
  assert.equal(read.length % 4096, 0);
});

test('writers wait for a connection that is slow, and take turns', async () => {
  const channels: Channel[] = [];
  const { clientEnd, client, server } = start({
    server: { forward: (_forward, channel) => void channels.push(channel) },
    options: windows(64 * 1024 * 1024),
  });
  const writers = [await clientEnd.open(direct), await clientEnd.open(direct)];
  server.pause();
  for (const writer of writers) writer.end(Buffer.alloc(8 * 1024 * 1024));
  await settled();
  assert.ok(client.largestPendingBytes < 256 * 1024, `${client.largestPendingBytes} bytes`);
  const received = [0, 0];
  let largestLead = 0;
  for (const [index, channel] of channels.entries()) {
    channel.on('data', (chunk: Buffer) => {
      received[index] = (received[index] ?? 0) + chunk.length;
      const [one = 0, two = 0] = received;
      largestLead = Math.max(largestLead, Math.abs(one - two));
    });
  }
  server.resume();
  await Promise.all(channels.map((channel) => once(channel, 'end')));
  assert.deepEqual(received, [8 * 1024 * 1024, 8 * 1024 * 1024]);
  assert.ok(largestLead < 1024 * 1024, `one was ${largestLead} bytes before the other`);
});

test('a request that is not answered when its session closes is told so', async () => {
  const { clientEnd } = start({
    server: {
      session: (session) => ({
        shell: () => true,
        break: () => {
          session.exit(1);
          session.channel.destroy();
          return new Promise(() => {});
        },
      }),
    },
  });
  const session = await clientEnd.session();
  await session.shell();
  await assert.rejects(session.break(1), (error) => error instanceof ChannelError && error.code === 'closed');
});

test('a window grows for a reader that keeps up, within the budget', async () => {
  const budget = new WindowBudget(200 * 1024);
  const got = Promise.withResolvers<Channel>();
  const { clientEnd } = start({
    server: { forward: (_forward, channel) => got.resolve(channel) },
    options: { windows: { initialBytes: 64 * 1024, maximumBytes: 512 * 1024, budget } },
  });
  const client = await clientEnd.open(direct);
  client.end(Buffer.alloc(4 * 1024 * 1024));
  const received = await buffer(await got.promise);
  assert.equal(received.length, 4 * 1024 * 1024);
  // Both took 32 KiB at the start; the server's end doubled once, the client's had nothing to read.
  assert.equal(budget.takenBytes, (32 + 32 + 64) * 1024);
  (await got.promise).end();
  client.resume();
  await settled();
  assert.equal(budget.takenBytes, 0);
});

test('a hundred channels at once carry what was written, whatever their windows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          length: fc.integer({ min: 0, max: 40_000 }),
          piece: fc.integer({ min: 1, max: 50_000 }),
        }),
        {
          minLength: 100,
          maxLength: 100,
        },
      ),
      fc.integer({ min: 1024, max: 200_000 }),
      async (sizes, windowBytes) => {
        const { clientEnd, serverEnd } = start({
          server: { forward: (_forward, channel) => void channel.pipe(channel) },
          options: windows(windowBytes, windowBytes * 3),
        });
        await Promise.all(
          sizes.map(async ({ length, piece }) => {
            const data = randomBytes(length);
            const channel = await clientEnd.open(direct);
            for (let start = 0; start < length; start += piece)
              channel.write(data.subarray(start, start + piece));
            channel.end();
            assert.ok((await buffer(channel)).equals(data));
          }),
        );
        await settled();
        assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
      },
    ),
    { numRuns: 10 },
  );
});

test('serves a window and packets of one byte', async () => {
  const { clientEnd } = start({
    server: { forward: (_forward, channel) => void channel.pipe(channel) },
    options: windows(1),
  });
  const channel = await clientEnd.open(direct);
  channel.end('one at a time');
  assert.equal(await text(channel), 'one at a time');
});

test('standard error keeps its place before EOF when it ends after the output', async () => {
  const { clientEnd } = start({
    server: programs((session) => {
      const { stderr } = session;
      session.channel.end('out');
      setImmediate(() => {
        stderr.end('err');
        stderr.on('finish', () => session.exit(0));
      });
    }),
  });
  const session = await clientEnd.session();
  await session.exec('x');
  assert.deepEqual(await Promise.all([text(session.channel), text(session.stderr)]), ['out', 'err']);
});

test('the owner of a session learns that the client closed it', async () => {
  const closed = Promise.withResolvers<Error | undefined>();
  const { clientEnd } = start({
    server: { session: () => ({ shell: () => true, closed: (error) => closed.resolve(error) }) },
  });
  const session = await clientEnd.session();
  await session.shell();
  session.close();
  assert.equal(await closed.promise, undefined);
  assert.equal(await session.exited, undefined);
});

test('everything open ends with the connection, and nothing hangs', async () => {
  const closed = Promise.withResolvers<Error | undefined>();
  const over = Promise.withResolvers<unknown>();
  const { client, clientEnd, serverEnd } = start({
    server: {
      session: () => ({ shell: () => true, closed: (error) => closed.resolve(error) }),
      forward: () => new Promise(() => {}),
      closed: (error) => over.resolve(error),
    },
  });
  const session = await clientEnd.session();
  await session.shell();
  const opening = clientEnd.open(direct);
  const asking = clientEnd.listen({ path: '/a' });
  const reading = text(session.channel);
  client.break();
  const lost = (error: unknown): boolean => error instanceof TransportError && error.code === 'lost';
  for (const promise of [
    opening,
    reading,
    asking,
    session.exited,
    clientEnd.session(),
    clientEnd.keepalive(),
  ]) {
    await assert.rejects(promise, lost);
  }
  assert.ok(lost(await closed.promise) && lost(await over.promise));
  assert.deepEqual([clientEnd.channelCount, serverEnd.channelCount], [0, 0]);
});

test('limits channels and those that wait for their handler', async () => {
  const { clientEnd } = start({
    server: { session: () => ({}), forward: () => new Promise(() => {}) },
    options: { maximumChannels: 3, maximumPendingOpens: 1 },
  });
  const full = (error: unknown): boolean => error instanceof ChannelOpenError && error.reason === 4;
  void clientEnd.open(direct).catch(() => {});
  await assert.rejects(clientEnd.open(direct), full);
  const first = await clientEnd.session().catch((error: unknown) => error);
  assert.ok(full(first), 'no opens are taken while too many wait');
});

test('frees the place of a channel that was closed', async () => {
  const { clientEnd } = start({ server: { session: () => ({}) }, options: { maximumChannels: 2 } });
  for (let round = 0; round < 10; round += 1) {
    const pair = [await clientEnd.session(), await clientEnd.session()];
    await assert.rejects(clientEnd.session(), ChannelOpenError);
    for (const session of pair) session.close();
    await settled();
  }
});

test('a client that asks for no more sessions gets none', async () => {
  const ends = start({ server: { session: () => ({}) } });
  ends.clientEnd.noMoreSessions();
  await assert.rejects(ends.clientEnd.session(), TransportError);
  assert.ok((await violation(ends)) instanceof ProtocolError);
});

test('keeps alive, and ends a connection whose peer says nothing', async () => {
  const { clientEnd, client } = start({});
  await clientEnd.keepalive();
  const pair = transportPair();
  const over = Promise.withResolvers<TransportError | undefined>();
  const silent = new Connection(
    pair.server,
    { closed: (error) => over.resolve(error) },
    { keepalive: { intervalMs: 5, maximumUnanswered: 2 } },
  );
  pair.server.handle(silent);
  // Its timer keeps no process alive.
  const hold = setInterval(() => {}, 1000);
  assert.match(String(await over.promise), /not answered/);
  clearInterval(hold);
  assert.equal(client.end, undefined);
});

test('a server proves its host keys, and only those', async () => {
  const keys = await Promise.all([
    generateSigningKey('ssh-ed25519'),
    generateSigningKey('ecdsa-sha2-nistp256'),
    generateSigningKey('ssh-rsa'),
  ]);
  const announced = Promise.withResolvers<readonly Buffer[]>();
  const { clientEnd, serverEnd } = start({ client: { hostKeys: (blobs) => announced.resolve(blobs) } });
  serverEnd.announceHostKeys(keys);
  const blobs = await announced.promise;
  assert.deepEqual(
    blobs,
    keys.map(({ publicKey }) => publicKey.blob),
  );
  assert.equal(await clientEnd.proveHostKeys(blobs), true);
  const stranger = await generateSigningKey('ssh-ed25519');
  assert.equal(await clientEnd.proveHostKeys([stranger.publicKey.blob]), false);
});

test('answers what it does not know', async () => {
  const { client, server } = start({});
  client.hold();
  const replies: number[] = [];
  client.handle({ packet: (payload) => void replies.push(payload[0] ?? 0), closed: () => {} });
  client.send(new Writer().byte(message.globalRequest).string('what@example.com').boolean(true).toBuffer());
  client.send(Buffer.from([message.userauthRequest, 1, 2]));
  client.send(Buffer.from([message.serviceRequest]));
  client.send(Buffer.from([200]));
  await settled();
  assert.deepEqual(replies, [message.requestFailure]);
  assert.deepEqual(server.unimplemented, [2, 3]);
});

test('a client that reads no answers is not read from', async () => {
  const { client, server } = start({});
  client.hold();
  const request = new Writer()
    .byte(message.globalRequest)
    .string('what@example.com')
    .boolean(true)
    .toBuffer();
  const requests = 300_000;
  for (let count = 0; count < requests; count += 1) client.send(request);
  let before = -1;
  while (before !== server.pendingBytes) {
    before = server.pendingBytes;
    await settled();
  }
  // Answers to all would be twice that.
  assert.ok(before > 4 * 1024 * 1024 && before < 5 * 1024 * 1024, `${before} bytes`);
  let answers = 0;
  client.handle({ packet: () => void (answers += 1), closed: () => {} });
  while (answers < requests) await settled();
});

/** A client that speaks for itself, and a server with one channel open to it. */
async function raw(
  options: ConnectionOptions = {},
): Promise<Ends & { send: (write: (writer: Writer) => Writer) => void; channels: Channel[]; got: Buffer[] }> {
  const channels: Channel[] = [];
  const ends = start({
    server: {
      forward: (_forward, channel) => void channels.push(channel),
      session: () => ({ shell: () => true }),
    },
    options,
  });
  const got: Buffer[] = [];
  ends.client.hold();
  ends.client.handle({ packet: (payload) => void got.push(Buffer.from(payload)), closed: () => {} });
  const send = (write: (writer: Writer) => Writer): void => {
    ends.client.send(write(new Writer()).toBuffer());
  };
  send((writer) => openDirect(writer, 8, 100, 10));
  await settled();
  return { ...ends, send, channels, got };
}

function openDirect(writer: Writer, number: number, window: number, maximum: number): Writer {
  return writer
    .byte(message.channelOpen)
    .string('direct-tcpip')
    .uint32(number)
    .uint32(window)
    .uint32(maximum)
    .string('a')
    .uint32(1)
    .string('b')
    .uint32(2);
}

test('keeps to the window and the packet size of its peer', async () => {
  const { channels, got, send } = await raw();
  channels[0]?.write(Buffer.alloc(250, 1));
  await settled();
  const lengths = (): number[] =>
    got.filter((payload) => payload[0] === message.channelData).map((payload) => payload.length - 9);
  assert.deepEqual(lengths(), Array(10).fill(10));
  send((writer) => writer.byte(message.channelWindowAdjust).uint32(0).uint32(7));
  await settled();
  assert.deepEqual(lengths(), [...Array(10).fill(10), 7]);
});

const violations: readonly [string, (writer: Writer) => Writer, ...((writer: Writer) => Writer)[]][] = [
  ['data beyond the window', (writer) => writer.byte(94).uint32(0).string(Buffer.alloc(1001))],
  [
    'extended data beyond the window',
    (writer) => writer.byte(95).uint32(0).uint32(1).string(Buffer.alloc(1001)),
  ],
  [
    'data after EOF',
    (writer) => writer.byte(96).uint32(0),
    (writer) => writer.byte(94).uint32(0).string('x'),
  ],
  [
    'data after CLOSE',
    (writer) => writer.byte(97).uint32(0),
    (writer) => writer.byte(94).uint32(0).string('x'),
  ],
  ['a window of more than 2^32 - 1', (writer) => writer.byte(93).uint32(0).uint32(0xffffffff)],
  ['data for an unknown channel', (writer) => writer.byte(94).uint32(5).string('x')],
  ['a request for an unknown channel', (writer) => writer.byte(98).uint32(5).string('x').boolean(true)],
  ['a confirmation of nothing', (writer) => writer.byte(91).uint32(0).uint32(0).uint32(0).uint32(1)],
  ['a reply to nothing', (writer) => writer.byte(81)],
  ['a channel reply to nothing', (writer) => writer.byte(99).uint32(0)],
  ['packets of no bytes', (writer) => openDirect(writer, 9, 100, 0)],
  [
    'data that is shorter than it says',
    (writer) => writer.byte(94).uint32(0).uint32(9).bytes(Buffer.alloc(3)),
  ],
];

for (const [name, ...writes] of violations) {
  test(`ends the connection for ${name}`, async () => {
    const ends = await raw(windows(1000));
    for (const write of writes) ends.send(write);
    assert.equal((await violation(ends))?.code, 'protocol');
    assert.equal(ends.channels[0]?.destroyed || ends.channels[0]?.readableEnded === false, true);
  });
}

test('whatever a peer sends, only errors of the protocol come of it, and no channel is left', async () => {
  const number = fc.constantFrom(0, 1, 2, 0xffffffff);
  const short = fc.uint8Array({ maxLength: 40 });
  const types = ['session', 'direct-tcpip', 'tun@openssh.com', 'x11', 'auth-agent@openssh.com'];
  const requests = [
    'pty-req',
    'env',
    'exec',
    'shell',
    'exit-status',
    'x11-req',
    'window-change',
    'signal',
    'break',
  ];
  const globals = [
    'tcpip-forward',
    'hostkeys-prove-00@openssh.com',
    'keepalive@openssh.com',
    'cancel-tcpip-forward',
  ];
  const likely = fc.oneof(
    fc
      .tuple(fc.constantFrom(...types), number, number, number, short)
      .map(([type, one, two, three, rest]) =>
        new Writer().byte(90).string(type).uint32(one).uint32(two).uint32(three).bytes(rest).toBuffer(),
      ),
    fc
      .tuple(number, number, short)
      .map(([one, two, rest]) => new Writer().byte(91).uint32(one).uint32(two).bytes(rest).toBuffer()),
    fc
      .tuple(fc.integer({ min: 93, max: 97 }), number, short)
      .map(([code, channel, data]) => new Writer().byte(code).uint32(channel).string(data).toBuffer()),
    fc
      .tuple(number, fc.constantFrom(...requests), fc.boolean(), short)
      .map(([channel, name, wantsReply, rest]) =>
        new Writer().byte(98).uint32(channel).string(name).boolean(wantsReply).bytes(rest).toBuffer(),
      ),
    fc
      .tuple(fc.constantFrom(...globals), fc.boolean(), short)
      .map(([name, wantsReply, rest]) =>
        new Writer().byte(80).string(name).boolean(wantsReply).bytes(rest).toBuffer(),
      ),
    fc.tuple(fc.integer({ min: 50, max: 255 }), short).map(([code, rest]) => Buffer.from([code, ...rest])),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(likely, { maxLength: 30 }),
      fc.constantFrom('client', 'server'),
      async (payloads, role) => {
        const ends = start({
          server: {
            session: (session) => ({ exec: () => session.channel.resume().readable }),
            forward: (_forward, channel) => void channel.resume(),
          },
          client: { forward: (_forward, channel) => void channel.resume() },
        });
        const [attacker, victim, end] =
          role === 'server'
            ? [ends.client, ends.server, ends.serverEnd]
            : [ends.server, ends.client, ends.clientEnd];
        if (role === 'client') void ends.clientEnd.session().catch(() => {});
        attacker.hold();
        attacker.handle({ packet: () => {}, closed: () => {} });
        for (const payload of payloads) attacker.send(payload);
        await settled();
        attacker.break();
        assert.ok(victim.end !== undefined);
        await settled();
        assert.equal(end.channelCount, 0);
      },
    ),
    { numRuns: 300 },
  );
});

test('joined streams end each way by themselves, and break together', async () => {
  const far = new PassThrough();
  const back = new PassThrough();
  const target = Duplex.from({
    readable: back as unknown as NodeJS.ReadableStream,
    writable: far as unknown as NodeJS.WritableStream,
  } as unknown as Parameters<typeof Duplex.from>[0]);
  const { clientEnd } = start({ server: { forward: (_forward, channel) => join(channel, target) } });
  const channel = await clientEnd.open(direct);
  channel.end('request');
  assert.equal(await text(far), 'request');
  back.end('answer');
  assert.equal(await text(channel), 'answer');
  await settled();
  assert.equal(clientEnd.channelCount, 0);

  const second = start({ server: { forward: (_forward, channel) => join(channel, other) } });
  const other = new PassThrough();
  const broken = await second.clientEnd.open(direct);
  other.destroy(new Error('reset'));
  await once(broken.resume(), 'close');

  const late = new PassThrough();
  const third = start({
    server: {
      forward: async (_forward, channel) => {
        third.client.break();
        await settled();
        join(channel, late);
      },
    },
  });
  await assert.rejects(third.clientEnd.open(direct), TransportError);
  await settled();
  assert.equal(late.destroyed, true);
});
