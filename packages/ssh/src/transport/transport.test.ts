// Both roles of the transport against each other over real sockets: every algorithm, key exchanges in the middle of
// a transfer, holding and pausing, and the ends.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { describe, test } from 'node:test';
import { generateSigningKey } from '../keys/signing-key.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { signCertificate } from '../keys/certificate-authority.ts';
import { isCertificate } from '../keys/certificate.ts';
import { formatPacket } from '../testing/input-buffer.ts';
import { type PeerConnection, startPeer } from '../testing/peer.ts';
import { socketPair } from '../testing/socket-pair.ts';
import { Writer } from '../wire.ts';
import { type Algorithms, userSignatureAlgorithms } from './algorithms.ts';
import { type ServerHostKey, serverHostKey } from './host-keys.ts';
import { keyExchangeNames } from './key-exchange.ts';
import { message } from './messages.ts';
import { cipherNames, macNames } from './packet-algorithms.ts';
import type { PacketHandler, Role } from './packet-transport.ts';
import { Transport, type RekeyLimits } from './transport.ts';
import type { TransportError } from './transport-error.ts';

const ed25519 = await generateSigningKey('ssh-ed25519');

interface PairOptions {
  readonly algorithms?: Partial<Algorithms>;
  readonly hostKeys?: readonly ServerHostKey[];
  readonly rekey?: Partial<RekeyLimits>;
  readonly clientRekey?: Partial<RekeyLimits>;
  readonly whyNotHostKey?: (hostKey: Buffer, algorithm: string) => string | undefined;
}

interface Pair {
  readonly server: Transport;
  readonly client: Transport;
  readonly ends: { server: Promise<TransportError | undefined>; client: Promise<TransportError | undefined> };
  readonly close: () => void;
}

async function transportPair(options: PairOptions = {}): Promise<Pair> {
  const { hostKeys = [serverHostKey(ed25519)], algorithms = {}, rekey = {}, clientRekey = rekey } = options;
  const sockets = await socketPair();
  const serverEnd = Promise.withResolvers<TransportError | undefined>();
  const clientEnd = Promise.withResolvers<TransportError | undefined>();
  const server = Transport.server(sockets.accepted, {
    hostKeys,
    algorithms,
    rekey,
    userSignatureAlgorithms: ['ssh-ed25519'],
    closed: serverEnd.resolve,
  });
  const client = Transport.client(sockets.connected, {
    algorithms: { hostKey: hostKeys.flatMap((key) => key.algorithms), ...algorithms },
    rekey: clientRekey,
    whyNotHostKey: options.whyNotHostKey ?? (() => undefined),
    closed: clientEnd.resolve,
  });
  return {
    server,
    client,
    ends: { server: serverEnd.promise, client: clientEnd.promise },
    close: sockets.close,
  };
}

/** Collects payloads until there are `count`. */
function collect(transport: Transport, count: number): Promise<Buffer[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer[]>();
  const payloads: Buffer[] = [];
  transport.handle({
    packet: (payload) => {
      payloads.push(Buffer.from(payload));
      if (payloads.length === count) resolve(payloads);
    },
    closed: (error) => reject(error ?? new Error('closed')),
  });
  return promise;
}

const data = (bytes: number): Buffer => Buffer.concat([Buffer.from([94]), randomBytes(bytes)]);

async function carriesBothWays(
  { server, client }: Pair,
  payloads = [1, 2, 100, 32_768].map(data),
): Promise<void> {
  const [atServer, atClient] = [collect(server, payloads.length), collect(client, payloads.length)];
  for (const payload of payloads) {
    client.send(payload);
    server.send(payload);
  }
  assert.deepEqual(await atServer, payloads);
  assert.deepEqual(await atClient, payloads);
}

describe('two transports', () => {
  for (const name of keyExchangeNames) {
    test(`carry packets after ${name}`, async () => {
      const pair = await transportPair({ algorithms: { keyExchange: [name] } });
      await carriesBothWays(pair);
      assert.equal(pair.client.negotiated?.keyExchange, name);
      assert.deepEqual(pair.client.sessionId, pair.server.sessionId);
      assert.deepEqual(pair.client.hostKey, ed25519.publicKey.blob);
      pair.close();
    });
  }

  for (const cipher of cipherNames) {
    for (const mac of cipher.endsWith('-ctr') ? macNames : [macNames[0] ?? '']) {
      test(`carry packets with ${cipher}${cipher.endsWith('-ctr') ? ` and ${mac}` : ''}, also after new keys`, async () => {
        const pair = await transportPair({
          algorithms: { cipher: [cipher], mac: [mac] },
          rekey: { bytes: 40_000 },
        });
        await carriesBothWays(
          pair,
          Array.from({ length: 30 }, () => data(10_000)),
        );
        pair.close();
      });
    }
  }

  const hostKeyTypes = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'ssh-rsa',
  ] as const;
  for (const type of hostKeyTypes) {
    test(`take a host key of type ${type}, and a certificate for it`, async () => {
      const key: SigningKey = await generateSigningKey(type, { rsaBits: 2048 });
      const authority = await generateSigningKey('ssh-ed25519');
      const { blob } = signCertificate({
        ca: authority,
        role: 'host',
        publicKey: key.publicKey.blob,
        keyId: 'host',
        principals: ['localhost'],
        validAfter: new Date(0),
        validBefore: new Date(Date.now() + 60_000),
      });
      for (const [hostKey, certified] of [
        [serverHostKey(key), false],
        [serverHostKey(key, blob), true],
      ] as const) {
        for (const algorithm of hostKey.algorithms) {
          const seen: string[] = [];
          const pair = await transportPair({
            hostKeys: [{ ...hostKey, algorithms: [algorithm] }],
            whyNotHostKey: (offered, name) => {
              assert.equal(isCertificate(offered), certified);
              seen.push(name);
              return undefined;
            },
          });
          await carriesBothWays(pair);
          assert.deepEqual(seen, [algorithm]);
          pair.close();
        }
      }
    });
  }

  test('tell each other their extensions', async () => {
    const pair = await transportPair();
    await carriesBothWays(pair);
    assert.equal(pair.client.extensions.get('server-sig-algs')?.toString(), 'ssh-ed25519');
    assert.equal(pair.client.extensions.get('publickey-hostbound@openssh.com')?.toString(), '0');
    assert.equal(pair.server.extensions.get('ping@openssh.com')?.toString(), '0');
    pair.close();
  });

  test('announce every signature algorithm unless told otherwise, without which ssh offers no RSA key', async () => {
    const sockets = await socketPair();
    Transport.server(sockets.accepted, { hostKeys: [serverHostKey(ed25519)] });
    const client = Transport.client(sockets.connected, { whyNotHostKey: () => undefined });
    // The answer comes behind what the server announces.
    const { promise, resolve } = Promise.withResolvers<void>();
    client.handle({ packet: () => {}, closed: () => resolve() });
    await client.established;
    client.send(Buffer.from([94]));
    setImmediate(() => sockets.accepted.end());
    await promise;
    const announced = client.extensions.get('server-sig-algs')?.toString().split(',');
    assert.deepEqual(announced, [...userSignatureAlgorithms]);
    assert.ok(announced?.includes('rsa-sha2-512'));
    sockets.close();
  });

  for (const [side, rekey, clientRekey] of [
    ['the server', { bytes: 200_000 }, {}],
    ['the client', {}, { bytes: 200_000 }],
    ['both', { packets: 7 }, { packets: 5 }],
  ] as const) {
    test(`exchange keys in the middle of a transfer when ${side} wants it, and lose nothing`, async () => {
      const pair = await transportPair({ rekey, clientRekey });
      const first = pair.client.established.then(() => Buffer.from(pair.client.sessionId));
      await carriesBothWays(
        pair,
        Array.from({ length: 200 }, (_, index) => data(100 + index * 50)),
      );
      assert.deepEqual(pair.client.sessionId, await first, 'the session keeps its name');
      pair.close();
    });
  }

  test('hold packets back while nobody takes them, and give them in their order', async () => {
    const pair = await transportPair();
    const payloads = Array.from({ length: 500 }, () => data(2000));
    for (const payload of payloads) pair.client.send(payload);
    await pair.server.established;
    const taken: Buffer[] = [];
    const { promise: all, resolve } = Promise.withResolvers<void>();
    const handler: PacketHandler = {
      packet: (payload) => {
        taken.push(Buffer.from(payload));
        // Each handler takes one, and the next is set a turn later.
        pair.server.hold();
        if (taken.length === payloads.length) resolve();
        else setImmediate(() => pair.server.handle(handler));
      },
      closed: () => {},
    };
    pair.server.handle(handler);
    await all;
    assert.deepEqual(taken, payloads);
    pair.close();
  });

  test('say to wait while the other reads nothing, and when to go on', async () => {
    const pair = await transportPair();
    await Promise.all([pair.client.established, pair.server.established]);
    pair.server.pause();
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    pair.client.handle({ packet: () => {}, drained: resolve, closed: () => {} });
    const payload = data(32_000);
    let sent = 0;
    while (pair.client.send(payload)) {
      sent += 1;
      // What is sent within a turn is written after it.
      await new Promise((done) => setImmediate(done));
      assert.ok(sent < 10_000, 'it is never told to wait');
    }
    const received = collect(pair.server, sent + 1);
    pair.server.resume();
    await Promise.all([drained, received]);
    pair.close();
  });

  test('end: the other is told why', async () => {
    const pair = await transportPair();
    await Promise.all([pair.client.established, pair.server.established]);
    pair.server.disconnect(12, 'Too many.');
    const error = await pair.ends.client;
    assert.equal(error?.code, 'disconnected');
    assert.equal(error?.reason, 12);
    assert.match(error?.message ?? '', /"Too many\."/);
    assert.equal((await pair.ends.server)?.code, 'ended');
    pair.close();
  });

  test('tell a handler that comes too late that it is over', async () => {
    const pair = await transportPair();
    await pair.server.established;
    pair.client.disconnect(11, 'Bye.');
    await pair.ends.server;
    const { promise, resolve } = Promise.withResolvers<TransportError | undefined>();
    pair.server.handle({ packet: () => {}, closed: resolve });
    assert.equal(await promise, undefined, 'in good order');
    pair.client.handle({ packet: () => {}, closed: (error) => assert.equal(error?.code, 'ended') });
    pair.close();
  });

  test('end when the host key is not the one expected, before anything is sent under the keys', async () => {
    const pair = await transportPair({ whyNotHostKey: () => 'Another key is known.' });
    const error = await pair.ends.client;
    assert.equal(error?.code, 'host_key');
    assert.equal(error?.message, 'Another key is known.');
    await assert.rejects(pair.client.established);
    assert.equal((await pair.ends.server)?.reason, 9);
    pair.close();
  });

  test('end when they have no algorithm in common, and say which', async () => {
    const sockets = await socketPair();
    const { promise, resolve } = Promise.withResolvers<TransportError | undefined>();
    Transport.server(sockets.accepted, { hostKeys: [serverHostKey(ed25519)], closed: resolve });
    Transport.client(sockets.connected, {
      algorithms: { cipher: ['aes128-cbc'] },
      whyNotHostKey: () => undefined,
    });
    const error = await promise;
    assert.equal(error?.code, 'no_common_algorithm');
    assert.match(error?.message ?? '', /encryptionClientToServer.*"aes128-cbc"/);
    sockets.close();
  });
});

describe('a stranger who never comes to keys', () => {
  /** What the transport ends with when `act` is all that the other side does; `role` is the transport's. */
  async function endAfter(
    role: Role,
    act: (socket: Socket) => void,
    handshakeMs?: number,
  ): Promise<TransportError | undefined> {
    const sockets = await socketPair();
    const { promise, resolve: closed } = Promise.withResolvers<TransportError | undefined>();
    const common = { closed, ...(handshakeMs !== undefined && { handshakeMs }) };
    const transport =
      role === 'server'
        ? Transport.server(sockets.accepted, { hostKeys: [serverHostKey(ed25519)], ...common })
        : Transport.client(sockets.accepted, { whyNotHostKey: () => undefined, ...common });
    sockets.connected.on('error', () => {});
    sockets.connected.resume();
    act(sockets.connected);
    try {
      const error = await promise;
      await assert.rejects(transport.established, error);
      return error;
    } finally {
      sockets.close();
    }
  }

  for (const role of ['client', 'server'] as const) {
    test(`is cut off by a ${role} after so many bytes, in large packets and small`, async () => {
      for (const [bytes, count] of [
        [30_000, 5],
        [1, 10_000],
      ] as const) {
        const ignored = formatPacket(Buffer.alloc(bytes, message.ignore));
        const error = await endAfter(role, (socket) => {
          socket.write('SSH-2.0-x\r\n');
          for (let sent = 0; sent < count; sent += 1) socket.write(ignored);
        });
        assert.equal(error?.code, 'protocol');
        assert.match(error?.message ?? '', /^More than 131072 bytes/);
      }
    });

    test(`leaves a ${role}, which tells where`, async () => {
      const other = role === 'client' ? 'server' : 'client';
      const early = await endAfter(role, (socket) => socket.end());
      assert.equal(early?.code, 'lost');
      assert.equal(early?.message, `The ${other} closed the connection before it said anything.`);
      const later = await endAfter(role, (socket) => socket.end('SSH-2.0-x\r\n'));
      assert.equal(later?.code, 'lost');
      assert.equal(later?.message, `The ${other} closed the connection in the middle of the key exchange.`);
      assert.equal(later?.cause, undefined);
    });

    test(`breaks the connection to a ${role}, which knows the system's error`, async () => {
      const error = await endAfter(role, (socket) => socket.resetAndDestroy());
      assert.equal(error?.code, 'lost');
      assert.equal((error?.cause as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET');
    });
  }

  test('says lines and no identification: what they were is told, at the end or when time is up', async () => {
    const said = await endAfter('client', (socket) => socket.end('421 busy\r\nreally\r\n'));
    assert.equal(said?.code, 'not_ssh');
    assert.match(said?.message ?? '', /"421 busy"/);
    const silent = await endAfter('client', (socket) => socket.write('421 wait\r\n'), 50);
    assert.equal(silent?.code, 'not_ssh');
    assert.match(silent?.message ?? '', /"421 wait"/);
    const busy = await endAfter('client', (socket) => socket.end('Exceeded MaxStartups\r\n'));
    assert.equal(busy?.code, 'lost');
    assert.match(busy?.message ?? '', /"Exceeded MaxStartups"/);
  });

  test('shows a proof and no NEWKEYS: that is an end without keys', async () => {
    for (const leave of [
      (connection: PeerConnection) => void connection.socket.end(),
      // The reason of somebody who just leaves.
      (connection: PeerConnection) =>
        connection.send(new Writer().byte(message.disconnect).uint32(11).string('bye').string('').toBuffer()),
    ]) {
      const peer = await startPeer(async (connection) => {
        await connection.identify();
        await connection.exchangeKexInit();
        await connection.reply({ key: generateKeyPairSync('ed25519').privateKey });
        leave(connection);
      });
      try {
        const socket = connect(peer.port, peer.host);
        await once(socket, 'connect');
        const transport = Transport.client(socket, {
          algorithms: { cipher: ['aes128-ctr'], mac: ['hmac-sha2-256'] },
          whyNotHostKey: () => undefined,
        });
        await assert.rejects(transport.established, /^TransportError: The (?:server closed|peer ended)/);
        socket.destroy();
      } finally {
        await peer.stop();
      }
    }
  });
});
