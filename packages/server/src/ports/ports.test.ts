import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import type { CreateEnvironment } from '@berth/contract';
import Docker from 'dockerode';
import { databases } from '../../../../test/harness/databases.ts';
import { deleteEnvironment, startEnvironment, stopEnvironment } from '../environments/environments.ts';
import { DockerRuntime } from '../runtime/docker/docker-runtime.ts';
import type { Settings } from '../settings.ts';
import { ControlPlane } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`own ports on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    before(async () => {
      plane = await ControlPlane.open(on, { stopGraceSeconds: 1 });
    });
    after(() => plane.close());
    afterEach(() => plane.clear());

    const range = (first: number, last: number): Pick<Settings, 'portRange'> => ({
      portRange: { first, last },
    });
    let count = 0;
    const create = (settings: Partial<Settings>, input: Partial<CreateEnvironment> = {}) =>
      plane.create({ name: `port-${(count += 1)}`, ...input }, plane.with(settings));
    const remove = async (id: string) => {
      await deleteEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'gone');
    };
    const history = () => plane.database.selectFrom('port_mappings').selectAll().orderBy('id').execute();
    /** As if its port had been released that long ago. */
    const age = (port: number, seconds: number) =>
      plane.database
        .updateTable('port_mappings')
        .set({ released_at: new Date(Date.now() - seconds * 1000) })
        .where('external_port', '=', port)
        .where('status', '=', 'released')
        .execute();

    test('are never given to two of 200 environments that are asked for at once', async () => {
      const settings = range(20000, 20199);
      const answers = await Promise.all(
        Array.from({ length: 200 }, () => create(settings, { own_port: 'yes' })),
      );
      const ports = answers.map(({ ssh_port }) => ssh_port ?? 0);
      assert.deepEqual(
        ports.toSorted((a, b) => a - b),
        Array.from({ length: 200 }, (_, index) => 20000 + index),
      );
      assert.equal(new Set(answers.map(({ env_id }) => env_id)).size, 200);
      await assert.rejects(create(settings, { own_port: 'yes' }), { code: 'ports_exhausted' });
    });

    test('are given in order', async () => {
      const settings = range(20000, 20009);
      for (const port of [20000, 20001, 20002]) assert.equal((await create(settings)).ssh_port, port);
    });

    test('are given at random when that is asked for', async () => {
      const settings: Partial<Settings> = { ...range(20000, 21999), portOrder: 'random' };
      const ports: number[] = [];
      for (let round = 0; round < 5; round += 1) ports.push((await create(settings)).ssh_port ?? 0);
      assert.equal(new Set(ports).size, 5);
      assert.ok(ports.every((port) => port >= 20000 && port <= 21999));
      assert.notDeepEqual(ports, [20000, 20001, 20002, 20003, 20004]);
    });

    test('are kept from stop to start, and not given to others meanwhile', async () => {
      await plane.startReconciler();
      const settings = range(20000, 20009);
      const { env_id: id, ssh_port } = await create(settings);
      await plane.until(id, 'running');
      await stopEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'stopped');
      assert.equal((await create(settings)).ssh_port, 20001);
      await startEnvironment(plane.services, plane.asker, id);
      assert.equal((await plane.until(id, 'running')).ssh_port, ssh_port);
    });

    test('rest after their release, and are given out early only when nothing else is free, longest rested first', async () => {
      await plane.startReconciler();
      const settings = { ...range(20000, 20003), portRestSeconds: 600 };
      const ids = [];
      for (let round = 0; round < 4; round += 1) ids.push((await create(settings)).env_id);
      for (const id of ids.slice(0, 3)) await remove(id);
      await age(20000, 10);
      await age(20001, 500);
      await age(20002, 601);
      const given = [];
      for (let round = 0; round < 3; round += 1) given.push((await create(settings)).ssh_port);
      assert.deepEqual(given, [20002, 20001, 20000]);
    });

    test('have a complete history', async () => {
      await plane.startReconciler();
      const settings = { ...range(20000, 20000), portRestSeconds: 0 };
      const began = Date.now();
      const first = await create(settings);
      await plane.until(first.env_id, 'running');
      await remove(first.env_id);
      const second = await create(settings);
      const rows = await history();
      assert.deepEqual(
        rows.map(({ env_id, external_port, internal_port, status }) => ({
          env_id,
          external_port,
          internal_port,
          status,
        })),
        [
          { env_id: first.env_id, external_port: 20000, internal_port: 22, status: 'released' },
          { env_id: second.env_id, external_port: 20000, internal_port: 22, status: 'active' },
        ],
      );
      const [released, active] = rows;
      assert.ok(released?.released_at && active);
      assert.ok(released.allocated_at.getTime() >= began - 1000);
      assert.ok(released.released_at > released.allocated_at);
      assert.ok(active.allocated_at >= released.released_at);
      assert.equal(active.released_at, null);
    });

    test('that another program listens on are passed over, and the timeline says so', async () => {
      const listener = createServer().listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const { port } = listener.address() as AddressInfo;
      const runtime = new DockerRuntime({
        docker: new Docker(),
        installationId: plane.installation.id,
        secretsFolder: plane.folder,
        portAddress: '127.0.0.1',
        guardImage: null,
      });
      const services = plane.with(range(port, port), { runtime });
      const auto = await plane.create({ name: 'auto' }, services);
      assert.equal(auto.ssh_port, null);
      await assert.rejects(plane.create({ name: 'yes', own_port: 'yes' }, services), {
        code: 'ports_exhausted',
        message: `None of the 1 ports ${port}-${port} is left: 0 in use, 0 resting, 1 held by other programs.`,
      });
      listener.close();
      await once(listener, 'close');
      assert.equal((await plane.create({ name: 'free', own_port: 'yes' }, services)).ssh_port, port);
    });

    test('held by others, one or many, are passed over, and the timeline says so', async () => {
      plane.runtime.heldPorts.add(20000);
      const one = await create(range(20000, 20100));
      assert.equal(one.ssh_port, 20001);
      assert.deepEqual((await plane.timeline(one.env_id)).slice(1), [
        'port: Port 20000 was passed over: another program on this host holds it.',
        'port: Port 20001 is its own.',
      ]);
      for (let port = 20002; port < 20050; port += 1) plane.runtime.heldPorts.add(port);
      const many = await create(range(20000, 20100));
      assert.equal(many.ssh_port, 20050);
      assert.match((await plane.timeline(many.env_id))[1] ?? '', /Ports 20000, 20002, .* were passed over/);
    });

    test('when none is left: auto goes without and says so, yes is refused with the numbers, no never asked', async () => {
      await plane.startReconciler();
      const settings = { ...range(20000, 20001), portRestSeconds: 600 };
      const { env_id: first } = await create(settings);
      const { env_id: second } = await create(settings);
      await plane.until(second, 'running');
      plane.runtime.heldPorts.add(20001);
      await remove(second);

      const auto = await create(settings, { own_port: 'auto' });
      assert.equal(auto.ssh_port, null);
      assert.match(
        (await plane.timeline(auto.env_id)).join('\n'),
        /note: It goes without an own port\. None of/,
      );
      await plane.until(auto.env_id, 'running');

      await assert.rejects(create(settings, { name: 'insists', own_port: 'yes' }), {
        code: 'ports_exhausted',
        status: 503,
        message: 'None of the 2 ports 20000-20001 is left: 1 in use, 1 resting, 1 held by other programs.',
      });
      const left = await plane.database
        .selectFrom('environments')
        .select('id')
        .where('name', '=', 'insists')
        .execute();
      assert.deepEqual(left, [], 'a refused request leaves no row');

      const none = await create(settings, { own_port: 'no' });
      assert.equal(none.ssh_port, null);
      assert.doesNotMatch((await plane.timeline(none.env_id)).join('\n'), /ort/);

      // The one that goes without starts without as well, and takes one once there is one.
      await stopEnvironment(plane.services, plane.asker, auto.env_id);
      await plane.until(auto.env_id, 'stopped');
      await startEnvironment(plane.with(settings), plane.asker, auto.env_id);
      assert.equal((await plane.until(auto.env_id, 'running')).ssh_port, null);
      await remove(first);
      await stopEnvironment(plane.services, plane.asker, auto.env_id);
      await plane.until(auto.env_id, 'stopped');
      await startEnvironment(plane.with(settings), plane.asker, auto.env_id);
      assert.equal((await plane.until(auto.env_id, 'running')).ssh_port, 20000);
    });
  });
}
