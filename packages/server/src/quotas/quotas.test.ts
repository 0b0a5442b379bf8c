import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Problem, Quota, QuotaPage } from '@berth/contract';
import { BerthError, pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { mustFit } from './quotas.ts';

const nothing = { excludeId: null, environments: 0, cpu: 0, memory: 0, gpu: 0, storage: 0 };

for (const on of databases) {
  describe(`quotas on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let bob: Account;
    let chief: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
      chief = await plane.account('company', 'admin');
    });
    afterEach(async () => {
      await plane.clear();
      await plane.database.deleteFrom('quotas').execute();
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (account: Account, method: 'GET' | 'PUT', url: string, payload?: object) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${account.token}` },
        ...(payload ? { payload } : {}),
      });
    const path = (id: number) => pathOf(routes.quota, { id: String(id) });
    const set = (limits: object, { principal } = alice) =>
      ask(chief, 'PUT', path(principal.customerId), limits);
    const create = (name: string, resources: object = {}) =>
      plane.create({ name, resources }, plane.services, alice.principal);
    const refusal = async (work: Promise<unknown>): Promise<BerthError> => {
      const error = await work.then(
        () => assert.fail('it was let through'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof BerthError, String(error));
      assert.equal(error.code, 'quota_exceeded');
      return error;
    };
    const fits = (change: object) =>
      plane.database
        .transaction()
        .execute((transaction) =>
          mustFit(transaction, alice.principal.customerId, { ...nothing, ...change }),
        );

    test('limit nothing until somebody sets them', async () => {
      await create('big', { cpu: 1000, memory: 60000, gpu: 64, storage: 1000000 });
      const answer = (await ask(alice, 'GET', path(alice.principal.customerId))).json<Quota>();
      assert.deepEqual(answer, {
        customer_id: alice.principal.customerId,
        customer: 'alice',
        limits: { environments: null, cpu: null, memory: null, gpu: null, storage: null },
        used: { environments: 1, cpu: 1000, memory: 60000, gpu: 64, storage: 1000000 },
      });
    });

    test('name the limit, the use and the request', async () => {
      assert.equal((await set({ cpu: 16, memory: 64, gpu: 1, storage: 100 })).statusCode, 200);
      await create('first', { cpu: 12, memory: 60, gpu: 1, storage: 90 });
      const cases: [resources: object, field: string, detail: string][] = [
        [{ cpu: 8 }, 'cpu', 'cpu: the limit of 16 cores is reached: 12 in use, 8 asked for.'],
        [{ memory: 8 }, 'memory', 'memory: the limit of 64 GiB is reached: 60 in use, 8 asked for.'],
        [{ gpu: 1 }, 'gpu', 'gpu: the limit of 1 device is reached: 1 in use, 1 asked for.'],
        [{ storage: 11 }, 'storage', 'storage: the limit of 100 GiB is reached: 90 in use, 11 asked for.'],
      ];
      for (const [resources, field, detail] of cases) {
        const small = { cpu: 1, memory: 1, gpu: 0, storage: 1 };
        const error = await refusal(create('second', { ...small, ...resources }));
        assert.equal(error.message, detail);
        assert.equal(error.field, `resources.${field}`);
      }
      await set({ environments: 1 });
      const answer = await ask(alice, 'GET', path(alice.principal.customerId));
      assert.equal(answer.json<Quota>().limits.cpu, 16, 'what is left out stays');
      const error = await refusal(create('second', { cpu: 1, memory: 1, storage: 1 }));
      assert.equal(error.status, 403);
      assert.equal(
        error.message,
        'environments: the limit of 1 environment is reached: 1 in use, 1 asked for.',
      );
    });

    test('let what is asked for up to the limit itself, in tenths too', async () => {
      await set({ cpu: 0.3 });
      await create('first', { cpu: 0.1 });
      await create('second', { cpu: 0.2 });
      const { used } = (await ask(alice, 'GET', path(alice.principal.customerId))).json<Quota>();
      assert.equal(used.cpu, 0.3);
      await refusal(create('third', { cpu: 0.1 }));
    });

    test('let ten of fifty creations at once through a limit of ten', async () => {
      await set({ environments: 10 });
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) => create(`at once ${index}`)),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10);
      for (const result of results) {
        if (result.status === 'rejected') assert.equal((result.reason as BerthError).code, 'quota_exceeded');
      }
      const { used } = (await ask(alice, 'GET', path(alice.principal.customerId))).json<Quota>();
      assert.equal(used.environments, 10);
    });

    test('count cores, memory and devices only of what shall run, and files for as long as they are there', async () => {
      const { env_id: id } = await create('mine', { cpu: 4, memory: 8, gpu: 1, storage: 30 });
      const used = async () => (await ask(alice, 'GET', path(alice.principal.customerId))).json<Quota>().used;
      const row = (change: object) =>
        plane.database.updateTable('environments').set(change).where('id', '=', id).execute();

      await row({ run_resources: JSON.stringify({ cpu: 2, memory: 4, gpu: 0, storage: 30 }) });
      assert.deepEqual(await used(), { environments: 1, cpu: 2, memory: 4, gpu: 0, storage: 30 });
      await row({ wanted: 'stopped', run_resources: null });
      assert.deepEqual(await used(), { environments: 1, cpu: 0, memory: 0, gpu: 0, storage: 30 });
      await row({ wanted: 'running', status: 'failed' });
      assert.deepEqual(await used(), { environments: 1, cpu: 0, memory: 0, gpu: 0, storage: 30 });
      await row({ wanted: 'deleted', status: 'deleted', storage_kept_since: new Date() });
      assert.deepEqual(await used(), { environments: 0, cpu: 0, memory: 0, gpu: 0, storage: 30 });
      await row({ storage_kept_since: null });
      assert.deepEqual(await used(), { environments: 0, cpu: 0, memory: 0, gpu: 0, storage: 0 });
    });

    test('measure a changed environment beside the others, and let one that asks for no more alone', async () => {
      const { env_id: id } = await create('mine', { cpu: 4, memory: 8, storage: 30 });
      await create('other', { cpu: 4, memory: 8, storage: 30 });
      await set({ cpu: 10, memory: 10 });
      await fits({ excludeId: id, cpu: 6 });
      await refusal(fits({ excludeId: id, cpu: 7 }));
      await fits({ excludeId: id, memory: 8 });
      await refusal(fits({ excludeId: id, memory: 9 }));
      await refusal(fits({ memory: 1 }));
      await fits({});
    });

    test('count each customer for itself', async () => {
      await set({ environments: 1 });
      await create('mine');
      await plane.create({ name: 'his' }, plane.services, bob.principal);
      await plane.create({ name: 'his second' }, plane.services, bob.principal);
      const { items } = (await ask(chief, 'GET', routes.quotas)).json<QuotaPage>();
      const by = new Map(items.map((quota) => [quota.customer, quota]));
      assert.equal(by.get('alice')?.used.environments, 1);
      assert.equal(by.get('bob')?.used.environments, 2);
      assert.equal(by.get('bob')?.limits.environments, null);
    });

    test('are seen by a member for its own customer only, and set by administrators only', async () => {
      const { items } = (await ask(alice, 'GET', routes.quotas)).json<QuotaPage>();
      assert.deepEqual(
        items.map(({ customer }) => customer),
        ['alice'],
      );
      const foreign = await ask(alice, 'GET', path(bob.principal.customerId));
      const none = await ask(alice, 'GET', path(2147483647));
      for (const answer of [foreign, none]) assert.equal(answer.statusCode, 404);
      assert.equal(
        foreign.json<Problem>().detail.replace(/\d+/, ''),
        none.json<Problem>().detail.replace(/\d+/, ''),
      );
      const answer = await ask(alice, 'PUT', path(alice.principal.customerId), { cpu: null });
      assert.equal(answer.statusCode, 403);
      assert.equal(answer.json<Problem>().code, 'forbidden');
      assert.equal((await ask(chief, 'PUT', path(2147483647), { cpu: 1 })).statusCode, 404);
    });

    test('come in pages', async () => {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const after: string = cursor === '' ? '' : `&cursor=${cursor}`;
        const page = (await ask(chief, 'GET', `${routes.quotas}?limit=1${after}`)).json<QuotaPage>();
        seen.push(...page.items.map(({ customer }) => customer));
        cursor = page.next_cursor;
      }
      assert.equal(seen.length, 4);
      assert.equal(new Set(seen).size, 4);
      const forged = (position: unknown[]) => Buffer.from(JSON.stringify(position)).toString('base64url');
      const beyond = await ask(chief, 'GET', `${routes.quotas}?cursor=${forged([Number.MAX_SAFE_INTEGER])}`);
      assert.deepEqual(beyond.json<QuotaPage>().items, []);
      for (const cursor of ['nonsense', forged(['a']), forged([1.5]), forged([])])
        assert.equal((await ask(chief, 'GET', `${routes.quotas}?cursor=${cursor}`)).statusCode, 400, cursor);
    });

    test('take whole, sensible limits only', async () => {
      for (const limits of [
        {},
        { cpu: -1 },
        { cpu: '1' },
        { environments: 1.5 },
        { gpu: 1e9 },
        { storage: 1e300 },
        { cores: 1 },
        [],
      ]) {
        const answer = await set(limits);
        assert.equal(answer.statusCode, 400, JSON.stringify(limits));
      }
    });

    test('leave an audit record of what they were and are', async () => {
      await set({ cpu: 5 });
      const row = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'quota.set')
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow();
      assert.equal(row.account, chief.principal.account);
      assert.equal(row.customer_id, alice.principal.customerId);
      assert.equal(row.target, 'alice');
      const { before: was, after: is } = row.detail as { before: { cpu: unknown }; after: { cpu: unknown } };
      assert.deepEqual([was.cpu, is.cpu], [null, 5]);
    });
  });
}
