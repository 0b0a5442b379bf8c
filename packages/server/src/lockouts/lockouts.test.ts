import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import type { AuditPage, BanPage, LockoutPage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { keepHouse } from '../housekeeping/housekeeping.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import type { Pair } from './login-failures.ts';

const dayMs = 86_400_000;

for (const on of databases) {
  describe(`lockouts and bans on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: Account;
    let alice: Account;
    let bob: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      chief = await plane.account('operators', 'admin');
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    afterEach(() => plane.clear());
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (method: 'GET' | 'DELETE', url: string, { token }: Account) =>
      app.inject({ method, url, headers: { authorization: `Bearer ${token}` } });
    const lockouts = async (who: Account, query = '') =>
      (await ask('GET', `${routes.lockouts}${query}`, who)).json<LockoutPage>().items;
    const bans = async (query = '') =>
      (await ask('GET', `${routes.bans}${query}`, chief)).json<BanPage>().items;
    const fail = async (pair: Partial<Pair>, times: number) => {
      const { loginFailures, settings } = plane.services;
      const whole = { target: 'none-2222', source: '203.0.113.7', envId: null, customerId: null, ...pair };
      for (let done = 0; done < times; done += 1) {
        const reserved = await loginFailures.reserve(randomBytes(12).toString('hex'), whole, settings);
        await loginFailures.follow(whole, reserved, settings);
      }
    };
    const ofAlice = async () => {
      const { env_id } = await plane.create({ name: 'hers' }, plane.services, alice.principal);
      return { target: env_id, envId: env_id, customerId: alice.principal.customerId };
    };
    const actions = async (query: string) =>
      (await ask('GET', `${routes.audit}?${query}`, chief))
        .json<AuditPage>()
        .items.map(({ action, account, source, target, customer_id }) => ({
          action,
          account,
          source,
          target,
          customer_id,
        }));

    test('are seen by the customer whose environment it is, those of unknown names by administrators', async () => {
      const hers = await ofAlice();
      await fail(hers, 5);
      await fail({}, 5);
      const seen = async (who: Account, query = '') =>
        (await lockouts(who, query)).map(({ target }) => target);
      assert.deepEqual(await seen(alice), [hers.target]);
      assert.deepEqual(await seen(bob), []);
      assert.deepEqual(await seen(chief), ['none-2222', hers.target]);
      assert.deepEqual(await seen(chief, `?env_id=${hers.target}`), [hers.target]);
      assert.deepEqual(await seen(chief, '?source=203.0.113.8'), []);
      assert.deepEqual(await seen(chief, '?source=::ffff:203.0.113.7&limit=1'), ['none-2222']);
      const [first] = await lockouts(alice);
      assert.deepEqual(
        [first?.env_id, first?.source, first?.failures, first?.cleared_at],
        [hers.target, '203.0.113.7', 5, null],
      );
    });

    test('are ended by a member where they are its own, at once on every server, and are no more counted', async () => {
      const hers = await ofAlice();
      await fail(hers, 5);
      const [lockout] = await lockouts(alice);
      const { directory } = plane.services;
      await eventually(
        () => directory.lockedUntil(hers.target, '203.0.113.7'),
        (until) => until !== null,
      );
      const at = pathOf(routes.lockout, { id: String(lockout?.id) });
      assert.equal((await ask('DELETE', at, bob)).statusCode, 404);
      assert.equal((await ask('DELETE', at, alice)).statusCode, 204);
      await eventually(
        () => directory.lockedUntil(hers.target, '203.0.113.7'),
        (until) => until === null,
      );
      assert.equal((await ask('DELETE', at, alice)).statusCode, 404, 'it is over');
      assert.deepEqual(await lockouts(alice), []);
      const [over] = await lockouts(alice, '?all=true');
      assert.equal(over?.cleared_by, alice.principal.account);
      await fail(hers, 4);
      assert.deepEqual(await lockouts(alice), []);
      await fail(hers, 1);
      assert.equal((await lockouts(alice)).length, 1);
      const customer_id = alice.principal.customerId;
      const system = { account: null, source: '203.0.113.7', target: hers.target, customer_id };
      assert.deepEqual(await actions(`target=${hers.target}&action=lockout`), [
        { action: 'lockout.set', ...system },
        {
          action: 'lockout.clear',
          ...{ account: alice.principal.account, source: '127.0.0.1', target: hers.target, customer_id },
        },
        { action: 'lockout.set', ...system },
      ]);
    });

    test('of an address are ended by administrators, with what it failed anywhere', async () => {
      for (let index = 0; index < 5; index += 1) await fail({ target: `none-${index}` }, 4);
      const [ban] = await bans();
      assert.deepEqual([ban?.source, ban?.failures], ['203.0.113.7', 20]);
      const { directory } = plane.services;
      await eventually(
        () => directory.bannedUntil('203.0.113.7'),
        (until) => until !== null,
      );
      const at = pathOf(routes.ban, { id: String(ban?.id) });
      assert.equal((await ask('DELETE', at, alice)).statusCode, 403);
      assert.equal((await ask('DELETE', at, chief)).statusCode, 204);
      await eventually(
        () => directory.bannedUntil('203.0.113.7'),
        (until) => until === null,
      );
      assert.equal((await ask('DELETE', at, chief)).statusCode, 404);
      assert.deepEqual(await bans(), []);
      assert.equal((await bans('?all=true&source=203.0.113.7'))[0]?.cleared_by, chief.principal.account);
      await fail({}, 3);
      assert.deepEqual(await bans(), []);
      assert.deepEqual(
        (await actions('action=ban')).map(({ action, target }) => [action, target]),
        [
          ['ban.clear', '203.0.113.7'],
          ['ban.set', '203.0.113.7'],
        ],
      );
    });

    test('follow from failures that are counted one after the other, whoever counts', async () => {
      const { loginFailures, settings } = plane.services;
      const pair = { target: 'none-2222', source: '203.0.113.9', envId: null, customerId: null };
      const reserved = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          loginFailures.reserve(
            `${index}`.padStart(16, '0'),
            { ...pair, target: `none-${index % 2}` },
            settings,
          ),
        ),
      );
      const counted = reserved.map(({ sourceFailures }) => sourceFailures).toSorted((a, b) => a - b);
      assert.deepEqual(
        counted,
        Array.from({ length: 40 }, (_, index) => index + 1),
      );
    });

    test('are not taken for others by their id', async () => {
      for (const url of [routes.lockout, routes.ban]) {
        assert.equal((await ask('DELETE', pathOf(url, { id: '999999' }), chief)).statusCode, 404);
        assert.equal((await ask('DELETE', pathOf(url, { id: 'x' }), chief)).statusCode, 400);
      }
    });

    test('that are long over, and failures out of the window, go', async () => {
      const hers = await ofAlice();
      await fail(hers, 5);
      for (let index = 0; index < 5; index += 1) await fail({ target: `none-${index}` }, 4);
      const { database } = plane;
      const count = async (table: 'lockouts' | 'bans' | 'login_failures') =>
        (
          await database
            .selectFrom(table)
            .select((e) => e.fn.countAll<number>().as('count'))
            .executeTakeFirstOrThrow()
        ).count;
      const counts = async () => [
        await count('lockouts'),
        await count('bans'),
        await count('login_failures'),
      ];
      await keepHouse(plane.services);
      assert.deepEqual(await counts(), [1, 1, 20]);
      await database
        .updateTable('login_failures')
        .set({ at: new Date(Date.now() - 31 * 60_000) })
        .execute();
      const long = { until: new Date(Date.now() - 366 * dayMs) };
      const set = new Date(Date.now() - 367 * dayMs);
      await database
        .updateTable('lockouts')
        .set({ ...long, locked_at: set })
        .execute();
      await keepHouse(plane.services);
      assert.deepEqual(await counts(), [0, 1, 0]);
      await database
        .updateTable('bans')
        .set({ ...long, banned_at: set })
        .execute();
      await keepHouse(plane.services);
      assert.deepEqual(await counts(), [0, 0, 0]);
    });

    test('outlive the environment that they tell of, whose name is then free again', async () => {
      const hers = await ofAlice();
      await fail(hers, 5);
      await plane.database
        .updateTable('environments')
        .set({
          status: 'deleted',
          wanted: 'deleted',
          deleted_at: new Date(Date.now() - 366 * dayMs),
          due_at: null,
        })
        .where('id', '=', hers.target)
        .execute();
      await plane.database
        .updateTable('port_mappings')
        .set({ status: 'released', released_at: new Date(Date.now() - 366 * dayMs) })
        .execute();
      await keepHouse(plane.services);
      assert.equal(await plane.show(hers.target), null);
      const [lockout] = await lockouts(alice);
      assert.deepEqual([lockout?.target, lockout?.env_id], [hers.target, null]);
      const names = await plane.database
        .selectFrom('login_names')
        .select('name')
        .where('name', '=', hers.target)
        .execute();
      assert.deepEqual(names, []);
    });
  });
}
