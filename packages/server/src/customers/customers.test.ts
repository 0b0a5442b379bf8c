import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { AuditPage, Customer, CustomerPage, Problem } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { eventually } from '../../../../test/harness/ssh.ts';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`customers on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: Account;
    let member: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      chief = await plane.account('operators', 'admin');
      member = await plane.account('alice');
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
      { token } = chief,
    ) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const make = async (name: string) => {
      const answer = await ask('POST', routes.customers, { name });
      assert.equal(answer.statusCode, 201, answer.body);
      return answer.json<Customer>();
    };
    const at = (id: number) => pathOf(routes.customer, { id: String(id) });
    const problemOf = (answer: { statusCode: number; body: string }, status: number) => {
      assert.equal(answer.statusCode, status, answer.body);
      return JSON.parse(answer.body) as Problem;
    };

    test('are made, shown, found, renamed and deleted', async () => {
      const made = await make('  Müller & Söhne ');
      assert.equal(made.name, 'Müller & Söhne');
      assert.deepEqual([made.accounts, made.environments], [0, 0]);
      assert.deepEqual((await ask('GET', at(made.id))).json(), made);
      const found = await ask('GET', `${routes.customers}?search=${encodeURIComponent('müller')}`);
      assert.deepEqual(found.json<CustomerPage>().items, [made]);
      const renamed = await ask('PATCH', at(made.id), { name: 'Müller' });
      assert.equal(renamed.json<Customer>().name, 'Müller');
      assert.equal((await ask('DELETE', at(made.id))).statusCode, 204);
      assert.equal((await ask('GET', at(made.id))).statusCode, 404);
      assert.equal((await ask('DELETE', at(made.id))).statusCode, 404);
      assert.equal((await ask('PATCH', at(made.id), { name: 'x' })).statusCode, 404);
    });

    test('have their passwords switched off and on, which is audited and told', async () => {
      const made = await make('keys only');
      assert.equal(made.password_login, true);
      const said: unknown[] = [];
      const quiet = plane.services.notices.onAnnouncement((each) => said.push(each));
      const off = await ask('PATCH', at(made.id), { password_login: false });
      assert.equal(off.json<Customer>().password_login, false);
      assert.equal((await ask('GET', at(made.id))).json<Customer>().password_login, false);
      const both = await ask('PATCH', at(made.id), { name: 'both', password_login: true });
      assert.deepEqual([both.json<Customer>().name, both.json<Customer>().password_login], ['both', true]);
      const told = { topic: 'customer', id: made.id };
      await eventually(
        () => said,
        ({ length }) => length >= 2,
      );
      quiet();
      assert.deepEqual(said, [told, told]);
      const acts = await plane.database
        .selectFrom('audit')
        .select(['action', 'target', 'detail'])
        .where('customer_id', '=', made.id)
        .orderBy('id')
        .execute();
      assert.deepEqual(
        acts.slice(1).map(({ action, target, detail }) => [action, target, detail]),
        [
          ['customer.update', 'keys only', { password_login: false }],
          ['customer.rename', 'both', { from: 'keys only' }],
          ['customer.update', 'both', { password_login: true }],
        ],
      );
      problemOf(await ask('PATCH', at(made.id), {}), 400);
      problemOf(await ask('PATCH', at(made.id), { password_login: 'off' }), 400);
    });

    test('come in pages that hold each of them once', async () => {
      const made = [];
      for (let count = 0; count < 5; count += 1) made.push((await make(`paged ${count}`)).id);
      const seen: number[] = [];
      let cursor: string | null = null;
      do {
        const from: string = cursor === null ? '' : `&cursor=${cursor}`;
        const page: CustomerPage = (
          await ask('GET', `${routes.customers}?limit=2&search=PAGED${from}`)
        ).json();
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next_cursor;
      } while (cursor !== null);
      assert.deepEqual(seen, made);
    });

    test('are searched by text and not by pattern', async () => {
      await make('100%');
      for (const [search, count] of [
        ['100%', 1],
        ['1%', 0],
        ['_00', 0],
        ["'; drop table customers; --", 0],
      ] as const) {
        const page = await ask('GET', `${routes.customers}?search=${encodeURIComponent(search)}`);
        assert.equal(page.json<CustomerPage>().items.length, count, search);
      }
    });

    test('have names of their own, which are free again after a deletion', async () => {
      const first = await make('twice');
      const again = problemOf(await ask('POST', routes.customers, { name: ' twice ' }), 409);
      assert.deepEqual([again.code, again.field], ['name_taken', 'name']);
      const other = await make('another');
      const renamed = problemOf(await ask('PATCH', at(other.id), { name: 'twice' }), 409);
      assert.deepEqual([renamed.code, renamed.field], ['name_taken', 'name']);
      assert.equal((await ask('PATCH', at(first.id), { name: 'twice' })).statusCode, 200, 'its own');
      await ask('DELETE', at(first.id));
      await make('twice');
      problemOf(await ask('POST', routes.customers, { name: '   ' }), 400);
    });

    test('take their accounts, tokens and keys along', async () => {
      const { principal, token } = await plane.account('leaving');
      await plane.database
        .insertInto('ssh_keys')
        .values({
          customer_id: principal.customerId,
          account_id: principal.accountId,
          name: 'laptop',
          type: 'ssh-ed25519',
          fingerprint: 'SHA256:leaving',
          public_key: 'ssh-ed25519 AAAA',
        })
        .execute();
      assert.equal((await ask('DELETE', at(principal.customerId))).statusCode, 204);
      assert.equal((await ask('GET', routes.whoami, undefined, { token, principal })).statusCode, 401);
      for (const table of ['accounts', 'ssh_keys'] as const) {
        const rows = await plane.database
          .selectFrom(table)
          .select('id')
          .where('customer_id', '=', principal.customerId)
          .execute();
        assert.deepEqual(rows, [], table);
      }
    });

    test('stay while they have environments or kept files, which the answer names', async () => {
      const { principal } = await plane.account('busy');
      const ids: string[] = [];
      for (let count = 0; count < 7; count += 1)
        ids.push((await plane.create({ name: `e${count}` }, plane.services, principal)).env_id);
      const refused = problemOf(await ask('DELETE', at(principal.customerId)), 409);
      assert.equal(refused.code, 'in_use');
      for (const id of ids.slice(0, 5)) assert.ok(refused.detail.includes(id), refused.detail);
      assert.match(refused.detail, /environments \(.* and 2 more\)/);
      await plane.database
        .updateTable('environments')
        .set({ status: 'deleted' })
        .where('customer_id', '=', principal.customerId)
        .execute();
      await plane.database
        .updateTable('environments')
        .set({ storage_kept_since: new Date() })
        .where('id', '=', ids[3] ?? '')
        .execute();
      const kept = problemOf(await ask('DELETE', at(principal.customerId)), 409);
      assert.ok(kept.detail.includes(`kept files of deleted environments (${ids[3]})`), kept.detail);
      await plane.database.updateTable('environments').set({ storage_kept_since: null }).execute();
      assert.equal((await ask('DELETE', at(principal.customerId))).statusCode, 204);
      const { deleted_at } = await plane.database
        .selectFrom('customers')
        .select('deleted_at')
        .where('id', '=', principal.customerId)
        .executeTakeFirstOrThrow();
      assert.ok(deleted_at instanceof Date, 'its history still knows it');
    });

    test("stay when it is the asking account's own", async () => {
      const refused = problemOf(await ask('DELETE', at(chief.principal.customerId)), 409);
      assert.equal(refused.code, 'in_use');
      assert.match(refused.detail, /your own account/);
    });

    test('are for administrators', async () => {
      for (const [method, url, payload] of [
        ['GET', routes.customers, undefined],
        ['POST', routes.customers, { name: 'x' }],
        ['GET', at(member.principal.customerId), undefined],
        ['PATCH', at(member.principal.customerId), { name: 'x' }],
        ['DELETE', at(member.principal.customerId), undefined],
      ] as const) {
        const refused = problemOf(await ask(method, url, payload, member), 403);
        assert.equal(refused.code, 'forbidden');
      }
    });

    test('have their changes in the audit log', async () => {
      const { id } = await make('audited');
      await ask('PATCH', at(id), { name: 'audited anew' });
      await ask('DELETE', at(id));
      const { items } = (await ask('GET', `${routes.audit}?customer_id=${id}`)).json<AuditPage>();
      assert.deepEqual(
        items.map(({ action, target, account }) => [action, target, account]),
        [
          ['customer.delete', 'audited anew', chief.principal.account],
          ['customer.rename', 'audited anew', chief.principal.account],
          ['customer.create', 'audited', chief.principal.account],
        ],
      );
      assert.deepEqual(items[1]?.detail, { from: 'audited' });
    });
  });
}
