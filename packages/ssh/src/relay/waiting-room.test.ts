// A client that waits for its upstream, message by message, and then the relay that takes it over.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, describe, test } from 'node:test';
import {
  type Ends,
  type Peer,
  adjust,
  bytesOf,
  confirmation,
  data,
  ends,
  extendedData,
  globalRequest,
  ofChannel,
  open,
  packetBytes,
  request,
} from '../testing/relay-stage.ts';
import { message } from '../transport/messages.ts';
import { Writer } from '../wire.ts';
import { Relay, type RelayPolicy } from './relay.ts';
import { initialWindow } from './relay-channel.ts';
import { WaitingRoom } from './waiting-room.ts';

const { channelClose, channelEof, channelFailure, channelSuccess, requestFailure, requestSuccess } = message;
const told = confirmation(7, 0, initialWindow);

interface Stage extends Ends {
  readonly room: WaitingRoom;
}

async function stage(context: TestContext): Promise<Stage> {
  const all = await ends(context);
  return { ...all, room: new WaitingRoom(all.front) };
}

/** The client's session, as number 7, and what it asks for. */
async function enter({ client }: Stage, requests: readonly string[], window = 100_000): Promise<void> {
  client.send(open(7, window));
  assert.deepEqual(await client.next(), told);
  for (const type of requests) client.send(request(0, type, true));
}

/** Resolves when the room has seen all that the client sent. */
async function seen(client: Peer): Promise<void> {
  client.send(globalRequest('keepalive@openssh.com', true));
  assert.deepEqual(await client.next(), Buffer.from([requestFailure]));
}

function begin({ front, back, room }: Stage, policy: RelayPolicy = {}): Relay {
  return new Relay(front, back, { begun: room, policy });
}

/** The upstream confirms the session that it is asked for. */
async function confirm(upstream: Peer, { number = 0, window = 100_000 } = {}): Promise<void> {
  assert.deepEqual(await upstream.next(), open(7, initialWindow));
  upstream.send(confirmation(7, number, window));
}

describe('a waiting room', () => {
  for (const [requests, asked] of [
    [['env', 'pty-req', 'shell'], 'terminal'],
    [['pty-req'], 'terminal'],
    [['env', 'shell'], 'no terminal'],
    [['exec'], 'no terminal'],
    [['subsystem'], 'no terminal'],
  ] as const) {
    test(`knows that ${requests.join(', ')} asks for ${asked}`, async (context) => {
      const all = await stage(context);
      await enter(all, requests);
      assert.equal(await all.room.asked, asked);
    });
  }

  test('knows nothing of a client that asks for nothing, and that one which opens another channel wants no terminal', async (context) => {
    const all = await stage(context);
    const { client, room } = all;
    let asked: string | undefined;
    room.asked.then((value) => (asked = value)).catch(() => {});
    client.send(globalRequest('no-more-sessions@openssh.com', false));
    await enter(all, ['env']);
    await seen(client);
    assert.equal(asked, undefined);
    const other = await stage(context);
    other.client.send(open(0, 1000, 'direct-tcpip'));
    assert.equal(await other.room.asked, 'no terminal');
    // The number of a session behind it is the upstream's to say.
    other.client.send(open(7, 1000));
    await seen(other.client);
  });

  test('rejects when the client leaves, in good order or not', async (context) => {
    for (const leave of [
      ({ client }: Stage) => client.transport.disconnect(11, 'Bye.'),
      ({ client }: Stage) => client.transport.disconnect(2, 'Nonsense.'),
    ]) {
      const all = await stage(context);
      leave(all);
      await assert.rejects(all.room.asked, { name: 'TransportError' });
      assert.equal(all.room.say('x'), false);
      all.room.refuse('Too late.');
    }
  });

  for (const [what, payloads] of [
    ['data for no channel', [data(0, Buffer.alloc(1))]],
    ['a request for no channel', [request(0, 'shell', true)]],
    ['an answer to nothing', [Buffer.from([requestSuccess])]],
    ['another number', [open(7, 1000), request(1, 'shell', true)]],
    [
      'more data than the window',
      [open(7, 1000), ...Array.from({ length: 5 }, () => data(0, Buffer.alloc(packetBytes)))],
    ],
    ['more data than a packet may have', [open(7, 1000), data(0, Buffer.alloc(packetBytes + 1))]],
    ['a request that is cut', [open(7, 1000), request(0, 'shell', true).subarray(0, -1)]],
    ['a request behind CLOSE', [open(7, 1000), ofChannel(channelClose, 0), request(0, 'shell', true)]],
    ['a window beyond 2^32 - 1', [open(7, 0xffff_ffff), adjust(0, 1)]],
  ] as const) {
    test(`ends the connection at ${what}`, async (context) => {
      const { client, room } = await stage(context);
      for (const payload of payloads) client.send(payload);
      assert.equal((await client.ended)?.reason, 2);
      await assert.rejects(room.asked, { code: 'protocol' });
    });
  }

  test('shows text on a terminal, and only where it fits into the window', async (context) => {
    const all = await stage(context);
    const { client, room } = all;
    await enter(all, [], 20);
    await seen(client);
    assert.equal(room.say('Starting.\n'), false, 'no terminal was asked for');
    client.send(request(0, 'pty-req', true));
    await room.asked;
    assert.equal(room.say('Starting.\n'), true);
    assert.deepEqual(await client.next(), extendedData(7, Buffer.from('Starting.\r\n')));
    assert.equal(room.say('123456789\n'), false);
    client.send(adjust(0, 2));
    await seen(client);
    assert.equal(room.say('123456789\n'), true);
    assert.deepEqual(await client.next(), extendedData(7, Buffer.from('123456789\r\n')));
    client.send(ofChannel(channelClose, 0));
    await seen(client);
    assert.equal(room.say('x'), false, 'the client has closed the session');
  });

  for (const [requests, expected] of [
    [
      ['pty-req', 'shell'],
      [extendedData(7, Buffer.from('It cannot start.\r\n')), 'exit-status'],
    ],
    [['exec'], [extendedData(7, Buffer.from('It cannot start.\n')), 'exit-status']],
    [['pty-req'], [extendedData(7, Buffer.from('It cannot start.\r\n'))]],
    [[], [extendedData(7, Buffer.from('It cannot start.\n'))]],
  ] as const) {
    test(`says why it refuses a client that asked for ${requests.join(' and ') || 'nothing yet'}`, async (context) => {
      const all = await stage(context);
      const { client, room } = all;
      await enter(all, requests);
      await seen(client);
      room.refuse('It cannot start.');
      for (let count = 0; count < requests.length; count += 1) {
        assert.deepEqual(await client.next(), ofChannel(channelSuccess, 7));
      }
      for (const payload of expected) {
        const status = Buffer.concat([request(7, 'exit-status', false), Buffer.from([0, 0, 0, 255])]);
        assert.deepEqual(await client.next(), payload === 'exit-status' ? status : payload);
      }
      assert.deepEqual(await client.next(), ofChannel(channelEof, 7));
      assert.deepEqual(await client.next(), ofChannel(channelClose, 7));
      client.send(ofChannel(channelClose, 0));
      assert.equal(await client.ended, undefined, 'it ends in good order');
      assert.equal(all.room.say('x'), false);
    });
  }

  test('ends the connection of a client that it refuses without a session, or that does not close it', async (context) => {
    const without = await stage(context);
    without.room.refuse('It cannot start.');
    assert.equal(await without.client.ended, undefined);
    const silent = await stage(context);
    await enter(silent, ['exec']);
    await silent.room.asked;
    silent.room.refuse('It cannot start.');
    silent.room.refuse('Again.');
    assert.equal(await silent.client.ended, undefined);
  });

  test('answers keepalives, but for one that must wait for an earlier answer: then it shows that it is there', async (context) => {
    const all = await stage(context);
    const { client, upstream } = all;
    await enter(all, ['pty-req']);
    for (let count = 0; count < 100; count += 1) await seen(client);
    const [forward, keepalive] = ['tcpip-forward', 'keepalive@openssh.com'].map((name) =>
      globalRequest(name, true),
    );
    assert.ok(forward && keepalive);
    const { receivedBytes } = client.transport;
    client.send(forward);
    client.send(keepalive);
    while (client.transport.receivedBytes === receivedBytes) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    begin(all);
    await confirm(upstream);
    for (const expected of [request(0, 'pty-req', true), forward, keepalive]) {
      assert.deepEqual(await upstream.next(), expected);
    }
  });

  test('holds up a client that says very much, and loses nothing of it', async (context) => {
    const all = await stage(context);
    const { client, upstream, room } = all;
    const names = Array.from({ length: 400 }, (_, index) => `env-${index}-${'x'.repeat(1000)}`);
    await enter(all, [...names, 'shell']);
    assert.equal(await room.asked, 'no terminal');
    begin(all);
    await confirm(upstream);
    for (const name of [...names, 'shell']) assert.deepEqual(await upstream.next(), request(0, name, true));
  });
});

describe('a relay for a client that has waited', () => {
  test('asks the upstream for the session, swallows its confirmation, and passes what was asked for and the answers in order', async (context) => {
    const all = await stage(context);
    const { client, upstream, room } = all;
    await enter(all, ['env', 'pty-req', 'shell']);
    await room.asked;
    client.send(globalRequest('tcpip-forward', true));
    client.send(open(8, 5000));
    client.send(data(0, Buffer.from('typed')));
    client.send(data(0, Buffer.from(' ahead')));
    const opened: string[] = [];
    const relay = begin(all, {
      opened: (channel) => {
        opened.push(channel.type);
        channel.request('own', Buffer.alloc(0));
      },
      refuseRequest: ({ type }) => type === 'env',
    });
    await confirm(upstream);
    for (const expected of [
      request(0, 'own', false),
      request(0, 'pty-req', true),
      request(0, 'shell', true),
      globalRequest('tcpip-forward', true),
      open(8, initialWindow),
      data(0, Buffer.from('typed ahead')),
    ]) {
      assert.deepEqual(await upstream.next(), expected);
    }
    assert.deepEqual(opened, ['session']);
    for (const payload of [
      ofChannel(channelSuccess, 7),
      ofChannel(channelSuccess, 7),
      Buffer.from([requestSuccess]),
      confirmation(8, 1, 1000),
      data(7, Buffer.from('prompt')),
    ]) {
      upstream.send(payload);
    }
    for (const expected of [
      ofChannel(channelFailure, 7),
      ofChannel(channelSuccess, 7),
      ofChannel(channelSuccess, 7),
      Buffer.from([requestSuccess]),
      confirmation(8, 1, initialWindow),
      data(7, Buffer.from('prompt')),
    ]) {
      assert.deepEqual(await client.next(), expected);
    }
    assert.equal(relay.channels.find(({ client: { number } }) => number === 7)?.hasTerminal, true);
    assert.equal(relay.channelsOpen, 2);
    assert.deepEqual(await upstream.next(), request(1, 'own', false), 'of the other session');
    room.refuse('Too late.');
    client.send(data(0, Buffer.from('!')));
    assert.deepEqual(await upstream.next(), data(0, Buffer.from('!')));
  });

  test("goes on with what is left of the client's window, and of its own", async (context) => {
    const all = await stage(context);
    const { client, upstream, room } = all;
    await enter(all, ['pty-req'], 100);
    await room.asked;
    const typed = randomBytes(initialWindow - 3);
    for (let at = 0; at < typed.length; at += packetBytes) {
      client.send(data(0, typed.subarray(at, at + packetBytes)));
    }
    assert.equal(room.say('x'.repeat(90)), true);
    assert.equal(bytesOf(await client.next()).length, 90);
    begin(all);
    await confirm(upstream, { window: 10 });
    assert.deepEqual(await upstream.next(), request(0, 'pty-req', true));
    upstream.send(data(7, Buffer.from('0123456789abcdef')));
    assert.equal(bytesOf(await client.next()).toString(), '0123456789', 'ten were left');
    client.send(adjust(0, 1000));
    assert.equal(bytesOf(await client.next()).toString(), 'abcdef');
    assert.equal(bytesOf(await upstream.next()).length, 10);
    upstream.send(adjust(7, 1_000_000));
    const received: Buffer[] = [typed.subarray(0, 10)];
    while (Buffer.concat(received).length < typed.length) received.push(bytesOf(await upstream.next()));
    assert.ok(Buffer.concat(received).equals(typed));
    client.send(data(0, Buffer.from('and on')));
    assert.equal(bytesOf(await upstream.next()).toString(), 'and on');
  });

  test('cuts what is more than the upstream takes in a packet, which the client could not know', async (context) => {
    const all = await stage(context);
    const { client, upstream, room } = all;
    await enter(all, ['exec']);
    await room.asked;
    const sent = randomBytes(packetBytes);
    client.send(data(0, sent));
    begin(all);
    await upstream.next();
    const small = new Writer().byte(message.channelOpenConfirmation).uint32(7).uint32(0);
    upstream.send(small.uint32(1_000_000).uint32(1000).toBuffer());
    assert.deepEqual(await upstream.next(), request(0, 'exec', true));
    client.send(data(0, sent));
    for (let round = 0; round < 2; round += 1) {
      const received: Buffer[] = [];
      while (Buffer.concat(received).length < sent.length) {
        const bytes = bytesOf(await upstream.next());
        assert.ok(bytes.length <= 1000);
        received.push(bytes);
      }
      assert.ok(Buffer.concat(received).equals(sent));
    }
  });

  test('passes what comes between its beginning and the confirmation', async (context) => {
    const all = await stage(context);
    const { client, upstream } = all;
    await enter(all, ['exec']);
    await all.room.asked;
    const relay = begin(all);
    assert.deepEqual(await upstream.next(), open(7, initialWindow));
    client.send(data(0, Buffer.from('early')));
    client.send(ofChannel(channelEof, 0));
    await seen(client);
    upstream.send(confirmation(7, 0, 1000));
    for (const expected of [
      request(0, 'exec', true),
      data(0, Buffer.from('early')),
      ofChannel(channelEof, 0),
    ]) {
      assert.deepEqual(await upstream.next(), expected);
    }
    assert.equal(relay.channelsOpened, 1);
  });

  test('takes over a client that has asked for nothing, or for other channels only', async (context) => {
    const nothing = await stage(context);
    begin(nothing);
    nothing.client.send(open(7, 1000));
    await confirm(nothing.upstream);
    assert.deepEqual(await nothing.client.next(), confirmation(7, 0, initialWindow));
    const other = await stage(context);
    other.client.send(open(3, 1000, 'direct-tcpip'));
    await other.room.asked;
    begin(other);
    assert.deepEqual(await other.upstream.next(), open(3, initialWindow, 'direct-tcpip'));
    other.upstream.send(confirmation(3, 5, 1000));
    assert.deepEqual(await other.client.next(), confirmation(3, 5, initialWindow));
  });

  test('gives back a client that closed its session, as the upstream answers it', async (context) => {
    const all = await stage(context);
    const { client, upstream } = all;
    await enter(all, ['exec']);
    client.send(ofChannel(channelClose, 0));
    await seen(client);
    const relay = begin(all);
    await confirm(upstream);
    assert.deepEqual(await upstream.next(), request(0, 'exec', true));
    assert.deepEqual(await upstream.next(), ofChannel(channelClose, 0));
    upstream.send(ofChannel(channelClose, 7));
    assert.deepEqual(await client.next(), ofChannel(channelClose, 7));
    assert.deepEqual([relay.channelsOpened, relay.channelsOpen], [1, 0]);
  });

  for (const [what, answer, sentence] of [
    [
      'numbers its channels otherwise',
      confirmation(7, 3, 1000),
      'The environment numbers its channels in another way than the client was told.',
    ],
    [
      'does not open the session',
      new Writer().byte(92).uint32(7).uint32(4).string('Too many.').string('').toBuffer(),
      'The environment did not open the session: "Too many.".',
    ],
  ] as const) {
    test(`ends both connections when the upstream ${what}, and tells the client`, async (context) => {
      const all = await stage(context);
      const { client, upstream } = all;
      await enter(all, ['exec']);
      await all.room.asked;
      const relay = begin(all);
      await upstream.next();
      upstream.send(answer);
      assert.deepEqual(await client.next(), ofChannel(channelSuccess, 7));
      assert.equal(bytesOf(await client.next()).toString(), `${sentence}\n`);
      client.send(ofChannel(channelClose, 0));
      await client.ended;
      assert.equal((await relay.ended).by, 'client');
      await upstream.ended;
      assert.deepEqual(relay.channels, []);
    });
  }

  test('tells a client whose session the policy refuses, and asks the upstream for nothing', async (context) => {
    const all = await stage(context);
    const { client, upstream } = all;
    await enter(all, ['exec']);
    await all.room.asked;
    begin(all, { refuseChannel: () => 'No sessions here.' });
    assert.deepEqual(await client.next(), ofChannel(channelSuccess, 7));
    assert.equal(bytesOf(await client.next()).toString(), 'No sessions here.\n');
    client.send(ofChannel(channelClose, 0));
    await Promise.all([client.ended, upstream.ended]);
  });

  for (const side of ['client', 'upstream'] as const) {
    test(`ends both connections when the ${side} leaves before the session is confirmed`, async (context) => {
      const all = await stage(context);
      await enter(all, ['exec']);
      await all.room.asked;
      const relay = begin(all);
      await all.upstream.next();
      all[side].transport.disconnect(11, 'Bye.');
      assert.equal((await relay.ended).by, side);
      await Promise.all([all.client.ended, all.upstream.ended]);
      assert.deepEqual(relay.channels, []);
    });
  }

  test('ends both connections at what a client said wrong while it waited', async (context) => {
    const all = await stage(context);
    await enter(all, ['exec']);
    all.client.send(open(7, 1000));
    await seen(all.client);
    const relay = begin(all);
    await confirm(all.upstream);
    const { by, error } = await relay.ended;
    assert.deepEqual([by, error?.code], ['client', 'protocol']);
    await all.upstream.ended;
  });
});
