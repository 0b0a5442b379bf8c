// What a transport makes of its socket, TCP or Unix: how many bytes it counts beside a witness in the middle, and how
// it ends when the other side is gone.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type TestContext, describe, test } from 'node:test';
import { generateSigningKey } from '../keys/signing-key.ts';
import { type SocketPair, socketPair, unixSocketPair } from '../testing/socket-pair.ts';
import { serverHostKey } from './host-keys.ts';
import { type RekeyLimits, Transport } from './transport.ts';
import type { TransportError } from './transport-error.ts';

const hostKey = serverHostKey(await generateSigningKey('ssh-ed25519'));
const packetBytes = 32 * 1024;

interface Stage {
  readonly server: Transport;
  readonly client: Transport;
  /** Bytes that went through the middle. */
  readonly witness: { fromClient: number; fromServer: number };
  /** Resolves when nothing more can come through the middle. */
  readonly over: Promise<unknown>;
  readonly sockets: { readonly server: SocketPair; readonly client: SocketPair };
  readonly ended: { readonly server: Promise<TransportError | undefined> };
}

/** A client and a server with somebody in between who hands on and counts. */
async function stage(
  context: TestContext,
  makePair: () => Promise<SocketPair>,
  rekey: Partial<RekeyLimits> = {},
): Promise<Stage> {
  const [front, back] = [await makePair(), await makePair()];
  context.after(() => {
    front.close();
    back.close();
  });
  const witness = { fromClient: 0, fromServer: 0 };
  handOn(front.accepted, back.connected, (bytes) => (witness.fromClient += bytes));
  handOn(back.connected, front.accepted, (bytes) => (witness.fromServer += bytes));
  const over = Promise.all(
    [front.accepted, back.connected].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
  );
  const end = Promise.withResolvers<TransportError | undefined>();
  const server = Transport.server(back.accepted, { hostKeys: [hostKey], rekey, closed: end.resolve });
  const client = Transport.client(front.connected, { whyNotHostKey: () => undefined });
  await Promise.all([server.established, client.established]);
  return {
    server,
    client,
    witness,
    over,
    sockets: { server: back, client: front },
    ended: { server: end.promise },
  };
}

/** Reads to the last byte, also when nobody is there any more to hand it to. */
function handOn(from: Socket, to: Socket, count: (bytes: number) => void): void {
  from.on('data', (bytes: Buffer) => {
    count(bytes.length);
    if (!to.destroyed && !to.write(bytes)) from.pause();
  });
  to.on('drain', () => from.resume()).on('close', () => from.resume());
  from.on('error', () => {}).on('close', () => to.end());
}

/** Resolves when that many bytes of payloads came. */
function take(transport: Transport, bytes: number): { all: Promise<void>; drained: () => Promise<void> } {
  const { promise: all, resolve } = Promise.withResolvers<void>();
  let drained = Promise.withResolvers<void>();
  let received = 0;
  transport.handle({
    packet: (payload) => {
      received += payload.length;
      if (received >= bytes) resolve();
    },
    drained: () => drained.resolve(),
    closed: () => resolve(),
  });
  return {
    all,
    drained: () => {
      drained = Promise.withResolvers<void>();
      return drained.promise;
    },
  };
}

async function feed(transport: Transport, count: number, drained: () => Promise<void>): Promise<void> {
  const payload = Buffer.concat([Buffer.from([94]), randomBytes(packetBytes - 1)]);
  for (let sent = 0; sent < count; sent += 1) {
    if (!transport.send(payload)) await drained();
    // As one read of a relay's other leg, not all in one write.
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const [kind, makePair] of [
  ['TCP', socketPair],
  ['Unix', unixSocketPair],
] as const) {
  describe(`a transport on a ${kind} socket`, () => {
    test('counts every byte in either direction, with the key exchanges, and no other', async (context) => {
      const both = await stage(context, makePair, { bytes: 1024 * 1024 });
      const { server, client, witness } = both;
      const agree = (): void => {
        assert.deepEqual(
          { sent: client.sentBytes, received: client.receivedBytes },
          { sent: witness.fromClient, received: witness.fromServer },
        );
        assert.deepEqual(
          { sent: server.sentBytes, received: server.receivedBytes },
          { sent: witness.fromServer, received: witness.fromClient },
        );
      };
      const count = 256;
      const [atServer, atClient] = [server, client].map((side) => take(side, count * packetBytes));
      assert.ok(atServer && atClient);
      // So that the kernel takes some of it only later.
      const { connected } = both.sockets.server;
      const { accepted } = both.sockets.client;
      for (const socket of [connected, accepted]) socket.pause();
      const fed = [feed(client, count, atClient.drained), feed(server, count, atServer.drained)];
      do await new Promise((resolve) => setImmediate(resolve));
      while (client.pendingBytes === 0 || server.pendingBytes === 0);
      for (const socket of [connected, accepted]) socket.resume();
      await Promise.all([...fed, atServer.all, atClient.all]);
      assert.ok(witness.fromClient > count * packetBytes && witness.fromServer > count * packetBytes);
      // The last key exchange is still on its way.
      while (server.sentBytes > client.receivedBytes || client.sentBytes > server.receivedBytes) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      agree();
      client.disconnect(11, 'Done.');
      await both.ended.server;
      await Promise.all([client.finished, server.finished, both.over]);
      agree();
    });

    test('counts what comes after its own end, until the socket is closed', async (context) => {
      const { server, client, witness, over, ended } = await stage(context, makePair);
      server.disconnect(11, 'Enough.');
      await ended.server;
      const before = server.receivedBytes;
      client.send(Buffer.alloc(packetBytes, 94));
      await Promise.all([server.finished, over]);
      assert.ok(server.receivedBytes > before);
      assert.equal(server.receivedBytes, witness.fromClient);
      assert.equal(server.sentBytes, witness.fromServer);
    });

    test('ends at once when the other side is gone in the middle of a transfer', async (context) => {
      const { server, client, sockets, ended } = await stage(context, makePair);
      const atClient = take(client, 64 * packetBytes);
      const { drained } = take(server, Infinity);
      void feed(server, 10_000, drained);
      await atClient.all;
      sockets.client.connected.destroy();
      await ended.server;
      await server.finished;
      assert.equal(server.send(Buffer.from([94])), true, 'nothing is kept for a peer that is gone');
      assert.equal(server.pendingBytes, 0);
    });
  });
}
