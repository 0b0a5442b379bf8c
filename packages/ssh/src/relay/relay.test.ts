// The relay between two real connections: a client's that has logged in, and one to an upstream. Both far ends speak
// the connection layer message by message, so that each test says what is on the wire.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { areHostKeysProven } from '../connection/host-keys.ts';
import { generateSigningKey } from '../keys/signing-key.ts';
import { socketPair } from '../testing/socket-pair.ts';
import { message } from '../transport/messages.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import { type RekeyLimits, Transport } from '../transport/transport.ts';
import type { TransportError } from '../transport/transport-error.ts';
import { Reader, Writer } from '../wire.ts';
import { Relay, type RelayOptions } from './relay.ts';
import { initialWindow } from './relay-channel.ts';
import { WindowBudget } from '../window-budget.ts';

const hostKey = serverHostKey(await generateSigningKey('ssh-ed25519'));
const largeWindow = 64 * 1024 * 1024;
const packetBytes = 32 * 1024;

/** A far end: what it got waits until it is asked for. */
class Peer {
  readonly transport: Transport;
  readonly ended: Promise<TransportError | undefined>;
  /** By all WINDOW_ADJUSTs so far. */
  grantedBytes = 0;
  #received: Buffer[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(transport: Transport, ended: Promise<TransportError | undefined>) {
    this.transport = transport;
    this.ended = ended;
    transport.handle({
      packet: (payload) => {
        this.#received.push(Buffer.from(payload));
        if (payload[0] === message.channelWindowAdjust) this.grantedBytes += payload.readUInt32BE(5);
        this.#wake?.();
      },
      closed: () => {
        this.#isOver = true;
        this.#wake?.();
      },
    });
  }

  send(payload: Buffer): void {
    this.transport.send(payload);
  }

  /** The next message that is no WINDOW_ADJUST, or also those. */
  async next({ withAdjusts = false } = {}): Promise<Buffer> {
    for (;;) {
      const payload = this.#received.shift();
      if (payload !== undefined) {
        if (withAdjusts || payload[0] !== message.channelWindowAdjust) return payload;
      } else {
        assert.ok(!this.#isOver, 'the connection is over');
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  /** What arrived, once an answer to a question asked now has come back. */
  async settled(other: Peer): Promise<Buffer[]> {
    const question = globalRequest(`settled-${randomBytes(4).toString('hex')}@test`, true);
    this.send(question);
    const before: Buffer[] = [];
    for (;;) {
      const asked = await other.next({ withAdjusts: true });
      if (asked.equals(question)) break;
      before.push(asked);
    }
    other.#received.unshift(...before);
    other.send(Buffer.from([message.requestFailure]));
    const got: Buffer[] = [];
    for (;;) {
      const payload = await this.next({ withAdjusts: true });
      if (payload[0] === message.requestFailure) return got;
      got.push(payload);
    }
  }
}

interface Stage {
  readonly client: Peer;
  readonly upstream: Peer;
  readonly relay: Relay;
}

interface StageOptions extends RelayOptions {
  readonly clientRekey?: Partial<RekeyLimits>;
  readonly upstreamRekey?: Partial<RekeyLimits>;
  readonly upstreamCipher?: string;
}

async function stage(context: TestContext, options: StageOptions = {}): Promise<Stage> {
  const { clientRekey = {}, upstreamRekey = {}, upstreamCipher = 'aes128-gcm@openssh.com' } = options;
  const [outer, inner] = [await socketPair(), await socketPair()];
  context.after(() => {
    outer.close();
    inner.close();
  });
  const ends = [
    Promise.withResolvers<TransportError | undefined>(),
    Promise.withResolvers<TransportError | undefined>(),
  ] as const;
  const serverOptions = { hostKeys: [hostKey], rekey: clientRekey };
  const clientOptions = { whyNotHostKey: () => undefined, algorithms: { cipher: [upstreamCipher] } };
  const front = Transport.server(outer.accepted, serverOptions);
  const client = Transport.client(outer.connected, {
    whyNotHostKey: () => undefined,
    algorithms: { cipher: ['aes128-gcm@openssh.com'] },
    closed: ends[0].resolve,
  });
  const back = Transport.client(inner.connected, { ...clientOptions, rekey: upstreamRekey });
  const upstream = Transport.server(inner.accepted, { hostKeys: [hostKey], closed: ends[1].resolve });
  await Promise.all([front, back, client, upstream].map(({ established }) => established));
  const relay = new Relay(front, back, options);
  return { relay, client: new Peer(client, ends[0].promise), upstream: new Peer(upstream, ends[1].promise) };
}

// ---- messages

function globalRequest(name: string, wantsReply: boolean): Buffer {
  return new Writer().byte(message.globalRequest).string(name).boolean(wantsReply).toBuffer();
}

function open(number: number, window: number, type = 'session', packet = packetBytes): Buffer {
  return new Writer()
    .byte(message.channelOpen)
    .string(type)
    .uint32(number)
    .uint32(window)
    .uint32(packet)
    .toBuffer();
}

function confirmation(recipient: number, number: number, window: number): Buffer {
  return new Writer()
    .byte(message.channelOpenConfirmation)
    .uint32(recipient)
    .uint32(number)
    .uint32(window)
    .uint32(packetBytes)
    .toBuffer();
}

function data(recipient: number, bytes: Uint8Array): Buffer {
  return new Writer().byte(message.channelData).uint32(recipient).string(bytes).toBuffer();
}

function extendedData(recipient: number, bytes: Uint8Array): Buffer {
  return new Writer().byte(message.channelExtendedData).uint32(recipient).uint32(1).string(bytes).toBuffer();
}

function adjust(recipient: number, bytes: number): Buffer {
  return new Writer().byte(message.channelWindowAdjust).uint32(recipient).uint32(bytes).toBuffer();
}

function ofChannel(type: number, recipient: number): Buffer {
  return new Writer().byte(type).uint32(recipient).toBuffer();
}

function request(recipient: number, type: string, wantsReply: boolean): Buffer {
  return new Writer()
    .byte(message.channelRequest)
    .uint32(recipient)
    .string(type)
    .boolean(wantsReply)
    .toBuffer();
}

function bytesOf(payload: Buffer): Buffer {
  const reader = new Reader(payload);
  const type = reader.byte('message number');
  reader.uint32('recipient');
  if (type === message.channelExtendedData) reader.uint32('type');
  else assert.equal(type, message.channelData);
  return reader.string('data');
}

/** A channel from client number `c` to upstream number `u`, opened by the client. */
async function openChannel(
  { client, upstream }: Stage,
  { c = 0, u = 0, clientWindow = largeWindow, upstreamWindow = largeWindow } = {},
): Promise<void> {
  client.send(open(c, clientWindow));
  await upstream.next();
  upstream.send(confirmation(c, u, upstreamWindow));
  await client.next();
}

describe('a relay', () => {
  test('passes everything of a channel in either direction as it is, but for the windows', async (context) => {
    const { client, upstream } = await stage(context);
    client.send(open(7, 1000));
    assert.deepEqual(await upstream.next(), open(7, initialWindow));
    upstream.send(confirmation(7, 3, 2000));
    assert.deepEqual(await client.next(), confirmation(7, 3, initialWindow));
    for (const payload of [
      request(3, 'exec', true),
      data(3, Buffer.from('early')),
      extendedData(3, Buffer.from('other')),
      ofChannel(message.channelEof, 3),
    ]) {
      client.send(payload);
      assert.deepEqual(await upstream.next(), payload);
    }
    for (const payload of [
      ofChannel(message.channelSuccess, 7),
      data(7, Buffer.from('after the other side has ended')),
      request(7, 'exit-status', false),
      ofChannel(message.channelEof, 7),
      ofChannel(message.channelClose, 7),
    ]) {
      upstream.send(payload);
      assert.deepEqual(await client.next(), payload);
    }
    client.send(ofChannel(message.channelClose, 3));
    assert.deepEqual(await upstream.next(), ofChannel(message.channelClose, 3));
    // Both numbers are free again.
    await openChannel({ client, upstream } as Stage, { c: 7, u: 3 });
  });

  test('passes channels that the upstream opens, and their failure', async (context) => {
    const { client, upstream } = await stage(context);
    upstream.send(open(5, 1000, 'forwarded-tcpip'));
    assert.deepEqual(await client.next(), open(5, initialWindow, 'forwarded-tcpip'));
    client.send(confirmation(5, 9, 1000));
    assert.deepEqual(await upstream.next(), confirmation(5, 9, initialWindow));
    upstream.send(data(9, Buffer.from('the server speaks first')));
    assert.equal(bytesOf(await client.next()).toString(), 'the server speaks first');
    upstream.send(open(6, 1000, 'forwarded-tcpip'));
    await client.next();
    const failure = new Writer().byte(92).uint32(6).uint32(2).string('No.').string('').toBuffer();
    client.send(failure);
    assert.deepEqual(await upstream.next(), failure);
  });

  test('sends no more than the receiver has a window for, and all of it in order', async (context) => {
    const { client, upstream, relay } = await stage(context);
    await openChannel({ client, upstream, relay }, { clientWindow: 10 });
    const sent = randomBytes(100_000);
    for (let at = 0; at < sent.length; at += 20_000) upstream.send(data(0, sent.subarray(at, at + 20_000)));
    upstream.send(ofChannel(message.channelEof, 0));
    const received: Buffer[] = [];
    let window = 10;
    while (Buffer.concat(received).length < sent.length) {
      const bytes = bytesOf(await client.next());
      assert.ok(bytes.length <= window, `${bytes.length} bytes in a window of ${window}`);
      window -= bytes.length;
      received.push(bytes);
      if (window === 0) {
        window = 1 + (received.length % 5) * 7000;
        client.send(adjust(0, window));
      }
    }
    assert.deepEqual(Buffer.concat(received), sent);
    assert.deepEqual(await client.next(), ofChannel(message.channelEof, 0));
  });

  test('grants the sender anew what went on, without waiting for the receiver behind', async (context) => {
    const both = await stage(context);
    const { client, upstream } = both;
    await openChannel(both);
    let granted = initialWindow;
    let sent = 0;
    const chunk = Buffer.alloc(16 * 1024);
    // Much more than the first window, while the upstream grants nothing beyond its own large one.
    while (sent < 4 * 1024 * 1024) {
      if (granted >= chunk.length) {
        client.send(data(0, chunk));
        granted -= chunk.length;
        sent += chunk.length;
        continue;
      }
      const payload = await client.next({ withAdjusts: true });
      assert.equal(payload[0], message.channelWindowAdjust);
      granted += payload.readUInt32BE(5);
      assert.ok(granted <= 2 * 1024 * 1024, `${granted} bytes granted`);
    }
    let received = 0;
    while (received < sent) received += bytesOf(await upstream.next()).length;
    assert.equal(received, sent);
  });

  test('holds a bounded amount for a receiver that stops, and other channels go on', async (context) => {
    const both = await stage(context);
    const { client, upstream } = both;
    await openChannel(both, { c: 0, u: 0, clientWindow: 0 });
    await openChannel(both, { c: 1, u: 1 });
    for (let sent = 0; sent < initialWindow; sent += packetBytes)
      upstream.send(data(0, Buffer.alloc(packetBytes)));
    assert.deepEqual(await upstream.settled(client), [], 'nothing is granted for what did not go on');
    for (let round = 0; round < 100; round += 1) {
      upstream.send(data(1, Buffer.from(`${round}`)));
      assert.equal(bytesOf(await client.next()).toString(), `${round}`);
    }
    client.send(adjust(0, initialWindow));
    let received = 0;
    while (received < initialWindow) received += bytesOf(await client.next()).length;
    const grants = await upstream.settled(client);
    assert.ok(grants.length > 0 && grants.every(([type]) => type === message.channelWindowAdjust));
  });

  test('keeps small packets for a receiver that stops together, and passes nothing that is empty or said twice', async (context) => {
    const both = await stage(context);
    const { client, upstream } = both;
    await openChannel(both, { clientWindow: 0 });
    const sent = randomBytes(300);
    for (const byte of sent) {
      upstream.send(data(0, Buffer.from([byte])));
      upstream.send(data(0, Buffer.alloc(0)));
    }
    upstream.send(extendedData(0, sent));
    for (let count = 0; count < 100; count += 1) upstream.send(ofChannel(message.channelEof, 0));
    client.send(adjust(0, 1000));
    assert.deepEqual(await client.next(), data(0, sent));
    assert.deepEqual(await client.next(), extendedData(0, sent));
    assert.deepEqual(await client.next(), ofChannel(message.channelEof, 0));
    assert.deepEqual(await client.settled(upstream), []);
  });

  test('closes a channel for a receiver that took not all of its data and closes it too', async (context) => {
    const both = await stage(context);
    const { client, upstream, relay } = both;
    await openChannel(both, { clientWindow: 10 });
    upstream.send(data(0, Buffer.alloc(100)));
    upstream.send(ofChannel(message.channelClose, 0));
    assert.equal(bytesOf(await client.next()).length, 10);
    client.send(ofChannel(message.channelClose, 0));
    assert.deepEqual(await client.next(), ofChannel(message.channelClose, 0));
    assert.deepEqual(await upstream.next(), ofChannel(message.channelClose, 0));
    assert.deepEqual(relay.channels, []);
  });

  test('ends the connection of a client that asks and does not read the answers', async (context) => {
    const refused = 'x'.repeat(10_000);
    const { client, relay } = await stage(context, { policy: { refuseChannel: () => refused } });
    client.transport.pause();
    let isOver = false;
    void relay.ended.then(() => (isOver = true));
    for (let number = 0; number < 20_000 && !isOver; number += 1) {
      client.send(open(number, 0));
      if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { by, error } = await relay.ended;
    assert.equal(by, 'client');
    assert.equal(error?.code, 'protocol');
  });

  test('lets windows grow within the budget of the process, and gives back what a channel took', async (context) => {
    const budget = new WindowBudget(initialWindow);
    const both = await stage(context, { budget });
    await openChannel(both);
    await openChannel(both, { c: 1, u: 1 });
    const chunk = Buffer.alloc(packetBytes);
    for (const channel of [0, 1]) {
      for (let sent = 0; sent < initialWindow; sent += packetBytes) both.client.send(data(channel, chunk));
    }
    await both.client.settled(both.upstream);
    assert.equal(budget.takenBytes, initialWindow, 'one of the two channels has a wider window');
    for (const channel of [0, 1]) {
      both.client.send(ofChannel(message.channelClose, channel));
      both.upstream.send(ofChannel(message.channelClose, channel));
    }
    await both.client.settled(both.upstream);
    assert.equal(budget.takenBytes, 0);
  });

  for (const [name, options] of [
    ["on the client's leg", { clientRekey: { bytes: 300_000 } }],
    ["on the upstream's leg", { upstreamRekey: { bytes: 300_000 } }],
    ['on both legs at once', { clientRekey: { bytes: 200_000 }, upstreamRekey: { bytes: 200_000 } }],
    ['with another cipher on the other leg', { upstreamCipher: 'chacha20-poly1305@openssh.com' }],
    ['with a MAC on the other leg', { upstreamCipher: 'aes256-ctr', clientRekey: { bytes: 500_000 } }],
  ] as const) {
    test(`loses nothing when keys are exchanged ${name}`, async (context) => {
      const both = await stage(context, options);
      await openChannel(both);
      const chunks = Array.from({ length: 200 }, (_, index) =>
        randomBytes(1 + ((index * 997) % packetBytes)),
      );
      const expected = Buffer.concat(chunks);
      const collect = async (peer: Peer): Promise<Buffer> => {
        const parts: Buffer[] = [];
        let bytes = 0;
        while (bytes < expected.length) {
          const part = bytesOf(await peer.next());
          parts.push(part);
          bytes += part.length;
        }
        return Buffer.concat(parts);
      };
      const feed = async (peer: Peer): Promise<void> => {
        // As a sender does that keeps to its window.
        let sent = 0;
        for (const chunk of chunks) {
          while (sent + chunk.length > initialWindow + peer.grantedBytes) {
            await new Promise((resolve) => setImmediate(resolve));
          }
          sent += chunk.length;
          peer.send(data(0, chunk));
        }
      };
      const results = Promise.all([collect(both.client), collect(both.upstream)]);
      await Promise.all([feed(both.client), feed(both.upstream)]);
      const [atClient, atUpstream] = await results;
      assert.ok(atClient.equals(expected));
      assert.ok(atUpstream.equals(expected));
    });
  }

  test('goes on when keys are exchanged on both legs while both are full', async (context) => {
    const both = await stage(context);
    await openChannel(both);
    const total = 24 * 1024 * 1024;
    const chunk = Buffer.alloc(packetBytes);
    const timer = setInterval(() => {
      both.client.transport.rekey();
      both.upstream.transport.rekey();
    }, 5);
    context.after(() => clearInterval(timer));
    const feed = async (peer: Peer): Promise<void> => {
      for (let sent = 0; sent < total; sent += chunk.length) {
        while (sent + chunk.length > initialWindow + peer.grantedBytes) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        peer.send(data(0, chunk));
      }
    };
    const take = async (peer: Peer): Promise<void> => {
      for (let bytes = 0; bytes < total;) bytes += bytesOf(await peer.next()).length;
    };
    await Promise.all([both.client, both.upstream].flatMap((peer) => [feed(peer), take(peer)]));
  });

  test('answers what the policy refuses, in the order of the requests', async (context) => {
    const { client, upstream, relay } = await stage(context, {
      policy: {
        refuseChannel: ({ type }) => (type === 'direct-tcpip' ? 'Forwarding is off.' : undefined),
        refuseRequest: ({ type }) => type === 'x11-req',
        answerGlobalRequest: ({ name }) =>
          name === 'tcpip-forward' ? 'refuse' : name === 'own@test' ? Buffer.from('mine') : 'pass',
      },
    });
    await openChannel({ client, upstream, relay });
    client.send(open(4, 1000, 'direct-tcpip'));
    const refused = new Writer()
      .byte(92)
      .uint32(4)
      .uint32(1)
      .string('Forwarding is off.')
      .string('')
      .toBuffer();
    assert.deepEqual(await client.next(), refused);

    for (const type of ['env', 'x11-req', 'shell', 'x11-req']) client.send(request(0, type, true));
    assert.deepEqual(await upstream.next(), request(0, 'env', true));
    assert.deepEqual(await upstream.next(), request(0, 'shell', true));
    upstream.send(ofChannel(message.channelFailure, 0));
    upstream.send(ofChannel(message.channelSuccess, 0));
    const answers = [];
    for (let count = 0; count < 4; count += 1) answers.push((await client.next())[0]);
    const { channelFailure: no, channelSuccess: yes } = message;
    assert.deepEqual(answers, [no, no, yes, no]);

    for (const name of ['first@test', 'tcpip-forward', 'own@test', 'last@test'])
      client.send(globalRequest(name, true));
    assert.deepEqual(await upstream.next(), globalRequest('first@test', true));
    assert.deepEqual(await upstream.next(), globalRequest('last@test', true));
    upstream.send(Buffer.from([message.requestSuccess]));
    upstream.send(Buffer.from([message.requestSuccess, 9]));
    const results = [];
    for (let count = 0; count < 4; count += 1) results.push((await client.next()).toString('latin1'));
    assert.deepEqual(results, ['Q', 'R', 'Qmine', 'Q\t']);
  });

  test('keeps host keys from hop to hop', async (context) => {
    const { client, upstream } = await stage(context);
    upstream.send(globalRequest('hostkeys-00@openssh.com', false));
    client.send(globalRequest('hostkeys-prove-00@openssh.com', true));
    assert.deepEqual(await client.next(), Buffer.from([message.requestFailure]));
    assert.deepEqual(await client.settled(upstream), []);
    assert.deepEqual(await upstream.settled(client), []);
  });

  test('tells the client of its own host keys, and proves them', async (context) => {
    const keys = [await generateSigningKey('ssh-ed25519'), await generateSigningKey('ecdsa-sha2-nistp256')];
    const { client, upstream } = await stage(context, { hostKeys: keys });
    const announced = new Reader(await client.next());
    announced.byte('message number');
    assert.equal(announced.text('name'), 'hostkeys-00@openssh.com');
    assert.equal(announced.boolean('want reply'), false);
    const blobs = keys.map(() => announced.string('host key'));
    assert.deepEqual(
      blobs,
      keys.map(({ publicKey }) => publicKey.blob),
    );
    const prove = globalRequest('hostkeys-prove-00@openssh.com', true);
    client.send(Buffer.concat([prove, ...blobs.map((blob) => new Writer().string(blob).toBuffer())]));
    const [type, ...proofs] = await client.next();
    assert.equal(type, message.requestSuccess);
    assert.ok(areHostKeysProven(Buffer.from(proofs), client.transport.sessionId, blobs));
    // One that the relay does not have is not proven.
    const stranger = (await generateSigningKey('ssh-ed25519')).publicKey.blob;
    client.send(Buffer.concat([prove, new Writer().string(stranger).toBuffer()]));
    assert.deepEqual(await client.next(), Buffer.from([message.requestFailure]));
    assert.deepEqual(await client.settled(upstream), []);
  });

  test('lets an owner see what the environment prints, and not what is typed', async (context) => {
    const seen: string[] = [];
    const both = await stage(context, {
      policy: { opened: (channel) => (channel.onOutput = (bytes) => seen.push(bytes.toString())) },
    });
    await openChannel(both);
    both.client.send(data(0, Buffer.from('typed')));
    both.upstream.send(data(0, Buffer.from('printed')));
    both.upstream.send(extendedData(0, Buffer.from('warned')));
    await both.upstream.settled(both.client);
    assert.deepEqual(seen, ['printed', 'warned']);
  });

  for (const side of ['client', 'upstream'] as const) {
    test(`ends both connections when the ${side} leaves`, async (context) => {
      const both = await stage(context);
      await openChannel(both);
      const other = side === 'client' ? both.upstream : both.client;
      both[side].transport.disconnect(11, 'Bye.');
      assert.equal((await both.relay.ended).by, side);
      await other.ended;
      assert.deepEqual(both.relay.channels, []);
    });
  }

  for (const [what, payloads] of [
    [
      'more data than the window allows',
      [...Array.from({ length: 5 }, () => data(0, Buffer.alloc(packetBytes)))],
    ],
    ['more data in a packet than the other side takes', [data(0, Buffer.alloc(packetBytes + 1))]],
    ['data for a channel that is not there', [data(1, Buffer.alloc(1))]],
    ['data after CLOSE', [ofChannel(message.channelClose, 0), data(0, Buffer.alloc(1))]],
    ['data whose length is wrong', [Buffer.concat([data(0, Buffer.alloc(10)), Buffer.alloc(1)])]],
    ['a message that ends too early', [Buffer.from([message.channelData, 0, 0])]],
    ['a window beyond 2^32 - 1', [adjust(0, 0xffff_ffff), adjust(0, 0xffff_ffff)]],
    ['an answer to no request', [ofChannel(message.channelSuccess, 0)]],
    ['an answer to no global request', [Buffer.from([message.requestSuccess])]],
    ['a confirmation of no opening', [confirmation(0, 5, 1000)]],
    ['a second channel with the same number', [open(0, 1000)]],
  ] as const) {
    test(`ends both connections at ${what}`, async (context) => {
      const both = await stage(context);
      await openChannel(both, { clientWindow: 1000, upstreamWindow: 1000 });
      for (const payload of payloads) both.client.send(payload);
      const error = await both.client.ended;
      assert.equal(error?.code, 'disconnected');
      assert.equal(error?.reason, 2);
      await both.upstream.ended;
    });
  }

  test('refuses channels beyond its limit, and goes on', async (context) => {
    const both = await stage(context, { maximumChannels: 3 });
    for (const number of [0, 1, 2]) await openChannel(both, { c: number, u: number });
    both.client.send(open(3, 1000));
    const refused = await both.client.next();
    assert.equal(refused[0], message.channelOpenFailure);
    assert.equal(refused.readUInt32BE(5), 4);
    both.client.send(data(2, Buffer.from('still there')));
    assert.equal(bytesOf(await both.upstream.next()).toString(), 'still there');
  });

  test('carries many channels at once, with windows of any size, without mixing or losing a byte', async (context) => {
    const both = await stage(context, { clientRekey: { bytes: 200_000 } });
    const channels = fc.array(
      fc.record({ window: fc.integer({ min: 1, max: 50_000 }), bytes: fc.integer({ min: 0, max: 40_000 }) }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(channels, async (wanted) => {
        const sent = wanted.map(({ bytes }) => randomBytes(bytes));
        const received = wanted.map(() => [] as Buffer[]);
        for (const [number, { window }] of wanted.entries()) {
          await openChannel(both, { c: number, u: number, clientWindow: window });
        }
        for (const [number, bytes] of sent.entries()) {
          for (let at = 0; at < bytes.length; at += 7000)
            both.upstream.send(data(number, bytes.subarray(at, at + 7000)));
          both.upstream.send(ofChannel(message.channelClose, number));
        }
        for (let closed = 0; closed < wanted.length;) {
          const payload = await both.client.next();
          const number = payload.readUInt32BE(1);
          if (payload[0] === message.channelClose) {
            both.client.send(ofChannel(message.channelClose, number));
            assert.equal((await both.upstream.next())[0], message.channelClose);
            closed += 1;
            continue;
          }
          const bytes = bytesOf(payload);
          received[number]?.push(bytes);
          both.client.send(adjust(number, bytes.length));
        }
        assert.deepEqual(
          received.map((parts) => Buffer.concat(parts)),
          sent,
        );
      }),
      { numRuns: 20 },
    );
  });
});
