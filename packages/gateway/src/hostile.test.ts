/** What a thousand of the worst clients cost: no memory that grows with what they do, no processor, and no login of others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Writer, dial } from '@berth/ssh';
import type { Transport } from '@berth/ssh';
import { missingSshd } from '../../ssh/src/testing/sshd.ts';
import { Stage, demo, password } from './testing/stage.ts';
import { until } from './testing/until.ts';

const crowd = 1000;
/** Of those that are let in, and their channels: each costs the machine an sshd or a shell. */
const stalled = 5;
const channelsEach = 4;
const mostBytesEach = 160 * 1024;

describe('hostile clients', { skip: missingSshd }, () => {
  let stage: Stage;
  const sockets = new Set<Socket>();
  before(async () => {
    stage = await Stage.start({ graceSeconds: 60, connectionsPerSecond: 10 * crowd });
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await stage[Symbol.asyncDispose]();
  });

  const open = async (port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.add(socket);
    await once(socket, 'connect');
    return socket;
  };
  const logIn = async (): Promise<void> => {
    const { stdout, stderr } = await stage.ssh({
      way: 'shared-port',
      identities: [stage.personKey.file],
      command: 'echo in',
    });
    assert.equal(stdout, 'in\n', stderr);
  };

  test('a thousand that say nothing, rubbish, or half a greeting', async () => {
    await logIn();
    const before = process.memoryUsage().rss;
    for (let index = 0; index < crowd; index += 1) {
      const socket = await open(index % 2 === 0 ? stage.sharedPort : stage.ownPort);
      socket.pause();
      if (index % 3 === 1) socket.write(Buffer.alloc(4096, index));
      if (index % 3 === 2) socket.write('SSH-2.0-half');
    }
    await logIn();
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < crowd * mostBytesEach, `${Math.round(grown / crowd / 1024)} KiB each`);
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    const metrics = () => stage.worker.metrics()['berth_gateway_unauthenticated_connections'];
    await until('all are forgotten', () => metrics() === 0);
  });

  test('those that are in, open many channels, ask for much and read nothing', async () => {
    const transports: Transport[] = [];
    for (let index = 0; index < stalled; index += 1) {
      const transport = await dial({
        ...{ host: '127.0.0.1', port: stage.sharedPort, user: demo },
        credentials: [{ method: 'password', password }],
        hostKey: () => undefined,
      });
      transports.push(transport);
      await stall(transport);
    }
    await until('all channels are open', () => {
      const open = new Map(stage.connections().map(({ id, open_channels }) => [id, open_channels]));
      return [...open.values()].filter((count) => count === channelsEach).length === stalled;
    });
    const sent = () => stage.worker.metrics()['berth_gateway_relayed_bytes_total{direction="out"}'];
    let before: number | undefined;
    await until(
      'the kernels take nothing more',
      async () => {
        before = sent();
        await pause(1000);
        return sent() === before;
      },
      60_000,
    );
    // Whatever waits there costs nothing more, and whoever comes is served.
    const used = process.cpuUsage();
    await logIn();
    const { user, system } = process.cpuUsage(used);
    assert.ok(user + system < 1_000_000, `${user + system} us`);
    const { rss } = process.memoryUsage();
    assert.ok(rss < 500 * 1024 * 1024, `${Math.round(rss / 1024 / 1024)} MiB`);
    for (const transport of transports) transport.disconnect(11, 'enough');
    await until('they are gone', () => stage.worker.connections().length === 0, 20_000);
  });
});

/** Opens sessions, starts in each what writes without end, and then reads nothing. */
async function stall(transport: Transport): Promise<void> {
  const opened = Promise.withResolvers<void>();
  const numbers: number[] = [];
  transport.handle({
    packet: (payload) => {
      if (payload[0] !== 91) return;
      numbers.push(payload.readUInt32BE(5));
      if (numbers.length === channelsEach) opened.resolve();
    },
    closed: (error) => opened.reject(error ?? new Error('closed')),
  });
  const window = 0x7fff_ffff;
  for (let channel = 0; channel < channelsEach; channel += 1) {
    const body = new Writer().byte(90).string('session').uint32(channel).uint32(window).uint32(0x8000);
    transport.send(body.toBuffer());
  }
  await opened.promise;
  for (const number of numbers) {
    const body = new Writer()
      .byte(98)
      .uint32(number)
      .string('exec')
      .boolean(false)
      .string('exec cat /dev/zero');
    transport.send(body.toBuffer());
  }
  transport.pause();
}
