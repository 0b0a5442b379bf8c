import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { RunningUsagePage, Usage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { stopEnvironment } from '../environments/environments.ts';
import { keepHouse } from '../housekeeping/housekeeping.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import type { WorkloadUsage } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { UsageCollector } from './collector.ts';

const mebibyte = 1024 ** 2;
const minuteMs = 60_000;

for (const on of databases) {
  describe(`usage on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let alice: Account;
    let collector: UsageCollector;
    let app: App;
    before(async () => {
      plane = await ControlPlane.open(on);
      alice = await plane.account('alice');
    });
    after(() => plane.close());
    afterEach(async () => {
      await app.close();
      await plane.clear();
    });

    /** A server that has just started, with the database as it is. */
    const startServer = async () => {
      collector = new UsageCollector(plane.services);
      app = await makeApp({ ...plane.services, usage: collector });
    };
    const running = async (name: string): Promise<string> => {
      const input = { name, resources: { cpu: 2, memory: 1 } };
      const { env_id: id } = await plane.create(input, plane.services, alice.principal);
      await plane.until(id, 'running');
      await known(id, 'running');
      return id;
    };
    const known = (id: string, status: string) =>
      eventually(
        () => plane.services.directory.environment(id)?.status,
        (found) => found === status,
      );
    /** @param seconds after the beginning of a minute some minutes ago */
    const measure = async (id: string, at: number, more: Partial<WorkloadUsage> = {}) => {
      plane.runtime.usages.set(id, {
        id,
        runId: 'run',
        at,
        cpuSeconds: 0,
        memoryBytes: 100 * mebibyte,
        network: { inBytes: 0, outBytes: 0 },
        gpu: null,
        ...more,
      });
      await collector.collect(at);
    };
    const usageOf = async (id: string, range: 'hour' | 'day' = 'hour') => {
      const answer = await app.inject({
        url: `${pathOf(routes.environmentUsage, { id })}?range=${range}`,
        headers: { authorization: `Bearer ${alice.token}` },
      });
      assert.equal(answer.statusCode, 200, answer.body);
      return answer.json<Usage>();
    };
    const startOfMinute = (ago: number) => Math.floor((Date.now() - ago) / minuteMs) * minuteMs;

    test('is what was used between two measurements, and what is held at the second', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const now = Date.now();
      await measure(id, now - 10_000);
      assert.equal((await usageOf(id)).live, null, 'one measurement says nothing of what flows');
      plane.runtime.storageUses.set(id, 7 * mebibyte);
      await collector.storage.countNext(new AbortController().signal);
      await measure(id, now, {
        cpuSeconds: 5,
        memoryBytes: 256 * mebibyte,
        network: { inBytes: 20_000, outBytes: 1000 },
        gpu: { share: 0.5, memoryBytes: mebibyte },
      });
      const { live, limits, series, step_seconds } = await usageOf(id);
      assert.deepEqual(live, {
        at: new Date(now).toISOString(),
        cpu_cores: 0.5,
        cpu_share: 0.25,
        memory_bytes: 256 * mebibyte,
        memory_share: 0.25,
        gpu_share: 0.5,
        gpu_memory_bytes: mebibyte,
        disk_bytes: 7 * mebibyte,
        network_in_bytes: 2000,
        network_out_bytes: 100,
      });
      assert.deepEqual(limits, {
        cpu_cores: 2,
        memory_bytes: 1024 * mebibyte,
        gpus: 0,
        disk_bytes: 3 * 20 * 1024 * mebibyte,
      });
      assert.equal(step_seconds, 10);
      assert.deepEqual(series, {
        at: [Math.round(now / 1000)],
        cpu_cores: [0.5],
        memory_bytes: [256 * mebibyte],
        gpu_share: [0.5],
        gpu_memory_bytes: [mebibyte],
        disk_bytes: [7 * mebibyte],
        network_in_bytes: [2000],
        network_out_bytes: [100],
      });
    });

    test('that cannot be told is null, and nothing is made up for it', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const now = Date.now();
      await measure(id, now - 10_000, { network: null });
      await measure(id, now, { network: null });
      const { live, series } = await usageOf(id);
      assert.deepEqual(
        [live?.gpu_share, live?.gpu_memory_bytes, live?.disk_bytes, live?.network_in_bytes],
        [null, null, null, null],
      );
      const { gpu_share, gpu_memory_bytes, disk_bytes, network_in_bytes, network_out_bytes } = series;
      assert.deepEqual(
        [gpu_share, gpu_memory_bytes, disk_bytes, network_in_bytes, network_out_bytes],
        [null, null, null, null, null],
      );
    });

    test('begins anew with each run, and is of now only while it runs', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const now = Date.now();
      await measure(id, now - 30_000, { cpuSeconds: 1000 });
      await measure(id, now - 20_000, { cpuSeconds: 1001, runId: 'another run' });
      assert.deepEqual((await usageOf(id)).series.at, [], 'what two runs have used is not compared');
      await measure(id, now - 10_000, { cpuSeconds: 1002, runId: 'another run' });
      assert.deepEqual((await usageOf(id)).series.cpu_cores, [0.1]);
      await measure(id, now, { cpuSeconds: 0, runId: 'another run' });
      assert.deepEqual((await usageOf(id)).series.cpu_cores, [0.1, 0], 'never less than nothing');

      plane.runtime.usages.delete(id);
      await stopEnvironment(plane.services, plane.asker, id);
      await known(id, 'stopped');
      await collector.collect();
      assert.equal((await usageOf(id)).series.at.length, 2, 'what was is kept');
    });

    test('is old, and not of now, when the runtime has not told for a while', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      await measure(id, Date.now() - 70_000);
      await measure(id, Date.now() - 60_000);
      plane.runtime.failOn('usage', () => new RuntimeError('unavailable', 'It is away.', 'Wait.'));
      await collector.collect();
      const { live, series } = await usageOf(id);
      assert.equal(live, null);
      assert.equal(series.at.length, 1);
    });

    test('of a minute is its mean, and the most that was held, and outlives the server', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const minute = startOfMinute(10 * minuteMs);
      const cpu = [0, 1, 3, 3, 3, 3, 3];
      for (const [index, cpuSeconds] of cpu.entries())
        await measure(id, minute + index * 9000, { cpuSeconds, memoryBytes: index === 3 ? 900 : 100 });
      const rows = () =>
        plane.database.selectFrom('environment_usage').selectAll().where('env_id', '=', id).execute();
      assert.deepEqual(await rows(), [], 'the minute is not over');
      await collector.collect(minute + minuteMs);
      const [row, ...more] = await rows();
      assert.deepEqual(more, []);
      assert.equal(row?.at.getTime(), minute);
      assert.equal(row.memory_bytes, 900);
      assert.ok(Math.abs(row.cpu_cores - 3 / 54) < 1e-6, String(row.cpu_cores));

      await app.close();
      await startServer();
      const { series, live } = await usageOf(id);
      assert.equal(live, null);
      assert.deepEqual(series.at, [minute / 1000]);
      assert.deepEqual(series.memory_bytes, [900]);
      // From now on as it is measured, and between the two is a gap.
      await measure(id, Date.now() - 10_000);
      await measure(id, Date.now());
      const joined = (await usageOf(id)).series;
      assert.deepEqual(joined.memory_bytes, [900, null, 100 * mebibyte]);
      assert.ok(joined.at.every((at, index) => index === 0 || at > (joined.at[index - 1] ?? 0)));
    });

    test('is written down when the server ends, and by whichever server is first', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const now = Date.now();
      const end = collector.start();
      await measure(id, now - 10_000);
      await measure(id, now, { memoryBytes: 1 });
      await end();
      const rows = () =>
        plane.database
          .selectFrom('environment_usage')
          .select('memory_bytes')
          .where('env_id', '=', id)
          .execute();
      assert.deepEqual(await rows(), [{ memory_bytes: 1 }]);
      const other = new UsageCollector(plane.services);
      const endOther = other.start();
      for (const at of [now - 10_000, now]) {
        plane.runtime.usages.set(id, {
          ...(plane.runtime.usages.get(id) ?? assert.fail()),
          at,
          memoryBytes: 2,
        });
        await other.collect(at);
      }
      await endOther();
      assert.deepEqual(await rows(), [{ memory_bytes: 1 }]);
    });

    test('of a day is put together to steps of five minutes, and older is forgotten', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      await sql`
        insert into environment_usage (env_id, at, cpu_cores, memory_bytes)
        select ${id}, date_trunc('hour', now()) - n * interval '1 minute', n % 5, n
        from generate_series(1, 2000) n`.execute(plane.database);
      const day = await usageOf(id, 'day');
      assert.equal(day.step_seconds, 300);
      const { at, cpu_cores, memory_bytes } = day.series;
      assert.ok(at.length >= 276 && at.length <= 289, String(at.length));
      assert.ok(
        at.every((each, index) => each % 300 === 0 && (index === 0 || each === (at[index - 1] ?? 0) + 300)),
      );
      assert.ok(cpu_cores.slice(1).every((value) => value === 2));
      assert.equal(memory_bytes.at(-1), 5, 'the most of the five');
      assert.equal(day.series.disk_bytes, null);
      const hour = await usageOf(id);
      assert.ok(hour.series.at.length <= 60);

      await keepHouse(plane.services);
      const left = await plane.database
        .selectFrom('environment_usage')
        .select((e) => e.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      assert.ok(left.count >= 1380 && left.count <= 1440, String(left.count));
    });

    test('has a gap where nothing was measured', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const base = startOfMinute(20 * minuteMs);
      for (const at of [0, 10, 20, 600, 610, 640]) await measure(id, base + at * 1000);
      const { series } = await usageOf(id);
      assert.deepEqual(
        series.at.map((at) => at - base / 1000),
        [10, 20, 310, 600, 610, 640],
      );
      assert.deepEqual(
        series.memory_bytes.map((value) => value === null),
        [false, false, true, false, false, false],
      );
    });

    test('is listed for those that run, page by page, to whoever may see them', async () => {
      await startServer();
      await plane.startReconciler();
      const ids = [await running('b'), await running('a')];
      const stopped = await running('c');
      await stopEnvironment(plane.services, plane.asker, stopped);
      await plane.until(stopped, 'stopped');
      const now = Date.now();
      for (const id of ids) await measure(id, now - 10_000);
      for (const id of ids) await measure(id, now, { cpuSeconds: 1 });
      const list = async (account: Account, query = '') => {
        const answer = await app.inject({
          url: `${routes.usage}${query}`,
          headers: { authorization: `Bearer ${account.token}` },
        });
        assert.equal(answer.statusCode, 200, answer.body);
        return answer.json<RunningUsagePage>();
      };
      const names = ({ items }: RunningUsagePage) => items.map(({ name, live }) => [name, live?.cpu_share]);
      assert.deepEqual(names(await list(alice)), [
        ['a', 0.05],
        ['b', 0.05],
      ]);
      const first = await list(alice, '?limit=1');
      assert.deepEqual(names(first), [['a', 0.05]]);
      const second = await list(alice, `?limit=1&cursor=${first.next_cursor}`);
      assert.deepEqual([names(second), second.next_cursor], [[['b', 0.05]], null]);
      assert.deepEqual((await list(await plane.account('bob'))).items, []);
      assert.equal((await list(await plane.account('operators', 'admin'))).items.length, 2);
    });

    test('goes on where the database was away', async () => {
      await startServer();
      await plane.startReconciler();
      const id = await running('demo');
      const minute = startOfMinute(10 * minuteMs);
      await sql`alter table environment_usage rename to away`.execute(plane.database);
      for (const at of [0, 10, 20, 60, 70, 120]) await measure(id, minute + at * 1000);
      await sql`alter table away rename to environment_usage`.execute(plane.database);
      await collector.collect(minute + 180_000);
      const rows = await plane.database
        .selectFrom('environment_usage')
        .select('at')
        .where('env_id', '=', id)
        .orderBy('at')
        .execute();
      assert.deepEqual(
        rows.map(({ at }) => (at.getTime() - minute) / minuteMs),
        [0, 1, 2],
      );
    });
  });
}
