// What the process stands on, and the one thing beside packets that the addon does.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  assert.equal(quickAck(socket), hasAddon);
  socket.end();
  await once(socket, 'close');
  assert.equal(quickAck(socket), false);
  await new Promise((resolve) => server.close(resolve));

  // A socket that is none of TCP's.
  const path = join(tmpdir(), `quick-ack-${process.pid}.sock`);
  const other = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => other.listen(path, resolve));
  const unfit = connect(path);
  await once(unfit, 'connect');
  assert.equal(quickAck(unfit), false);
  unfit.end();
  await once(unfit, 'close');
  await new Promise((resolve) => other.close(resolve));
});
