/** Allowlists through the API: who may set them, what is refused, and whom a change is told. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type {
  AddAllowlistEntry,
  AllowlistCheck,
  AllowlistEntry,
  AllowlistPage,
  Problem,
} from '@berth/contract';
import { mostAllowlistEntries, pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { deleteEnvironment } from '../environments/environments.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`allowlists on ${on.name}`, { skip: on.skip }, () => {
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
      chief = await plane.account('alice', 'admin');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(() => plane.clear());

    const call = (
      who: Account,
      method: 'GET' | 'POST' | 'DELETE',
      url: string,
      payload?: object,
      remoteAddress = '192.0.2.10',
    ) =>
      app.inject({
        method,
        url,
        remoteAddress,
        headers: { authorization: `Bearer ${who.token}` },
        ...(payload ? { payload } : {}),
      });
    const add = (entry: AddAllowlistEntry, who = alice) => call(who, 'POST', routes.allowlist, entry);
    const added = async (entry: AddAllowlistEntry, who = alice) => {
      const answer = await add(entry, who);
      assert.equal(answer.statusCode, 201, answer.body);
      return answer.json<AllowlistEntry>();
    };
    const list = async (query = '', who = alice) =>
      (await call(who, 'GET', `${routes.allowlist}${query}`)).json<AllowlistPage>();
    const networks = async (query = '', who = alice) =>
      (await list(query, who)).items.map(({ network }) => network);
    const remove = (id: number, who = alice) =>
      call(who, 'DELETE', pathOf(routes.allowlistEntry, { id: String(id) }));
    const check = async (query: string, who = alice, from?: string) =>
      (await call(who, 'GET', `${routes.allowlistCheck}?${query}`, undefined, from)).json<AllowlistCheck>();
    const problem = (answer: Awaited<ReturnType<typeof call>>, status: number, code: string): Problem => {
      assert.equal(answer.statusCode, status, answer.body);
      const document = answer.json<Problem>();
      assert.equal(document.code, code);
      return document;
    };
    const make = async ({ principal }: Account, name = 'demo') =>
      (await plane.create({ name }, plane.services, principal)).env_id;
    /** What every server hears while something is done. */
    const heard = async (act: () => Promise<unknown>, count: number): Promise<unknown[]> => {
      const said: unknown[] = [];
      const { notices } = plane.services;
      const quiet = [
        notices.onAnnouncement((announcement) => said.push(announcement)),
        notices.onAny(
          ({ id }) => said.push(id),
          () => undefined,
        ),
      ];
      try {
        await act();
        await eventually(
          () => Promise.resolve(said.length),
          (length) => length >= count,
        );
      } finally {
        for (const end of quiet) end();
      }
      return said;
    };

    test('hold networks in one form, once each, with a note', async () => {
      const entry = await added({ network: '203.0.113.7', note: '  the office ' });
      assert.deepEqual(
        [entry.network, entry.note, entry.env_id, entry.customer_id],
        ['203.0.113.7/32', 'the office', null, alice.principal.customerId],
      );
      const again = problem(await add({ network: '::ffff:203.0.113.7' }), 409, 'duplicate_entry');
      assert.match(again.detail, /^network: 203\.0\.113\.7\/32 /);
      const id = await make(alice);
      // The same network may stand with the customer and with an environment.
      await added({ network: '203.0.113.7', env_id: id });
      problem(await add({ network: '203.0.113.7/32', env_id: id }), 409, 'duplicate_entry');
      await added({ network: '2001:DB8:0::/48' });
      assert.deepEqual(await networks(), ['203.0.113.7/32', '203.0.113.7/32', '2001:db8::/48']);
    });

    test('refuse what is no network, and name the one that was meant', async () => {
      const within = problem(await add({ network: '203.0.113.7/24' }), 400, 'bad_request');
      assert.equal(within.field, 'network');
      assert.match(within.detail, /"203\.0\.113\.7\/24", an address within a network/);
      assert.match(within.cure, /203\.0\.113\.0\/24 for the network/);
      for (const network of [
        'office',
        '203.0.113.0/33',
        '::/129',
        'fe80::1%eth0',
        '1.2.3.4/24/24',
        '127.1',
      ]) {
        const refused = problem(await add({ network }), 400, 'bad_request');
        assert.match(refused.detail, /^network: is ".+", which is no network\.$/);
      }
      for (const note of ['a\nb', '\u202e', 'x'.repeat(201)])
        assert.equal(problem(await add({ network: '::1', note }), 400, 'bad_request').field, 'note');
      assert.deepEqual(await networks(), []);
    });

    test('of another customer are neither seen nor changed, and an administrator names whose', async () => {
      const id = await make(bob);
      const his = await added({ network: '198.51.100.0/24' }, bob);
      for (const env_id of [id, 'none-2222']) {
        const refused = problem(await add({ network: '192.0.2.0/24', env_id }), 404, 'not_found');
        assert.equal(refused.detail, `There is no environment "${env_id}".`);
        assert.equal((await call(alice, 'GET', `${routes.allowlistCheck}?env_id=${env_id}`)).statusCode, 404);
      }
      const { customerId } = bob.principal;
      problem(await add({ network: '192.0.2.0/24', customer_id: customerId }), 403, 'forbidden');
      assert.equal(
        (await call(alice, 'GET', `${routes.allowlistCheck}?customer_id=${customerId}`)).statusCode,
        403,
      );
      problem(await remove(his.id), 404, 'not_found');
      assert.deepEqual(await networks(), []);
      assert.deepEqual(await networks(`?customer_id=${customerId}`), []);
      assert.deepEqual(await networks(`?env_id=${id}`), []);

      const given = await added({ network: '192.0.2.0/24', customer_id: customerId }, chief);
      assert.equal(given.customer_id, customerId);
      await added({ network: '192.0.2.1', env_id: id }, chief);
      assert.deepEqual(await networks('', bob), ['198.51.100.0/24', '192.0.2.0/24', '192.0.2.1/32']);
      problem(await add({ network: '::1', customer_id: 999_999 }, chief), 422, 'unknown_reference');
      // An environment of another customer than the one that is named.
      const mixed = { network: '::1', env_id: id, customer_id: alice.principal.customerId };
      problem(await add(mixed, chief), 404, 'not_found');
      assert.equal((await remove(his.id, chief)).statusCode, 204);
    });

    test('are listed page by page, of a customer and as they hold for an environment', async () => {
      const [one, other] = [await make(alice, 'one'), await make(alice, 'other')];
      await added({ network: '10.0.0.1' });
      await added({ network: '10.0.0.2', env_id: one });
      await added({ network: '10.0.0.3', env_id: other });
      await added({ network: '10.0.0.4' }, bob);
      assert.deepEqual(await networks(`?env_id=${one}`), ['10.0.0.1/32', '10.0.0.2/32']);
      assert.deepEqual(await networks(`?env_id=${other}`, chief), ['10.0.0.1/32', '10.0.0.3/32']);
      assert.deepEqual(await networks(`?customer_id=${bob.principal.customerId}`, chief), ['10.0.0.4/32']);
      assert.equal((await networks('', chief)).length, 4);
      const first = await list('?limit=2');
      assert.equal(first.items.length, 2);
      const rest = await list(`?limit=2&cursor=${first.next_cursor}`);
      assert.deepEqual([rest.items.map(({ network }) => network), rest.next_cursor], [['10.0.0.3/32'], null]);
      problem(await call(alice, 'GET', `${routes.allowlist}?cursor=x`), 400, 'bad_request');
    });

    test('say whether an address gets in, now and with one network more', async () => {
      const id = await make(alice);
      assert.deepEqual(await check(''), {
        address: '192.0.2.10',
        limited: false,
        allowed: true,
        covered_by: [],
      });
      const alone = await check('adding=203.0.113.0/24');
      assert.deepEqual([alone.limited, alone.allowed], [false, false]);
      assert.equal((await check('adding=192.0.2.0/24')).allowed, true);
      await added({ network: '203.0.113.0/24' });
      await added({ network: '198.51.100.7', env_id: id });
      assert.deepEqual(await check(`address=198.51.100.7`), {
        address: '198.51.100.7',
        limited: true,
        allowed: false,
        covered_by: [],
      });
      assert.deepEqual(await check(`address=::ffff:198.51.100.7&env_id=${id}`), {
        address: '198.51.100.7',
        limited: true,
        allowed: true,
        covered_by: ['198.51.100.7/32'],
      });
      assert.deepEqual((await check(`env_id=${id}`, alice, '::ffff:203.0.113.9')).covered_by, [
        '203.0.113.0/24',
      ]);
      const wrong = await call(alice, 'GET', `${routes.allowlistCheck}?address=home`);
      assert.match(problem(wrong, 400, 'bad_request').detail, /address: is "home", which is no address/);
      const meant = await call(alice, 'GET', `${routes.allowlistCheck}?adding=203.0.113.7/24`);
      assert.equal(problem(meant, 400, 'bad_request').field, 'adding');
    });

    test("tell those who decide: an environment's through its timeline, a customer's by name", async () => {
      const { customerId } = alice.principal;
      const { last } = await plane.database
        .selectFrom('audit')
        .select((e) => e.fn.coalesce(e.fn.max('id'), e.lit(0)).as('last'))
        .executeTakeFirstOrThrow();
      let id = '';
      const said = await heard(async () => {
        id = await make(alice);
        const ids = [
          (await added({ network: '10.0.0.0/8' })).id,
          (await added({ network: '10.0.0.1', env_id: id })).id,
        ];
        for (const each of ids) await remove(each);
      }, 5);
      const customers = { topic: 'customer', id: customerId };
      assert.deepEqual(said, [id, customers, id, customers, id]);
      assert.deepEqual((await plane.timeline(id)).slice(-2), [
        'request: member-of-alice put 10.0.0.1/32 into its allowlist.',
        'request: member-of-alice took 10.0.0.1/32 out of its allowlist.',
      ]);
      const audited = await plane.database
        .selectFrom('audit')
        .select(['action', 'account', 'target', 'customer_id', 'source', 'detail'])
        .where('id', '>', last)
        .where('action', 'like', 'allowlist.%')
        .orderBy('id')
        .execute();
      assert.deepEqual(
        audited.map(({ action, target, detail }) => [action, target, detail['env_id']]),
        [
          ['allowlist.add', '10.0.0.0/8', null],
          ['allowlist.add', '10.0.0.1/32', id],
          ['allowlist.remove', '10.0.0.0/8', null],
          ['allowlist.remove', '10.0.0.1/32', id],
        ],
      );
      assert.ok(
        audited.every(
          (each) =>
            each.account === 'member-of-alice' &&
            each.customer_id === customerId &&
            each.source === '192.0.2.10',
        ),
      );
    });

    test('have a bound for a customer and for an environment, also when many are added at once', async () => {
      const id = await make(alice);
      const { customerId } = alice.principal;
      const fill = (count: number, env_id: string | null, block: number) =>
        plane.database
          .insertInto('allowlist_entries')
          .values(
            Array.from({ length: count }, (_, index) => ({
              customer_id: customerId,
              env_id,
              network: `10.${block}.${index >> 8}.${index & 255}/32`,
              note: '',
            })),
          )
          .execute();
      const { customer, environment } = mostAllowlistEntries;
      await fill(environment - 1, id, 1);
      const answers = await Promise.all(
        Array.from({ length: 5 }, (_, index) => add({ network: `192.0.2.${index}`, env_id: id })),
      );
      assert.deepEqual(
        answers.map(({ statusCode }) => statusCode).toSorted((one, two) => one - two),
        [201, 409, 409, 409, 409],
      );
      const full = problem(await add({ network: '::1', env_id: id }), 409, 'allowlist_full');
      assert.equal(full.detail, `The environment ${id} has ${environment} entries.`);
      await fill(customer - environment, null, 2);
      const all = problem(await add({ network: '::1' }), 409, 'allowlist_full');
      assert.equal(all.detail, `The customer has ${customer} entries.`);
      await added({ network: '::1' }, bob);
    });

    test('of an environment go with it, and while it goes nothing is added', async () => {
      await plane.startReconciler();
      const id = await make(alice);
      await plane.until(id, 'running');
      await added({ network: '10.0.0.0/8', env_id: id });
      await added({ network: '10.0.0.0/8' });
      const gate = plane.runtime.holdOn('removeWorkload');
      await deleteEnvironment(plane.services, { principal: alice.principal, source: null }, id);
      await gate.entered;
      problem(await add({ network: '::1', env_id: id }), 409, 'wrong_state');
      gate.open();
      await plane.until(id, 'gone');
      assert.deepEqual(
        (await list()).items.map(({ env_id }) => env_id),
        [null],
      );
      problem(await add({ network: '::1', env_id: id }), 404, 'not_found');
    });
  });
}
