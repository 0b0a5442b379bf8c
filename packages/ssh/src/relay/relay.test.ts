// The relay between two real connections: a client's that has logged in, and one to an upstream. Both far ends speak
// the connection layer message by message, so that each test says what is on the wire.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, describe, test } from 'node:test';
import fc from 'fast-check';
import { areHostKeysProven } from '../connection/host-keys.ts';
import { generateSigningKey } from '../keys/signing-key.ts';
import {
  type Peer,
  type Stage,
  adjust,
  bytesOf,
  confirmation,
  data,
  extendedData,
  globalRequest,
  largeWindow,
  ofChannel,
  open,
  openChannel,
  packetBytes,
  request,
  stage,
} from '../testing/relay-stage.ts';
import { message } from '../transport/messages.ts';
import { WindowBudget } from '../window-budget.ts';
import { Reader, Writer } from '../wire.ts';
import { type RelayChannel, initialWindow } from './relay-channel.ts';

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

  test('counts its channels', async (context) => {
    const both = await stage(context);
    const { client, upstream, relay } = both;
    const counts = (): number[] => [relay.channelsOpened, relay.channelsOpen];
    assert.deepEqual(counts(), [0, 0]);
    await openChannel(both);
    await openChannel(both, { c: 1, u: 1 });
    client.send(open(2, 1000));
    await upstream.next();
    upstream.send(new Writer().byte(92).uint32(2).uint32(2).string('No.').string('').toBuffer());
    await client.next();
    client.send(data(1, Buffer.alloc(10)));
    upstream.send(extendedData(1, Buffer.alloc(20)));
    await client.settled(upstream);
    await upstream.settled(client);
    const [, channel] = relay.channels;
    assert.deepEqual([channel?.client.receivedBytes, channel?.upstream.receivedBytes], [10, 20]);
    assert.deepEqual(counts(), [2, 2]);
    client.send(ofChannel(message.channelClose, 0));
    upstream.send(ofChannel(message.channelClose, 0));
    await client.settled(upstream);
    assert.deepEqual(counts(), [2, 1]);
    client.transport.disconnect(11, 'Bye.');
    await relay.ended;
    assert.deepEqual(counts(), [2, 0]);
  });

  test("sends a request of its owner's before anything of the client's", async (context) => {
    const details = new Writer().string('BERTH_CLIENT').string('192.0.2.1 5 22').toBuffer();
    const { client, upstream } = await stage(context, {
      policy: { opened: (channel) => assert.equal(channel.request('env', details), true) },
    });
    client.send(open(4, 1000));
    await upstream.next();
    upstream.send(confirmation(4, 6, 1000));
    await client.next();
    client.send(request(6, 'shell', true));
    assert.deepEqual(await upstream.next(), Buffer.concat([request(6, 'env', false), details]));
    assert.deepEqual(await upstream.next(), request(6, 'shell', true));
    // The answer is the shell's.
    upstream.send(ofChannel(message.channelSuccess, 4));
    assert.deepEqual(await client.next(), ofChannel(message.channelSuccess, 4));
  });

  describe('that shows text of its own', () => {
    interface TerminalStage extends Stage {
      readonly channel: RelayChannel;
    }

    async function terminal(
      context: TestContext,
      { clientWindow = largeWindow, answer = message.channelSuccess as number } = {},
    ): Promise<TerminalStage> {
      const both = await stage(context);
      await openChannel(both, { clientWindow });
      both.client.send(request(0, 'env', true));
      both.client.send(request(0, 'pty-req', true));
      for (const number of [message.channelFailure, answer]) {
        await both.upstream.next();
        both.upstream.send(ofChannel(number, 0));
        assert.deepEqual(await both.client.next(), ofChannel(number, 0));
      }
      const [channel] = both.relay.channels;
      assert.ok(channel);
      return { ...both, channel };
    }

    test('does so on terminals, with their line ends, and leaves the data of the upstream as it is counted', async (context) => {
      const { client, upstream, channel } = await terminal(context);
      assert.equal(channel.hasTerminal, true);
      upstream.send(data(0, Buffer.from('before')));
      assert.deepEqual(await client.next(), data(0, Buffer.from('before')));
      assert.equal(channel.say('Soon.\nNow.\r\n'), true);
      assert.deepEqual(await client.next(), extendedData(0, Buffer.from('Soon.\r\nNow.\r\n')));
      assert.equal(channel.upstream.receivedBytes, 6);
      upstream.send(data(0, Buffer.from('after')));
      assert.deepEqual(await client.next(), data(0, Buffer.from('after')));
    });

    test('does not where the upstream gave no terminal, and on no other channel', async (context) => {
      const { client, upstream, channel } = await terminal(context, { answer: message.channelFailure });
      assert.equal(channel.hasTerminal, false);
      assert.equal(channel.say('Soon.'), false);
      assert.deepEqual(await upstream.settled(client), []);
    });

    test("waits for the client's window behind what waits for it already, and grants the upstream nothing for it", async (context) => {
      const { client, upstream, channel } = await terminal(context, { clientWindow: 10 });
      upstream.send(data(0, Buffer.from('0123456789abcdef')));
      assert.equal(bytesOf(await client.next()).toString(), '0123456789');
      await upstream.settled(client);
      assert.equal(channel.say('x'.repeat(16 * 1024 - 100)), true);
      assert.equal(channel.say('y'.repeat(101)), false, 'so much waits already');
      upstream.send(data(0, Buffer.alloc(200)));
      upstream.send(ofChannel(message.channelEof, 0));
      await upstream.settled(client);
      assert.equal(channel.say('late'), false, 'its output has ended');
      client.send(adjust(0, 10));
      assert.deepEqual(await client.next(), data(0, Buffer.from('abcdef')));
      assert.deepEqual(await client.next(), extendedData(0, Buffer.from('xxxx')));
      client.send(adjust(0, 100_000));
      assert.equal(bytesOf(await client.next()).length, 16 * 1024 - 104);
      assert.deepEqual(await client.next(), data(0, Buffer.alloc(200)));
      assert.deepEqual(await client.next(), ofChannel(message.channelEof, 0));
      assert.deepEqual(await upstream.settled(client), [], 'the windows of the upstream are its own');
    });

    for (const [what, payload] of [
      ['has closed the channel', ofChannel(message.channelClose, 0)],
      ['has gone', undefined],
    ] as const) {
      test(`does not for a client that ${what}`, async (context) => {
        const { client, upstream, channel, relay } = await terminal(context);
        if (payload === undefined) {
          client.transport.disconnect(11, 'Bye.');
          await relay.ended;
        } else {
          client.send(payload);
          await client.settled(upstream);
        }
        assert.equal(channel.say('Soon.'), false);
        assert.equal(channel.request('env', Buffer.alloc(0)), false);
      });
    }

    test('comes behind the packet in which it was said', async (context) => {
      const said: boolean[] = [];
      const both = await stage(context, {
        policy: { opened: (opened) => void [(opened.hasTerminal = true), said.push(opened.say('Welcome.'))] },
      });
      both.client.send(open(0, 1000));
      await both.upstream.next();
      both.upstream.send(confirmation(0, 0, 1000));
      assert.equal((await both.client.next())[0], message.channelOpenConfirmation);
      assert.deepEqual(await both.client.next(), extendedData(0, Buffer.from('Welcome.')));
      assert.deepEqual(said, [true]);
    });
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
