// What the process stands on, and the one thing beside packets that the addon does.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { implementation, packetProtection, quickAck } from './implementation.ts';
import { packetAlgorithm } from './packet-algorithms.ts';
import { Packets } from './packets.ts';

test('protects packets with what it says it does', () => {
  const algorithm = packetAlgorithm('aes128-gcm@openssh.com');
  const keys = { encryptionKey: Buffer.alloc(16), iv: Buffer.alloc(12), macKey: Buffer.alloc(0) };
  const bytes = packetProtection.createProtector(algorithm, keys).sealOne(Buffer.from('text'));
  const opener = packetProtection.createOpener(algorithm, keys);
  const packets = new Packets(1);
  assert.equal(opener.open(bytes, 0, bytes.length, packets), bytes.length);
  assert.equal(packets.payload(bytes, 0).toString(), 'text');
  assert.equal(opener.constructor.name, implementation().name === 'addon' ? 'NativeOpener' : 'NodeOpener');
});

test('asks the kernel for acknowledgements on sockets, and takes a no', async () => {
  const hasAddon = implementation().name === 'addon';
  const server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  assert.equal(quickAck(descriptorOf(socket)), hasAddon);
  socket.end();
  await once(socket, 'close');
  await new Promise((resolve) => server.close(resolve));

  const file = openSync('/dev/null');
  assert.equal(quickAck(file), false);
  closeSync(file);
  assert.equal(quickAck(-1), false);
});

/** Node keeps it in its own handle. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } };
  return handle.fd;
}
