import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { CreatedToken, Problem, Token, TokenPage } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { noteUse } from './table.ts';

for (const on of databases) {
  describe(`tokens on ${on.name}`, { skip: on.skip }, () => {
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
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, token: string, payload?: object) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${token}` },
        ...(payload ? { payload } : {}),
      });
    const make = async (token: string, body: object) => {
      const answer = await ask('POST', routes.tokens, token, body);
      assert.equal(answer.statusCode, 201, answer.body);
      return answer.json<CreatedToken>();
    };
    const list = async (token: string, query = '') =>
      (await ask('GET', `${routes.tokens}${query}`, token)).json<TokenPage>().items;
    const remove = (token: string, id: number) =>
      ask('DELETE', pathOf(routes.token, { id: String(id) }), token);
    const problemOf = (answer: { statusCode: number; body: string }, status: number) => {
      assert.equal(answer.statusCode, status, answer.body);
      return JSON.parse(answer.body) as Problem;
    };

    test('are shown once, kept as SHA-256, and known again by their beginning', async () => {
      const made = await make(alice.token, { name: 'ci' });
      assert.deepEqual([made.kind, made.account, made.scopes], ['api', 'member-of-alice', ['read', 'write']]);
      assert.equal(made.hint, made.token.slice(0, 12));
      const days = (Date.parse(made.expires_at ?? '') - Date.now()) / 86_400_000;
      assert.ok(days > 89.9 && days <= 90, `${days} days`);
      const { token, ...shown } = made;
      assert.deepEqual(
        (await list(alice.token)).find(({ id }) => id === made.id),
        shown,
      );
      const row = await plane.database
        .selectFrom('tokens')
        .selectAll()
        .where('id', '=', made.id)
        .executeTakeFirstOrThrow();
      assert.ok(Buffer.from(row.hash).equals(createHash('sha256').update(token).digest()));
      assert.ok(!JSON.stringify(row).includes(token.slice(13)));
    });

    test('last as long as is asked, or for good', async () => {
      assert.equal((await make(alice.token, { name: 'for good', expires_in_days: null })).expires_at, null);
      const { expires_at } = await make(alice.token, { name: 'a day', expires_in_days: 1 });
      assert.ok(Date.parse(expires_at ?? '') - Date.now() <= 86_400_000);
      for (const expires_in_days of [0, -1, 1.5, 3651, '1', 1e308])
        problemOf(await ask('POST', routes.tokens, alice.token, { name: 'x', expires_in_days }), 400);
    });

    test('do what their scopes say', async () => {
      const reader = (await make(alice.token, { name: 'reader', scopes: ['read'] })).token;
      assert.equal((await ask('GET', routes.environments, reader)).statusCode, 200);
      const refused = problemOf(await ask('POST', routes.tokens, reader, { name: 'x' }), 403);
      assert.match(refused.detail, /needs the scope write/);
      const writer = (await make(alice.token, { name: 'writer', scopes: ['write'] })).token;
      assert.equal(problemOf(await ask('GET', routes.environments, writer), 403).code, 'forbidden');
      const plain = (await make(chief.token, { name: 'plain' })).token;
      assert.equal(problemOf(await ask('GET', routes.audit, plain), 403).code, 'forbidden');
    });

    test('make none that can do more than they or their account', async () => {
      const member = problemOf(
        await ask('POST', routes.tokens, alice.token, { name: 'x', scopes: ['read', 'admin'] }),
        403,
      );
      assert.equal(member.field, 'scopes');
      const writer = (await make(chief.token, { name: 'writer', scopes: ['write'] })).token;
      for (const scopes of [['read'], ['admin'], ['read', 'write'], undefined])
        problemOf(
          await ask('POST', routes.tokens, writer, { name: 'x', ...(scopes ? { scopes } : {}) }),
          403,
        );
      assert.deepEqual((await make(writer, { name: 'x', scopes: ['write'] })).scopes, ['write']);
      const account_id = alice.principal.accountId;
      const forMember = await ask('POST', routes.tokens, chief.token, {
        name: 'x',
        account_id,
        scopes: ['admin'],
      });
      assert.match(problemOf(forMember, 403).detail, /member-of-alice is a member/);
    });

    test('are made for others by administrators only', async () => {
      const account_id = bob.principal.accountId;
      const made = await make(chief.token, { name: 'for bob', account_id });
      assert.equal(made.account, 'member-of-bob');
      const byMember = problemOf(
        await ask('POST', routes.tokens, alice.token, { name: 'x', account_id }),
        422,
      );
      const unknown = problemOf(
        await ask('POST', routes.tokens, alice.token, { name: 'x', account_id: 999_999 }),
        422,
      );
      assert.deepEqual([byMember.code, byMember.field], ['unknown_reference', 'account_id']);
      assert.equal(byMember.detail.replace(String(account_id), '999999'), unknown.detail);
      const plain = (await make(chief.token, { name: 'plain' })).token;
      problemOf(await ask('POST', routes.tokens, plain, { name: 'x', account_id }), 422);
    });

    test('are seen and deleted by their account and by administrators', async () => {
      const { id } = await make(alice.token, { name: 'seen' });
      assert.ok((await list(alice.token)).every(({ account }) => account === 'member-of-alice'));
      assert.deepEqual(await list(bob.token, `?account_id=${alice.principal.accountId}`), []);
      assert.ok((await list(chief.token)).some((token) => token.id === id));
      const hers = await list(chief.token, `?account_id=${alice.principal.accountId}&kind=api`);
      assert.ok(hers.every(({ account, kind }) => account === 'member-of-alice' && kind === 'api'));
      const others = problemOf(await remove(bob.token, id), 404);
      const none = problemOf(await remove(bob.token, 999_999), 404);
      assert.equal(others.detail.replace(String(id), '999999'), none.detail);
      assert.equal((await remove(chief.token, id)).statusCode, 204);
      problemOf(await remove(alice.token, id), 404);
    });

    test('say which of them asks, and may end themselves', async () => {
      const { token, id } = await make(alice.token, { name: 'itself' });
      const current = (await list(token)).filter((each: Token) => each.current);
      assert.deepEqual(
        current.map((each) => each.id),
        [id],
      );
      assert.equal((await remove(token, id)).statusCode, 204);
      assert.equal((await ask('GET', routes.whoami, token)).statusCode, 401);
    });

    test('note that they are used, at most once a minute', async () => {
      const { token, id } = await make(alice.token, { name: 'used' });
      const used = async () => (await list(alice.token)).find((each) => each.id === id)?.last_used_at ?? null;
      assert.equal(await used(), null);
      await ask('GET', routes.whoami, token);
      const first = await eventually(used, (at) => at !== null);
      await ask('GET', routes.whoami, token);
      await ask('GET', routes.whoami, token);
      assert.equal(await used(), first);
      await plane.database
        .updateTable('tokens')
        .set({ last_used_at: new Date(Date.now() - 61_000) })
        .where('id', '=', id)
        .execute();
      await ask('GET', routes.whoami, token);
      const second = await eventually(used, (at) => Date.parse(at ?? '') > Date.now() - 30_000);
      await noteUse(plane.database, id);
      assert.equal(await used(), second, 'of requests that come at once one writes');
    });

    test('that have expired open nothing and are not listed', async () => {
      const { token, id } = await make(alice.token, { name: 'late' });
      await plane.database
        .updateTable('tokens')
        .set({ expires_at: new Date(Date.now() - 1) })
        .where('id', '=', id)
        .execute();
      assert.equal((await ask('GET', routes.whoami, token)).statusCode, 401);
      assert.ok(!(await list(alice.token)).some((each) => each.id === id));
    });

    test('have their making and end in the audit log, without the token', async () => {
      const { id, token } = await make(alice.token, { name: 'audited' });
      await remove(alice.token, id);
      const answer = await ask(
        'GET',
        `${routes.audit}?action=token&account=member-of-alice&limit=2`,
        chief.token,
      );
      const actions = answer.json<{ items: { action: string; detail: { id: number } }[] }>().items;
      assert.deepEqual(
        actions.map(({ action, detail }) => [action, detail.id]),
        [
          ['token.delete', id],
          ['token.create', id],
        ],
      );
      assert.ok(!answer.body.includes(token.slice(13)));
    });
  });
}
