/** Ports open and close as the state says, and what is taken is said and tried again. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { freePort, missingSshd } from '../../../ssh/src/testing/sshd.ts';
import { freePorts } from '../testing/gateway.ts';
import { Stage, demo } from '../testing/stage.ts';
import { until } from '../testing/until.ts';

async function greets(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    const [line] = (await once(socket, 'data')) as [Buffer];
    return line.toString().startsWith('SSH-2.0-Berth');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('ports', { skip: missingSshd }, () => {
  test('open and close with the environment, at once, and move with it', async () => {
    await using stage = await Stage.start();
    const [first, second] = [stage.ownPort, await freePort()];
    assert.ok(await greets(first));
    stage.setEnvironment({ port: second });
    await until('the new port', () => greets(second), 1000);
    assert.equal(await greets(first), false);
    stage.setEnvironment({ port: null });
    await until('no port', async () => !(await greets(second)), 1000);
    assert.ok(await greets(stage.sharedPort));
    stage.setSettings({ sharedPort: 0 });
    await until('no shared port', async () => !(await greets(stage.sharedPort)), 1000);
    stage.tell({ type: 'environment', id: demo, route: null });
    assert.deepEqual(stage.sockets.ports, []);
  });

  test('follow a state that begins anew, once it is complete', async () => {
    await using stage = await Stage.start();
    const lines = stage.worker.toLines();
    const port = await freePort();
    for (const line of lines) {
      const isDemo = line.type === 'environment' && line.route?.id === demo;
      stage.worker.apply(isDemo && line.route ? { ...line, route: { ...line.route, port } } : line);
    }
    await until('the moved port', () => greets(port), 1000);
    assert.equal(await greets(stage.ownPort), false);
    assert.deepEqual(stage.sockets.ports.sort(), [port, stage.sharedPort].sort());
  });

  test('one that is taken is said once, tried again, and opened when it is free', async () => {
    await using stage = await Stage.start();
    const taker = createServer();
    taker.listen(0, '127.0.0.1');
    await once(taker, 'listening');
    const { port } = taker.address() as { port: number };
    stage.setEnvironment({ port });
    const said = () => stage.records.filter(({ type }) => type === 'port-taken');
    await until('the record', () => said().length > 0);
    assert.partialDeepStrictEqual(said(), [{ environment: demo, port }]);
    taker.close();
    await once(taker, 'close');
    await until('the port', () => greets(port), 8000);
    assert.equal(said().length, 1);
  });

  test('thousands open within a second', async () => {
    await using stage = await Stage.start();
    const lines = stage.worker.toLines();
    const [route] = lines.flatMap((line) =>
      line.type === 'environment' && line.id === demo ? line.route : [],
    );
    assert.ok(route);
    const ports = await freePorts(2000);
    const before = performance.now();
    for (const [index, port] of ports.entries()) {
      const id = `many-${index}`;
      stage.worker.apply({ type: 'environment', number: 1000 + index, id, route: { ...route, id, port } });
    }
    // Some may have become another program's.
    await until('the ports', () => stage.sockets.ports.length > 0.9 * ports.length, 5000);
    const ms = performance.now() - before;
    assert.ok(ms < 1000, `${ms} ms`);
  });
});
