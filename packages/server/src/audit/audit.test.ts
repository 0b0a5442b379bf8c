import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AuditPage, AuditRecord, Problem } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { audit } from './audit.ts';

for (const on of databases) {
  describe(`the audit log on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: Account;
    let member: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      chief = await plane.account('operators', 'admin');
      member = await plane.account('alice');
      const actor = { principal: member.principal, source: '192.0.2.1' };
      for (let count = 1; count <= 5; count += 1)
        await audit(plane.database, actor, {
          action: 'dataset.create',
          target: `d${count}`,
          detail: { count },
        });
      await audit(plane.database, actor, { action: 'dataset.delete', target: 'd1' });
      await audit(
        plane.database,
        { principal: null, source: null },
        { action: 'login', outcome: 'refused', account: 'nobody', target: 'nobody' },
      );
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (query: string, headers: Record<string, string> = {}) =>
      app.inject({
        url: `${routes.audit}?${query}`,
        headers: { authorization: `Bearer ${chief.token}`, ...headers },
      });
    const targets = async (query: string) =>
      (await ask(query)).json<AuditPage>().items.map(({ action, target }) => `${action} ${target}`);

    test('tells who did what from where, the newest first', async () => {
      const { items } = (await ask('limit=2')).json<AuditPage>();
      assert.deepEqual(
        items.map(({ id, at, ...rest }) => {
          assert.ok(id > 0 && Date.now() - Date.parse(at) < 600_000);
          return rest;
        }),
        [
          {
            action: 'login',
            outcome: 'refused',
            account: 'nobody',
            customer_id: null,
            source: null,
            target: 'nobody',
            detail: {},
          },
          {
            action: 'dataset.delete',
            outcome: 'done',
            account: 'member-of-alice',
            customer_id: member.principal.customerId,
            source: '192.0.2.1',
            target: 'd1',
            detail: {},
          },
        ],
      );
    });

    test('is filtered by action, its part before the dot, account, customer, target, outcome and time', async () => {
      assert.deepEqual(await targets('action=dataset.delete'), ['dataset.delete d1']);
      assert.equal((await targets('action=dataset')).length, 6);
      assert.deepEqual(await targets('action=data'), []);
      assert.deepEqual(await targets('action=dataset%25'), []);
      assert.deepEqual(await targets('outcome=refused'), ['login nobody']);
      assert.equal((await targets('account=member-of-alice')).length, 6);
      assert.equal((await targets(`customer_id=${member.principal.customerId}`)).length, 6);
      assert.deepEqual(await targets('target=d1'), ['dataset.delete d1', 'dataset.create d1']);
      assert.deepEqual(await targets('until=2020-01-01T00:00:00Z'), []);
      assert.equal((await targets('since=2020-01-01T00:00:00Z')).length, 7);
    });

    test('answers the strangest moments with a list or a word, never an error of ours', async () => {
      for (const moment of [
        '0000-01-01T00:00:00Z',
        '9999-12-31T23:59:59-23:59',
        '2016-12-31T23:59:60Z',
        '2026-02-30T00:00:00Z',
        'yesterday',
        '',
        '%00',
      ])
        for (const name of ['since', 'until']) {
          const answer = await ask(`${name}=${moment}`);
          assert.ok([200, 400].includes(answer.statusCode), `${name}=${moment}: ${answer.body}`);
          if (answer.statusCode === 400) assert.equal(answer.json<Problem>().field, name);
        }
    });

    test('comes in pages that hold each record once', async () => {
      const seen: number[] = [];
      let cursor: string | null = null;
      do {
        const page: AuditPage = (await ask(`limit=3${cursor === null ? '' : `&cursor=${cursor}`}`)).json();
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next_cursor;
      } while (cursor !== null);
      assert.equal(seen.length, 7);
      assert.deepEqual(
        seen,
        [...new Set(seen)].sort((a, b) => b - a),
      );
      assert.equal((await ask('cursor=nonsense')).statusCode, 400);
    });

    test('is written out whole as JSON Lines, however long it is', async () => {
      await plane.database
        .insertInto('audit')
        .values(
          Array.from({ length: 2500 }, (_, index) => ({
            action: 'many.things',
            outcome: 'done' as const,
            account: 'x',
            customer_id: null,
            source: null,
            target: String(index),
            detail: '{"text": "with a\\nline break"}',
          })),
        )
        .execute();
      const answer = await ask('action=many', { accept: 'application/jsonl' });
      assert.equal(answer.statusCode, 200);
      assert.match(String(answer.headers['content-type']), /^application\/jsonl/);
      const lines = answer.body.split('\n');
      assert.equal(lines.pop(), '');
      const records = lines.map((line) => JSON.parse(line) as AuditRecord);
      assert.equal(new Set(records.map(({ id }) => id)).size, 2500);
      assert.equal(records[0]?.target, '2499');
      const none = await ask('action=nothing', { accept: 'application/jsonl' });
      assert.deepEqual([none.statusCode, none.body], [200, '']);
    });

    test('is for administrators, with a token of that scope', async () => {
      const headers = { authorization: `Bearer ${member.token}` };
      assert.equal((await app.inject({ url: routes.audit, headers })).statusCode, 403);
    });
  });
}
