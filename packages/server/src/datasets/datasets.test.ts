import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Dataset, DatasetPage, Problem } from '@berth/contract';
import { BerthError, pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { specDatasets } from './table.ts';

for (const on of databases) {
  describe(`data sets on ${on.name}`, { skip: on.skip }, () => {
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
      plane.runtime.missingSources.clear();
      plane.runtime.links.clear();
      await plane.database.deleteFrom('datasets').execute();
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (
      { token }: Account,
      method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
      url: string,
      payload?: object,
    ) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const path = (name: string) => pathOf(routes.dataset, { name });
    const add = (name: string, more: object = {}) =>
      ask(chief, 'POST', routes.datasets, { name, kind: 'folder', source: `/srv/data/${name}`, ...more });
    const seen = async (account: Account) =>
      (await ask(account, 'GET', routes.datasets)).json<DatasetPage>().items.map(({ name }) => name);
    const create = (datasets: string[], { principal } = alice) =>
      plane.create({ name: `with ${datasets.join(' ')}`, datasets }, plane.services, principal);
    const refusal = async (work: Promise<unknown>): Promise<BerthError> => {
      const error = await work.then(
        () => assert.fail('it was let through'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof BerthError, String(error));
      return error;
    };

    test('are added, shown, changed and deleted by administrators', async () => {
      const added = await add('imagenet', { description: 'pictures' });
      assert.equal(added.statusCode, 201, added.body);
      const dataset = added.json<Dataset>();
      assert.deepEqual(
        { ...dataset, created_at: '' },
        {
          name: 'imagenet',
          kind: 'folder',
          source: '/srv/data/imagenet',
          read_only: true,
          description: 'pictures',
          customers: null,
          mount_path: '/gemini/data-imagenet',
          environments: 0,
          created_at: '',
        },
      );
      assert.deepEqual((await ask(chief, 'GET', path('imagenet'))).json(), dataset);
      const changed = await ask(chief, 'PATCH', path('imagenet'), { read_only: false });
      assert.deepEqual(changed.json(), { ...dataset, read_only: false });
      assert.equal((await ask(chief, 'DELETE', path('imagenet'))).statusCode, 204);
      assert.deepEqual(await seen(chief), []);
      assert.equal((await ask(chief, 'GET', path('imagenet'))).statusCode, 404);
      const acts = await plane.database
        .selectFrom('audit')
        .select('action')
        .where('target', '=', 'imagenet')
        .orderBy('id')
        .execute();
      assert.deepEqual(
        acts.map(({ action }) => action),
        ['dataset.add', 'dataset.update', 'dataset.delete'],
      );
    });

    test('are changed by no member, and show none where they are on the host', async () => {
      await add('imagenet');
      for (const answer of await Promise.all([
        ask(alice, 'POST', routes.datasets, { name: 'mine', kind: 'folder', source: '/srv/mine' }),
        ask(alice, 'PATCH', path('imagenet'), { read_only: false }),
        ask(alice, 'DELETE', path('imagenet')),
      ])) {
        assert.equal(answer.statusCode, 403);
        assert.equal(answer.json<Problem>().code, 'forbidden');
      }
      assert.equal((await ask(alice, 'GET', path('imagenet'))).json<Dataset>().source, null);
    });

    test('of other customers are neither seen nor mounted, in the words for none', async () => {
      await add('his', { customers: [bob.principal.customerId] });
      await add('all');
      assert.deepEqual(await seen(alice), ['all']);
      assert.deepEqual(await seen(bob), ['all', 'his']);
      const his = await ask(alice, 'GET', path('his'));
      const none = await ask(alice, 'GET', path('hers'));
      assert.equal(his.statusCode, 404);
      assert.equal(
        his.json<Problem>().detail.replace('his', ''),
        none.json<Problem>().detail.replace('hers', ''),
      );
      const foreign = await refusal(create(['all', 'his']));
      const unknown = await refusal(create(['all', 'hers']));
      for (const error of [foreign, unknown]) {
        assert.equal(error.code, 'unknown_reference');
        assert.equal(error.field, 'datasets');
      }
      assert.equal(foreign.message.replace('his', ''), unknown.message.replace('hers', ''));
      assert.deepEqual((await create(['all', 'his'], bob)).datasets, ['all', 'his']);
      const all = async (account: Account) =>
        (await ask(account, 'GET', path('all'))).json<Dataset>().environments;
      assert.deepEqual([await all(alice), await all(bob), await all(chief)], [0, 1, 1]);
    });

    test('are what the workload is to mount', async () => {
      await add('write', { read_only: false });
      await add('volume', { kind: 'volume', source: 'models' });
      assert.deepEqual(await specDatasets(plane.database, ['write', 'volume']), [
        { name: 'volume', kind: 'volume', source: 'models', readOnly: true },
        { name: 'write', kind: 'folder', source: '/srv/data/write', readOnly: false },
      ]);
    });

    test('that environments mount stay, and stay for their customers', async () => {
      await add('imagenet');
      const { env_id: id } = await create(['imagenet']);
      const removed = await ask(chief, 'DELETE', path('imagenet'));
      assert.equal(removed.statusCode, 409);
      assert.equal(removed.json<Problem>().code, 'in_use');
      assert.ok(removed.json<Problem>().detail.includes(id));
      const withdrawn = await ask(chief, 'PATCH', path('imagenet'), {
        customers: [bob.principal.customerId],
      });
      assert.equal(withdrawn.statusCode, 409);
      assert.ok(withdrawn.json<Problem>().detail.includes(id));
      const narrowed = await ask(chief, 'PATCH', path('imagenet'), {
        customers: [alice.principal.customerId],
      });
      assert.equal(narrowed.statusCode, 200);
      await plane.database.updateTable('environments').set({ status: 'deleted' }).execute();
      assert.equal((await ask(chief, 'DELETE', path('imagenet'))).statusCode, 204);
    });

    test("are no folder of the host's or of Berth's, by whatever name", async () => {
      const sources = [
        ...['/', '/proc', '/sys/fs', '/dev/shm', '/etc', '/etc/ssh', '/run/user', '/var/run', '/var'],
        ...['/var/lib', '/var/lib/docker', '/var/lib/docker/volumes/a', '/root', '/root/data', '/boot'],
        ...['data', './data', '../data', '/srv/../etc', '/srv/./data', '/srv//data', '/srv/data/', '//etc'],
        ...[plane.folder, join(plane.folder, 'database'), join(plane.folder, '..')],
      ];
      for (const source of sources) {
        const answer = await add('bad', { source });
        assert.equal(answer.statusCode, 400, source);
        assert.equal(answer.json<Problem>().field, 'source', source);
        assert.match(answer.json<Problem>().cure, /^[A-Z].*\.$/);
      }
      plane.runtime.links.set('/srv/innocent', '/etc/ssh');
      const link = await add('bad', { source: '/srv/innocent' });
      assert.equal(link.statusCode, 400);
      assert.match(link.json<Problem>().detail, /\/etc\/ssh/);
      for (const source of ['', 'a\nb', 'a:b', '/srv/a\u0000b', '/'.repeat(1025)])
        assert.equal((await add('bad', { source })).statusCode, 400, JSON.stringify(source));
      for (const source of ['-rf', 'a/b', '../a', 'a', '.'])
        assert.equal((await add('bad', { kind: 'volume', source })).statusCode, 400, source);
    });

    test('are kept as what their symbolic links lead to', async () => {
      plane.runtime.links.set('/srv/current', '/srv/2026');
      assert.equal((await add('current', { source: '/srv/current' })).json<Dataset>().source, '/srv/2026');
    });

    test('are in one of the folders that the setting names', async () => {
      const other = await makeApp(plane.with({ datasetFolders: ['/mnt/models', '/srv/data'] }));
      const under = async (source: string) =>
        other.inject({
          method: 'POST',
          url: routes.datasets,
          headers: { authorization: `Bearer ${chief.token}` },
          payload: { name: 'here', kind: 'folder', source },
        });
      const outside = await under('/srv/database');
      assert.equal(outside.statusCode, 400);
      assert.match(outside.json<Problem>().detail, /is in none of \/mnt\/models, \/srv\/data\./);
      assert.equal((await under('/srv/data/sets/here')).statusCode, 201);
      await other.close();
    });

    test('do not lie in one that can be written to', async () => {
      await add('outer', { source: '/srv/data', read_only: false });
      const inside = await add('inner', { source: '/srv/data/inner' });
      assert.equal(inside.statusCode, 409);
      assert.match(inside.json<Problem>().detail, /\/srv\/data\/inner lies in \/srv\/data/);
      await ask(chief, 'PATCH', path('outer'), { read_only: true });
      assert.equal((await add('inner', { source: '/srv/data/inner', read_only: false })).statusCode, 201);
      assert.equal((await ask(chief, 'PATCH', path('outer'), { read_only: false })).statusCode, 409);
      assert.equal((await add('beside', { source: '/srv/data-two', read_only: false })).statusCode, 201);
    });

    test('must be there when they are added, once a name', async () => {
      plane.runtime.missingSources.add('/srv/gone').add('gone-volume');
      for (const more of [{ source: '/srv/gone' }, { kind: 'volume', source: 'gone-volume' }]) {
        const answer = await add('gone', more);
        assert.equal(answer.statusCode, 422);
        assert.equal(answer.json<Problem>().code, 'unknown_reference');
        assert.equal(answer.json<Problem>().field, 'source');
      }
      assert.equal((await add('twice')).statusCode, 201);
      assert.equal((await add('twice')).json<Problem>().code, 'name_taken');
      const unknown = await add('for-nobody', { customers: [2147483647] });
      assert.equal(unknown.json<Problem>().code, 'unknown_reference');
    });

    test('are refused while the engine that has them is away', async () => {
      plane.runtime.leave();
      const answer = await add('volume', { kind: 'volume', source: 'models' });
      plane.runtime.comeBack();
      assert.equal(answer.statusCode, 503);
    });

    test('come in pages', async () => {
      for (const name of ['c', 'a', 'b']) await add(name);
      const first = (await ask(chief, 'GET', `${routes.datasets}?limit=2`)).json<DatasetPage>();
      const second = (
        await ask(chief, 'GET', `${routes.datasets}?limit=2&cursor=${first.next_cursor}`)
      ).json<DatasetPage>();
      assert.deepEqual(
        [...first.items, ...second.items].map(({ name }) => name),
        ['a', 'b', 'c'],
      );
      assert.equal(second.next_cursor, null);
    });
  });
}
