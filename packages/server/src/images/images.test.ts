import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Image, ImagePage, Problem } from '@berth/contract';
import { BerthError, pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { missing } from '../runtime/image-check.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { setDefaultImage } from './table.ts';

for (const on of databases) {
  describe(`the catalogue of images on ${on.name}`, { skip: on.skip }, () => {
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
      plane.runtime.findings.clear();
      await plane.database.deleteFrom('images').where('name', '<>', 'default').execute();
      await plane.database
        .updateTable('images')
        .set({ default_resources: '{}', customers: null, last_check: null })
        .execute();
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
    const path = (name: string) => pathOf(routes.image, { name });
    const add = (name: string, more: object = {}) =>
      ask(chief, 'POST', routes.images, { name, reference: `example/${name}:1`, ...more });
    const check = (name: string) => ask(chief, 'POST', pathOf(routes.imageCheck, { name }));
    const namesSeen = async (account: Account) =>
      (await ask(account, 'GET', routes.images)).json<ImagePage>().items.map(({ name }) => name);
    const create = (input: object, { principal } = alice) =>
      plane.create({ name: 'mine', ...input }, plane.services, principal);
    const refusal = async (work: Promise<unknown>): Promise<BerthError> => {
      const error = await work.then(
        () => assert.fail('it was let through'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof BerthError, String(error));
      return error;
    };

    test('is added to, shown, changed and taken from by administrators', async () => {
      const added = await add('torch', { description: 'PyTorch', default_resources: { gpu: 1 } });
      assert.equal(added.statusCode, 201);
      const image = added.json<Image>();
      assert.deepEqual(
        { ...image, created_at: '' },
        {
          name: 'torch',
          reference: 'example/torch:1',
          description: 'PyTorch',
          default_resources: { gpu: 1 },
          customers: null,
          check: null,
          created_at: '',
        },
      );
      assert.deepEqual((await ask(chief, 'GET', path('torch'))).json(), image);
      const changed = await ask(chief, 'PATCH', path('torch'), { reference: 'example/torch:2' });
      assert.deepEqual(changed.json(), { ...image, reference: 'example/torch:2' });
      assert.deepEqual(await namesSeen(chief), ['default', 'torch']);
      const removed = await ask(chief, 'DELETE', path('torch'));
      assert.equal(removed.statusCode, 204);
      assert.equal(removed.body, '');
      assert.deepEqual(await namesSeen(chief), ['default']);
      assert.equal((await ask(chief, 'DELETE', path('torch'))).statusCode, 404);
      const acts = await plane.database
        .selectFrom('audit')
        .select(['action', 'account'])
        .where('target', '=', 'torch')
        .orderBy('id')
        .execute();
      assert.deepEqual(
        acts.map(({ action }) => action),
        ['image.add', 'image.update', 'image.delete'],
      );
      assert.ok(acts.every(({ account }) => account === chief.principal.account));
    });

    test('has each name once', async () => {
      await add('torch');
      const again = await add('torch');
      assert.equal(again.statusCode, 409);
      assert.equal(again.json<Problem>().code, 'name_taken');
    });

    test('is changed by no member', async () => {
      await add('torch');
      const tries = [
        ask(alice, 'POST', routes.images, { name: 'mine', reference: 'a/b' }),
        ask(alice, 'PATCH', path('torch'), { description: 'mine' }),
        ask(alice, 'DELETE', path('torch')),
        ask(alice, 'POST', pathOf(routes.imageCheck, { name: 'torch' })),
      ];
      for (const answer of await Promise.all(tries)) {
        assert.equal(answer.statusCode, 403);
        assert.equal(answer.json<Problem>().code, 'forbidden');
      }
    });

    test('shows a member what it may use, and of other customers nothing', async () => {
      await add('both', { customers: [alice.principal.customerId, bob.principal.customerId] });
      await add('his', { customers: [bob.principal.customerId] });
      await add('nobody', { customers: [] });
      assert.deepEqual(await namesSeen(alice), ['both', 'default']);
      assert.deepEqual(await namesSeen(bob), ['both', 'default', 'his']);
      assert.deepEqual(await namesSeen(chief), ['both', 'default', 'his', 'nobody']);
      const { customers } = (await ask(alice, 'GET', path('both'))).json<Image>();
      assert.deepEqual(customers, [alice.principal.customerId]);
      const his = await ask(alice, 'GET', path('his'));
      const none = await ask(alice, 'GET', path('hers'));
      assert.equal(his.statusCode, 404);
      assert.equal(
        his.json<Problem>().detail.replace('his', ''),
        none.json<Problem>().detail.replace('hers', ''),
      );
    });

    test('refuses an image that the customer may not use in the words for one that does not exist', async () => {
      await add('his', { customers: [bob.principal.customerId] });
      const foreign = await refusal(create({ image: 'his' }));
      const unknown = await refusal(create({ image: 'hers' }));
      for (const error of [foreign, unknown]) {
        assert.equal(error.code, 'unknown_image');
        assert.equal(error.field, 'image');
      }
      assert.equal(foreign.message.replace('his', ''), unknown.message.replace('hers', ''));
      assert.match(foreign.message, /there are: default\.$/);
      assert.equal((await create({ image: 'his' }, bob)).image, 'his');
    });

    test("takes an image's resources where the request leaves them out, and the platform's where both do", async () => {
      await add('torch', { default_resources: { cpu: 8, gpu: 1 } });
      const { resources } = await create({ image: 'torch', resources: { cpu: 3 } });
      assert.deepEqual(resources, { cpu: 3, memory: 4, gpu: 1, storage: 20 });
    });

    test('keeps an image that environments use, and names them', async () => {
      await add('torch');
      const { env_id: id } = await create({ image: 'torch' });
      const answer = await ask(chief, 'DELETE', path('torch'));
      assert.equal(answer.statusCode, 409);
      const problem = answer.json<Problem>();
      assert.equal(problem.code, 'in_use');
      assert.ok(problem.detail.includes(id));
      await plane.database.updateTable('environments').set({ status: 'deleted' }).execute();
      assert.equal((await ask(chief, 'DELETE', path('torch'))).statusCode, 204);
    });

    test('keeps the image that belongs to this Berth as the server sets it', async () => {
      const removed = await ask(chief, 'DELETE', path('default'));
      assert.equal(removed.statusCode, 409);
      const moved = await ask(chief, 'PATCH', path('default'), { reference: 'example/other' });
      assert.equal(moved.statusCode, 400);
      assert.equal(moved.json<Problem>().field, 'reference');
      assert.equal((await ask(chief, 'PATCH', path('default'), { description: 'ours' })).statusCode, 200);
      await check('default');
      await setDefaultImage(plane.database, 'berth/environment:test');
      assert.notEqual((await ask(chief, 'GET', path('default'))).json<Image>().check, null);
      await setDefaultImage(plane.database, 'berth/environment:other');
      const after = (await ask(chief, 'GET', path('default'))).json<Image>();
      assert.equal(after.reference, 'berth/environment:other');
      assert.equal(after.check, null, 'what was found in another image says nothing');
      await setDefaultImage(plane.database, 'berth/environment:test');
    });

    test('lets nothing start from an image whose last check says that it cannot', async () => {
      await add('bare');
      await create({ name: 'before', image: 'bare' });
      const lacksSshd = missing('sshd', 'It lacks /usr/sbin/sshd.', 'Install it.');
      plane.runtime.findings.set('example/bare:1', [lacksSshd]);
      const checked = await check('bare');
      assert.equal(checked.statusCode, 200);
      assert.deepEqual(checked.json<Image>().check?.findings, [lacksSshd]);
      assert.equal(checked.json<Image>().check?.usable, false);
      const error = await refusal(create({ name: 'after', image: 'bare' }));
      assert.equal(error.code, 'unusable_image');
      assert.match(error.message, /It lacks \/usr\/sbin\/sshd\./);
      await ask(chief, 'PATCH', path('bare'), { reference: 'example/bare:2' });
      assert.equal((await ask(chief, 'GET', path('bare'))).json<Image>().check, null);
      await create({ name: 'mended', image: 'bare' });
      assert.equal((await check('bare')).json<Image>().check?.usable, true);
    });

    test('finds an image that cannot be had unusable, and says nothing while the engine is away', async () => {
      await add('gone');
      plane.runtime.failOn(
        'checkImage',
        () => new RuntimeError('image_missing', 'The image is nowhere.', 'Bring it.'),
        1,
      );
      const answer = (await check('gone')).json<Image>();
      assert.deepEqual(answer.check?.findings, [missing('image', 'The image is nowhere.', 'Bring it.')]);
      plane.runtime.failOn('checkImage', () => new RuntimeError('unavailable', 'Away.', 'Start it.'), 1);
      const away = await check('gone');
      assert.equal(away.statusCode, 503);
      assert.equal(away.json<Problem>().code, 'runtime_unavailable');
      assert.equal((await check('nothing')).statusCode, 404);
    });

    test('does not hold a check against a reference that was changed meanwhile', async () => {
      await add('moving');
      plane.runtime.findings.set('example/moving:1', [missing('sshd', 'It lacks sshd.', 'Install it.')]);
      const gate = plane.runtime.holdOn('checkImage');
      const asked = check('moving');
      await gate.entered;
      await ask(chief, 'PATCH', path('moving'), { reference: 'example/moving:2' });
      gate.open();
      assert.equal((await asked).json<Image>().check, null);
    });

    test('takes sensible images only', async () => {
      const bad: [object, string][] = [
        [{ name: '../etc' }, 'name'],
        [{ name: 'A' }, 'name'],
        [{ reference: 'a b' }, 'reference'],
        [{ reference: '--privileged' }, 'reference'],
        [{ reference: '' }, 'reference'],
        [{ default_resources: { cpu: 0 } }, 'default_resources.cpu'],
        [{ default_resources: { disk: 1 } }, 'default_resources.disk'],
        [{ customers: ['1'] }, 'customers.0'],
        [{ customers: [0] }, 'customers.0'],
        [{ description: 'a\u0000b' }, 'description'],
        [{ check: null }, 'check'],
      ];
      for (const [more, field] of bad) {
        const answer = await add('torch', more);
        assert.equal(answer.statusCode, 400, JSON.stringify(more));
        assert.equal(answer.json<Problem>().field, field);
      }
      const unknown = await add('torch', { customers: [2147483647] });
      assert.equal(unknown.statusCode, 422);
      assert.equal(unknown.json<Problem>().code, 'unknown_reference');
      assert.equal(unknown.json<Problem>().field, 'customers');
    });

    test('comes in pages', async () => {
      for (const name of ['a', 'b', 'c']) await add(name);
      const first = (await ask(chief, 'GET', `${routes.images}?limit=3`)).json<ImagePage>();
      const second = (
        await ask(chief, 'GET', `${routes.images}?limit=3&cursor=${first.next_cursor}`)
      ).json<ImagePage>();
      assert.deepEqual(
        [...first.items, ...second.items].map(({ name }) => name),
        ['a', 'b', 'c', 'default'],
      );
      assert.equal(second.next_cursor, null);
    });
  });
}
