import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { HealthCheckName, PlatformHealth } from '@berth/contract';
import { healthChecks } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { audit } from '../audit/audit.ts';
import { seal } from '../audit/sealing.ts';
import type { Services } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { healthOf } from './health.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

for (const on of databases) {
  describe(`the health of the platform on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    before(async () => {
      plane = await ControlPlane.open(on);
    });
    after(() => plane.close());
    afterEach(async () => {
      await plane.database.deleteFrom('gateways').execute();
      await plane.clearAudit();
      await plane.clear();
    });

    const look = (services: Services = plane.services) => healthOf(services);
    const of = ({ checks }: PlatformHealth, name: HealthCheckName) =>
      checks.find((check) => check.name === name) ?? assert.fail(name);
    const gateway = (id: string, change: { seen_at?: Date; draining?: boolean; ended_at?: Date } = {}) =>
      plane.database
        .insertInto('gateways')
        .values({
          id,
          host: 'machine',
          version: '0.1.0',
          started_at: new Date(),
          connections: 3,
          draining: false,
          ...change,
        })
        .execute();
    const backup = async (ago: number) => {
      await plane.database
        .insertInto('audit')
        .values({ action: 'backup.make', outcome: 'done', detail: '{}', at: new Date(Date.now() - ago) })
        .execute();
      await seal(plane.database);
    };

    test('has each of its parts, in order, and the worst of them as a whole', async () => {
      await gateway('one');
      await backup(minuteMs);
      const health = await look();
      assert.deepEqual(
        health.checks.map(({ name }) => name),
        healthChecks,
      );
      for (const check of health.checks)
        if (check.name !== 'data_disk') assert.equal(check.result, 'ok', JSON.stringify(check));
      for (const { result, cure } of health.checks) assert.equal(cure === null, result === 'ok');
      const { room } = plane.runtime;
      plane.runtime.room = {
        disk: { place: '/full', freeBytes: 1000, inodes: 1, inodesFree: 1 },
      };
      const full = await look();
      plane.runtime.room = room;
      assert.equal(full.result, 'failed');
      assert.deepEqual(of(full, 'runtime_disk').facts, { free_bytes: 1000, place: '/full' });
      assert.equal(health.versions.node, process.versions.node);
    });

    test('knows the gateways that were heard a short while ago', async () => {
      assert.equal(of(await look(), 'gateways').result, 'failed', 'nobody gets in by the shared port');
      const without = plane.with({ sharedPort: 0, exposure: 'direct' });
      assert.equal(of(await look(without), 'gateways').result, 'ok', 'none is needed');
      await gateway('lives');
      await gateway('drains', { draining: true });
      await gateway('silent', { seen_at: new Date(Date.now() - 2 * minuteMs) });
      await gateway('ended', { ended_at: new Date() });
      const health = await look();
      assert.deepEqual(health.gateways.map(({ id }) => id).toSorted(), ['drains', 'lives']);
      assert.deepEqual(of(health, 'gateways').facts, { serving: 1, draining: 1, connections: 6 });
    });

    test('says since when the runtime does not answer', async () => {
      const runtimeLostSince = new Date(Date.now() - minuteMs);
      const platform = { ...plane.services.platform, runtimeFault: 'does not answer', runtimeLostSince };
      const { result, facts } = of(await look(plane.with({}, { platform })), 'runtime');
      assert.deepEqual([result, facts['lost_since']], ['failed', runtimeLostSince.toISOString()]);
    });

    test('warns of what waits for too long: environments, seals, backups', async () => {
      const { env_id: id } = await plane.create({ name: 'waits' });
      assert.deepEqual(of(await look(), 'queue').facts['waiting'], 1);
      assert.equal(of(await look(), 'queue').result, 'ok', 'it waits since just now');
      await plane.database
        .updateTable('environments')
        .set({ due_at: new Date(Date.now() - minuteMs) })
        .where('id', '=', id)
        .execute();
      assert.equal(of(await look(), 'queue').result, 'warning');

      await audit(plane.database, plane.asker, { action: 'logout' });
      assert.equal(of(await look(), 'audit').result, 'ok');
      await plane.database
        .insertInto('audit')
        .values({ action: 'x', outcome: 'done', detail: '{}', at: new Date(Date.now() - minuteMs) })
        .execute();
      assert.equal(of(await look(), 'audit').result, 'warning');
      await seal(plane.database);
      assert.equal(of(await look(), 'audit').facts['unsealed'], 0);

      assert.equal(of(await look(), 'backup').result, 'warning', 'none was made');
      await backup(8 * dayMs);
      assert.equal(of(await look(), 'backup').result, 'warning');
      await backup(minuteMs);
      assert.equal(of(await look(), 'backup').result, 'ok');
    });

    test('warns of ports that run out', async () => {
      const services = plane.with({ portRange: { first: 20000, last: 20001 } });
      assert.equal(of(await look(services), 'ports').result, 'ok');
      await plane.create({ name: 'one' }, services);
      await plane.create({ name: 'two' }, services);
      const { result, facts } = of(await look(services), 'ports');
      assert.deepEqual([result, facts['used'], facts['free']], ['failed', 2, 0]);
    });

    test('is told also when a part cannot be looked at, or hangs', async () => {
      plane.runtime.failOn('machineRoom', () => new RuntimeError('other', 'The guard is gone.', 'Look.'));
      const { result, detail } = of(await look(), 'runtime_disk');
      assert.equal(result, 'unknown');
      assert.match(detail, /The guard is gone/);
      plane.runtime.heal();
      plane.runtime.holdOn('machineRoom');
      const began = Date.now();
      assert.match(of(await look(), 'runtime_disk').detail, /no answer within 5 s|aborted/);
      assert.ok(Date.now() - began < 7000);
    });
  });
}
