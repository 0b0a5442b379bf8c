import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { CreatedEnvironment, Environment, KeptStoragePage, Problem } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`the files of a deleted environment on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let bob: Account;
    before(async () => {
      plane = await ControlPlane.open(on, { stopGraceSeconds: 1 });
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(() => plane.clear());

    const call = (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, { token } = alice) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const running = async (input: { name: string; adopt_storage?: string }) => {
      const answer = await call('POST', routes.environments, input);
      assert.equal(answer.statusCode, 202, answer.body);
      const created = answer.json<CreatedEnvironment>();
      await plane.until(created.env_id, 'running');
      return created.env_id;
    };
    const remove = async (id: string, query = '') => {
      const answer = await call('DELETE', `${pathOf(routes.environment, { id })}${query}`);
      assert.equal(answer.statusCode, 202, answer.body);
      await plane.until(id, 'gone');
    };
    const kept = async (account = alice) =>
      (await call('GET', routes.keptStorage, undefined, account)).json<KeptStoragePage>().items;
    const drop = (id: string, account = alice) =>
      call('DELETE', pathOf(routes.keptStorageOf, { id }), undefined, account);
    const adopt = (id: string, account = alice, more: object = {}) =>
      call('POST', routes.environments, { name: 'heir', adopt_storage: id, ...more }, account);
    const gone = async (id: string) => {
      for (const deadline = Date.now() + 5000; plane.runtime.storage.has(id);) {
        assert.ok(Date.now() < deadline, `the files of ${id} are there still`);
        await pause(10);
      }
    };
    /** What has been reported as belonging to nobody after everything was looked at once more. */
    const unclaimed = async () => {
      const before = plane.runtime.calls.filter((name) => name === 'prepare').length;
      plane.runtime.comeBack();
      while (plane.runtime.calls.filter((name) => name === 'prepare').length === before) await pause(10);
      await pause(50);
      return plane.services.platform.unclaimed.map(({ name }) => name);
    };

    test('are gone, unless it is asked that they are kept', async () => {
      await plane.startReconciler();
      const [plain, keeping] = [await running({ name: 'plain' }), await running({ name: 'keeping' })];
      await remove(plain);
      await remove(keeping, '?keep_storage=true');
      assert.deepEqual([...plane.runtime.storage], [keeping]);
      assert.equal(plane.runtime.workloads.has(keeping), false);
      const [only, ...others] = await kept();
      assert.deepEqual(others, []);
      assert.ok(only && Date.parse(only.kept_since) <= Date.now());
      assert.deepEqual(
        [only.env_id, only.name, only.customer_id, only.storage],
        [keeping, 'keeping', alice.principal.customerId, 20],
      );
      assert.deepEqual(await unclaimed(), []);
      assert.match((await plane.timeline(keeping)).at(-1) ?? '', /its files and this history are left/);
    });

    test('are not kept of one that never ran', async () => {
      plane.runtime.failOn('run', () => new RuntimeError('refused', 'It cannot.', 'Nothing.'));
      await plane.startReconciler();
      const { env_id: id } = (await call('POST', routes.environments, { name: 'never' })).json<Environment>();
      await plane.until(id, 'failed');
      await remove(id, '?keep_storage=true');
      assert.deepEqual(await kept(), []);
      assert.deepEqual([...plane.runtime.storage], []);
    });

    test('go to a new environment of the same customer, and to one only', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      const heir = await running({ name: 'heir', adopt_storage: first });
      assert.equal(plane.runtime.workloads.get(heir)?.spec.storageId, first);
      assert.deepEqual([...plane.runtime.storage], [first]);
      assert.deepEqual(await kept(), []);
      assert.deepEqual(await unclaimed(), []);
      const again = await adopt(first, alice, { name: 'second heir' });
      assert.equal(again.statusCode, 409, again.body);
      const { code, detail, field } = again.json<Problem>();
      assert.deepEqual([code, field], ['in_use', 'adopt_storage']);
      assert.ok(detail.includes(heir));

      await remove(heir, '?keep_storage=true');
      assert.deepEqual(
        (await kept()).map(({ env_id }) => env_id),
        [heir],
      );
      const third = await running({ name: 'third', adopt_storage: heir });
      assert.equal(plane.runtime.workloads.get(third)?.spec.storageId, first);
      assert.deepEqual(await unclaimed(), []);
      await remove(third);
      assert.deepEqual([...plane.runtime.storage], []);
      assert.equal((await adopt(first)).json<Problem>().code, 'unknown_reference');
    });

    test('that two ask for at once go to one of them', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      const answers = await Promise.all(
        [1, 2, 3, 4].map((count) => adopt(first, alice, { name: `heir ${count}` })),
      );
      assert.deepEqual(answers.map(({ statusCode }) => statusCode).toSorted(), [202, 409, 409, 409]);
    });

    test('are another customer’s secret', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      assert.deepEqual(await kept(bob), []);
      const words = ({ detail }: Problem, id: string) => detail.replace(id, 'ID');
      const [foreign, none] = [await adopt(first, bob), await adopt('none-2222', bob)];
      assert.equal(foreign.statusCode, 422);
      assert.equal(words(foreign.json(), first), words(none.json(), 'none-2222'));
      const [others, nobodys] = [await drop(first, bob), await drop('none-2222', bob)];
      assert.equal(others.statusCode, 404);
      assert.equal(words(others.json(), first), words(nobodys.json(), 'none-2222'));
      assert.deepEqual([...plane.runtime.storage], [first]);
    });

    test('are not made smaller by whoever takes them over', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      const refused = await adopt(first, alice, { resources: { storage: 10 } });
      assert.equal(refused.json<Problem>().field, 'resources.storage');
      assert.equal((await kept()).length, 1, 'they are there still');
      const heir = (await adopt(first)).json<CreatedEnvironment>();
      assert.equal(heir.resources.storage, 20);
    });

    test('are removed for good when somebody says so, also while the runtime is away', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      plane.runtime.failOn('removeStorage', () => new RuntimeError('other', 'Not now.', 'Wait.'), 2);
      assert.equal((await drop(first)).statusCode, 202);
      assert.equal((await adopt(first)).statusCode, 422, 'nobody takes over what is being removed');
      assert.equal((await drop(first)).statusCode, 404);
      assert.deepEqual(await kept(), []);
      await gone(first);
      assert.deepEqual(await unclaimed(), []);
      const record = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'storage.delete')
        .executeTakeFirstOrThrow();
      assert.deepEqual([record.target, record.account], [first, 'member-of-alice']);
    });

    test('outlive an heir that cannot start', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      await remove(first, '?keep_storage=true');
      plane.runtime.failOn('run', () => new RuntimeError('refused', 'It cannot.', 'Nothing.'));
      const { env_id: heir } = (await adopt(first)).json<CreatedEnvironment>();
      await plane.until(heir, 'failed');
      assert.deepEqual([...plane.runtime.storage], [first]);
      assert.match((await plane.timeline(heir)).join('\n'), /The files that it took over were kept/);
      plane.runtime.heal();
      await remove(heir, '?keep_storage=true');
      assert.deepEqual(
        (await kept()).map(({ env_id }) => env_id),
        [heir],
      );
    });

    test('that are promised to be removed are not kept by a second request', async () => {
      await plane.startReconciler();
      const first = await running({ name: 'first' });
      const gate = plane.runtime.holdOn('removeWorkload');
      await call('DELETE', pathOf(routes.environment, { id: first }));
      await gate.entered;
      const late = await call('DELETE', `${pathOf(routes.environment, { id: first })}?keep_storage=true`);
      gate.open();
      assert.equal(late.json<Problem>().code, 'wrong_state');
      await plane.until(first, 'gone');
    });

    test('that were kept survive a server that stood still while another one deleted', async () => {
      const slow = await plane.startReconciler('slow', { leaseSeconds: 1 });
      const first = await running({ name: 'first' });
      const gate = plane.runtime.holdOn('stop');
      await call('POST', pathOf(routes.environmentRestart, { id: first }));
      await gate.entered;
      await plane.database
        .updateTable('environments')
        .set({
          wanted: 'deleted',
          status: 'deleted',
          lease_owner: null,
          due_at: null,
          keep_storage: true,
          storage_kept_since: new Date(),
          generation: 99,
        })
        .where('id', '=', first)
        .execute();
      gate.open();
      for (const deadline = Date.now() + 10_000; ; await pause(10)) {
        if (plane.runtime.calls.includes(`removeWorkload ${first}`)) break;
        assert.ok(Date.now() < deadline, 'it does not clear up after itself');
      }
      await slow.stop();
      assert.deepEqual([...plane.runtime.storage], [first]);
    });

    test('come in pages', async () => {
      await plane.startReconciler();
      const made: string[] = [];
      for (const name of ['one', 'two', 'three']) {
        const id = await running({ name });
        await remove(id, '?keep_storage=true');
        made.push(id);
      }
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const url: string = `${routes.keptStorage}?limit=1${cursor && `&cursor=${cursor}`}`;
        const page: KeptStoragePage = (await call('GET', url)).json<KeptStoragePage>();
        seen.push(...page.items.map(({ env_id }) => env_id));
        cursor = page.next_cursor;
      }
      assert.deepEqual(seen, made.toSorted());
      const found = (await call('GET', `${routes.keptStorage}?search=TW`)).json<KeptStoragePage>();
      assert.deepEqual(
        found.items.map(({ name }) => name),
        ['two'],
      );
    });
  });
}
