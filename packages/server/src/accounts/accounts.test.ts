import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Account, AccountPage, AuditPage, CreatedAccount, Problem } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { claimLoginName } from '../login-names/table.ts';
import { localPrincipal } from '../sign-in/authenticate.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account as SignedIn } from '../testing/control-plane.ts';
import { updateAccount } from './accounts.ts';

const good = 'Good-Password-1';

for (const on of databases) {
  describe(`accounts on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: SignedIn;
    let alice: SignedIn;
    let bob: SignedIn;
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

    const ask = (
      method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
      url: string,
      payload?: object,
      { token }: { token: string } = chief,
    ) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const make = async (body: object) => {
      const answer = await ask('POST', routes.accounts, body);
      assert.equal(answer.statusCode, 201, answer.body);
      return answer.json<CreatedAccount>();
    };
    const login = (account: string, password: string) =>
      app.inject({ method: 'POST', url: routes.login, payload: { account, password } });
    const at = (id: number) => pathOf(routes.account, { id: String(id) });
    const problemOf = (answer: { statusCode: number; body: string }, status: number) => {
      assert.equal(answer.statusCode, status, answer.body);
      return JSON.parse(answer.body) as Problem;
    };

    test('are made with a password of their own, which is shown once and signs in', async () => {
      const made = await make({ name: 'carol', customer_id: alice.principal.customerId });
      assert.deepEqual(
        [made.role, made.customer, made.has_password, made.last_login_at],
        ['member', 'alice', true, null],
      );
      const password = made.password ?? '';
      const { token } = (await login('carol', password)).json<{ token: string }>();
      assert.equal((await ask('GET', routes.whoami, undefined, { token })).statusCode, 200);
      const shown = await ask('GET', at(made.id));
      assert.ok(!shown.body.includes(password));
      assert.notEqual(shown.json<Account>().last_login_at, null);
    });

    test('are made with a given password, or with none', async () => {
      const given = await make({ name: 'given', password: good, role: 'admin' });
      assert.equal(given.password, null);
      assert.equal(given.customer_id, chief.principal.customerId, 'whose nothing says otherwise');
      assert.equal((await login('given', good)).statusCode, 200);
      const none = await make({ name: 'robot', password: null });
      assert.deepEqual([none.password, none.has_password], [null, false]);
      for (const password of ['', 'null', 'undefined'].filter(Boolean))
        assert.equal((await login('robot', password)).statusCode, 401);
    });

    test('are refused with a weak password, a taken or bad name, or an unknown customer', async () => {
      const weak = problemOf(await ask('POST', routes.accounts, { name: 'weak', password: 'geheim' }), 422);
      assert.deepEqual([weak.code, weak.field], ['weak_password', 'password']);
      assert.ok(!JSON.stringify(weak).includes('geheim'));
      const taken = problemOf(await ask('POST', routes.accounts, { name: 'admin' }), 409);
      assert.deepEqual([taken.code, taken.field], ['name_taken', 'name']);
      for (const name of ['Upper', 'with space', '-dash', '', 'a'.repeat(33), '../x', 'ä', 'a\u0000'])
        problemOf(await ask('POST', routes.accounts, { name }), 400);
      const unknown = problemOf(await ask('POST', routes.accounts, { name: 'x', customer_id: 999_999 }), 422);
      assert.deepEqual([unknown.code, unknown.field], ['unknown_reference', 'customer_id']);
    });

    test('are not called like an environment, nor an environment like one of them', async () => {
      const { env_id } = await plane.create({ name: 'demo' });
      assert.equal(await claimLoginName(plane.database, 'member-of-alice', 'environment'), false);
      assert.equal(problemOf(await ask('POST', routes.accounts, { name: env_id }), 409).code, 'name_taken');
      await plane.database
        .updateTable('environments')
        .set({ status: 'deleted' })
        .where('id', '=', env_id)
        .execute();
      assert.equal(problemOf(await ask('POST', routes.accounts, { name: env_id }), 409).code, 'name_taken');
    });

    test('and environments that are made at once share no name', async () => {
      for (const [index, isKept] of [true, false].entries()) {
        const name = `race-${index}`;
        const claimed = Promise.withResolvers<void>();
        const asked = Promise.withResolvers<void>();
        const environment = plane.database.transaction().execute(async (transaction) => {
          assert.ok(await claimLoginName(transaction, name, 'environment'));
          claimed.resolve();
          await asked.promise;
          if (!isKept) throw new Error('it is not made after all');
        });
        environment.catch(() => undefined);
        await claimed.promise;
        const account = ask('POST', routes.accounts, { name });
        asked.resolve();
        assert.equal((await account).statusCode, isKept ? 409 : 201, name);
        await Promise.allSettled([environment]);
        const { count } = await plane.database
          .selectFrom('login_names')
          .select((e) => e.fn.countAll<number>().as('count'))
          .where('name', '=', name)
          .executeTakeFirstOrThrow();
        assert.equal(count, 1);
      }
    });

    test('give their name back when they are deleted', async () => {
      const { id } = await make({ name: 'again' });
      assert.equal((await ask('DELETE', at(id))).statusCode, 204);
      await make({ name: 'again' });
    });

    test("show a member its own customer's only, and an administrator all, by filters", async () => {
      const names = async (who: SignedIn, query = '') =>
        (await ask('GET', `${routes.accounts}${query}`, undefined, who))
          .json<AccountPage>()
          .items.map(({ name }) => name);
      assert.deepEqual(await names(bob), ['member-of-bob']);
      assert.deepEqual(await names(bob, `?customer_id=${alice.principal.customerId}`), []);
      assert.ok((await names(chief)).includes('member-of-alice'));
      assert.deepEqual(await names(chief, '?search=OF-ALI'), ['member-of-alice']);
      assert.ok(!(await names(chief, '?role=admin')).includes('member-of-alice'));
      const hers = problemOf(await ask('GET', at(alice.principal.accountId), undefined, bob), 404);
      const none = problemOf(await ask('GET', at(999_999), undefined, bob), 404);
      assert.equal(hers.detail.replace(String(alice.principal.accountId), '999999'), none.detail);
      assert.equal((await ask('GET', at(bob.principal.accountId), undefined, bob)).statusCode, 200);
    });

    test('are changed by administrators only', async () => {
      const id = alice.principal.accountId;
      for (const [method, payload, url] of [
        ['POST', { name: 'x' }, routes.accounts],
        ['PATCH', { role: 'admin' }, at(id)],
        ['DELETE', undefined, at(id)],
      ] as const)
        assert.equal(problemOf(await ask(method, url, payload, alice), 403).code, 'forbidden');
    });

    test('with a new password lose all that the old one opened', async () => {
      const made = await make({ name: 'dave', password: good });
      const { token } = (await login('dave', good)).json<{ token: string }>();
      const answer = await ask('PATCH', at(made.id), { password: `${good}2` });
      assert.equal(answer.statusCode, 200, answer.body);
      assert.equal((await ask('GET', routes.whoami, undefined, { token })).statusCode, 401);
      assert.equal((await login('dave', good)).statusCode, 401);
      assert.equal((await login('dave', `${good}2`)).statusCode, 200);
      const none = await ask('PATCH', at(made.id), { password: null });
      assert.equal(none.json<Account>().has_password, false);
      assert.equal((await login('dave', `${good}2`)).statusCode, 401);
      problemOf(await ask('PATCH', at(made.id), { password: 'weak' }), 422);
      problemOf(await ask('PATCH', at(999_999), { password: good }), 404);
      problemOf(await ask('PATCH', at(made.id), {}), 400);
    });

    test('that are administrators no more administer nothing, whatever their tokens say', async () => {
      const { principal, token } = await plane.account('deposed', 'admin');
      assert.equal((await ask('GET', routes.audit, undefined, { token })).statusCode, 200);
      await ask('PATCH', at(principal.accountId), { role: 'member' });
      assert.equal((await ask('GET', routes.audit, undefined, { token })).statusCode, 403);
      const who = await ask('GET', routes.whoami, undefined, { token });
      assert.deepEqual(who.json<{ scopes: string[] }>().scopes, ['read', 'write']);
    });

    test('go with their tokens and keys, and the environments are keyed anew', async () => {
      const { principal, token } = await plane.account('going');
      const { env_id } = await plane.create({ name: 'stays' }, plane.services, principal);
      await plane.database
        .insertInto('ssh_keys')
        .values({
          customer_id: principal.customerId,
          account_id: principal.accountId,
          name: 'laptop',
          type: 'ssh-ed25519',
          fingerprint: 'SHA256:going',
          public_key: 'ssh-ed25519 AAAA',
        })
        .execute();
      const generation = async () =>
        (
          await plane.database
            .selectFrom('environments')
            .select('generation')
            .where('id', '=', env_id)
            .executeTakeFirstOrThrow()
        ).generation;
      const before = await generation();
      assert.equal((await ask('DELETE', at(principal.accountId))).statusCode, 204);
      assert.equal((await ask('GET', routes.whoami, undefined, { token })).statusCode, 401);
      assert.equal(await generation(), before + 1);
      assert.equal(problemOf(await ask('DELETE', at(principal.accountId)), 404).code, 'not_found');
    });

    test('do not delete themselves', async () => {
      const refused = problemOf(await ask('DELETE', at(chief.principal.accountId)), 409);
      assert.equal(refused.code, 'in_use');
      assert.match(refused.detail, /is the one that asks/);
    });

    test('have their changes in the audit log, without a password', async () => {
      const { id } = await make({ name: 'erin', password: good });
      await ask('PATCH', at(id), { role: 'admin', password: `${good}!` });
      await ask('DELETE', at(id));
      const answer = await ask('GET', `${routes.audit}?target=erin&action=account`);
      const { items } = answer.json<AuditPage>();
      assert.deepEqual(
        items.map(({ action, detail }) => [action, detail]),
        [
          ['account.delete', { id, role: 'admin', ssh_keys: 0 }],
          ['account.update', { role: { from: 'member', to: 'admin' }, password: 'changed' }],
          ['account.create', { id, role: 'member', has_password: true }],
        ],
      );
      assert.ok(!answer.body.includes(good));
    });
  });

  describe(`the last administrator on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    before(async () => {
      plane = await ControlPlane.open(on);
    });
    after(() => plane.close());

    const actor = () => ({ principal: plane.admin, source: null });
    const demote = (id: number) =>
      updateAccount(plane.services, plane.admin, actor(), id, { role: 'member' });

    test('stays one, even when two are taken away at once', async () => {
      const { principal } = await plane.account('second', 'admin');
      const both = [plane.admin.accountId, principal.accountId];
      for (let round = 0; round < 10; round += 1) {
        await plane.database.updateTable('accounts').set({ role: 'admin' }).where('id', 'in', both).execute();
        const results = await Promise.allSettled(both.map(demote));
        const reasons = results.map((each) =>
          each.status === 'rejected' ? (each.reason as { code: string }).code : null,
        );
        assert.deepEqual(reasons.filter(Boolean), ['in_use']);
      }
    });

    test('is who the socket in the data folder acts as where "admin" is none', async () => {
      const { principal } = await plane.account('third', 'admin');
      await plane.database
        .updateTable('accounts')
        .set({ role: 'member' })
        .where('id', '<>', principal.accountId)
        .execute();
      assert.equal((await localPrincipal(plane.database)).account, principal.account);
    });
  });
}
