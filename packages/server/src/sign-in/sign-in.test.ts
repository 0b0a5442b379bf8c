import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { LoginToken, Problem } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane, testPassword } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`signing in on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    before(async () => {
      plane = await ControlPlane.open(on);
      await plane.account('alice');
    });
    after(() => plane.close());
    // Wrong passwords are counted for an application's life.
    beforeEach(async () => {
      app = await makeApp(plane.services);
    });
    afterEach(() => app.close());

    const login = (account: unknown, password: unknown, remoteAddress = '192.0.2.1') =>
      app.inject({ method: 'POST', url: routes.login, payload: { account, password }, remoteAddress });

    test('with the right password gives a token that works', async () => {
      const answer = await login('member-of-alice', testPassword);
      assert.equal(answer.statusCode, 200);
      const { token, expires_at } = answer.json<LoginToken>();
      const hours = (Date.parse(expires_at) - Date.now()) / 3_600_000;
      assert.ok(hours > 11.9 && hours <= 12, `${hours} hours`);
      const who = await app.inject({ url: routes.whoami, headers: { authorization: `Bearer ${token}` } });
      assert.equal(who.statusCode, 200);
    });

    test("with the admin's first password works, which stands in a file for its owner", async () => {
      const password = readFileSync(join(plane.folder, 'admin-password'), 'utf8').trim();
      const { statusCode } = await login('admin', password);
      assert.equal(statusCode, 200);
    });

    test('keeps no token, only its SHA-256', async () => {
      const { token } = (await login('member-of-alice', testPassword)).json<LoginToken>();
      const rows = await plane.database.selectFrom('tokens').selectAll().execute();
      const hash = createHash('sha256').update(token).digest();
      assert.ok(rows.some((row) => Buffer.from(row.hash).equals(hash)));
      assert.ok(!JSON.stringify(rows).includes(token.slice(6)));
      for (const row of rows) assert.equal(row.hash.length, 32);
    });

    test('answers a wrong password and an unknown account alike, in words and in time', async () => {
      const answers = [];
      for (const [account, password] of [
        ['member-of-alice', 'wrong'],
        ['nobody', testPassword],
        ['MEMBER-OF-ALICE', testPassword],
        ["' or '1'='1", 'x'],
      ]) {
        const began = process.hrtime.bigint();
        const answer = await login(account, password);
        answers.push({ answer, ms: Number(process.hrtime.bigint() - began) / 1e6 });
      }
      const [first] = answers;
      assert.ok(first);
      for (const { answer } of answers) {
        assert.equal(answer.statusCode, 401);
        assert.equal(answer.json<Problem>().code, 'wrong_password');
        assert.equal(answer.body, first.answer.body);
      }
      for (const { ms } of answers) assert.ok(ms > first.ms / 10, `${ms} ms beside ${first.ms} ms`);
    });

    test('is refused in words when the request is none', async () => {
      for (const [account, password] of [
        ['', 'x'],
        ['a'.repeat(65), 'x'],
        ['admin', ''],
        ['admin', 'x'.repeat(1025)],
        ['admin', 42],
        [null, 'x'],
        ['admin\u0000', 'x'],
      ]) {
        const answer = await login(account, password);
        assert.equal(answer.statusCode, 400, answer.body);
      }
    });

    test('repeats no password in its answers', async () => {
      for (const password of [`geheim-${'x'.repeat(1100)}`, ['geheim-1'], { geheim: 'geheim-2' }]) {
        const answer = await login('admin', password);
        assert.equal(answer.statusCode, 400);
        assert.doesNotMatch(answer.body, /geheim/);
      }
    });

    test('stops after ten wrong passwords for an account from one address, and says for how long', async () => {
      for (let count = 0; count < 10; count += 1)
        assert.equal((await login('member-of-alice', 'x')).statusCode, 401);
      const limited = await login('member-of-alice', testPassword);
      assert.equal(limited.statusCode, 429);
      assert.match(String(limited.headers['content-type']), /^application\/problem\+json/);
      assert.equal(limited.json<Problem>().code, 'rate_limited');
      const seconds = Number(limited.headers['retry-after']);
      assert.ok(seconds > 0 && seconds <= 300, `Retry-After: ${limited.headers['retry-after']}`);
      assert.equal(
        (await login('member-of-alice', testPassword, '192.0.2.2')).statusCode,
        200,
        'not locked out',
      );
      assert.equal((await login('admin', 'x')).statusCode, 401, 'other accounts are open');
    });

    test('stops after twenty wrong passwords for whatever accounts from one address', async () => {
      for (let count = 0; count < 20; count += 1)
        assert.equal((await login(`nobody-${count}`, 'x')).statusCode, 401);
      assert.equal((await login('member-of-alice', testPassword)).statusCode, 429);
      assert.equal((await login('member-of-alice', testPassword, '192.0.2.2')).statusCode, 200);
    });

    test('counts the addresses of one IPv6 network as one', async () => {
      for (let count = 0; count < 20; count += 1) {
        const { statusCode } = await login(`nobody-${count}`, 'x', `2001:db8::${count + 1}`);
        assert.equal(statusCode, 401);
      }
      assert.equal((await login('member-of-alice', testPassword, '2001:db8::ffff')).statusCode, 429);
      assert.equal((await login('member-of-alice', testPassword, '2001:db8:0:1::1')).statusCode, 200);
    });

    test('holds when all tries come at once', async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => login('member-of-alice', 'x')));
      const count = (status: number) => answers.filter(({ statusCode }) => statusCode === status).length;
      assert.deepEqual([count(401), count(429)], [10, 20]);
    });

    test('answers many people at once, and others meanwhile', async () => {
      const logins = Array.from({ length: 30 }, (_, index) =>
        login('member-of-alice', testPassword, `198.51.100.${index}`),
      );
      let slowestMs = 0;
      let answered = false;
      const all = Promise.all(logins).finally(() => (answered = true));
      while (!answered) {
        const began = performance.now();
        assert.equal((await app.inject({ url: routes.health })).statusCode, 200);
        slowestMs = Math.max(slowestMs, performance.now() - began);
        await new Promise(setImmediate);
      }
      assert.deepEqual([...new Set((await all).map(({ statusCode }) => statusCode))], [200]);
      assert.ok(slowestMs < 500, `${slowestMs} ms`);
    });

    test('does not work for an account without a password, in the same words', async () => {
      const { accountId } = (await plane.account('tokens-only')).principal;
      await plane.database
        .updateTable('accounts')
        .set({ password_hash: null })
        .where('id', '=', accountId)
        .execute();
      const answer = await login('member-of-tokens-only', testPassword);
      assert.equal(answer.statusCode, 401);
      assert.equal(answer.body, (await login('nobody', 'x')).body);
    });

    test('is written down, whether it was let in, refused or stopped, without the password', async () => {
      const { last } = await plane.database
        .selectFrom('audit')
        .select((e) => e.fn.coalesce(e.fn.max('id'), e.lit(0)).as('last'))
        .executeTakeFirstOrThrow();
      await login('member-of-alice', testPassword);
      for (let count = 0; count < 10; count += 1) await login('nobody', 'geheim');
      for (let count = 0; count < 3; count += 1) await login('nobody', 'geheim');
      const rows = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('id', '>', last)
        .orderBy('id')
        .execute();
      const told = rows.map(({ action, outcome, account, source, detail }) => [
        action,
        outcome,
        account,
        source,
        detail['why'],
      ]);
      assert.deepEqual(told[0], ['login', 'done', 'member-of-alice', '192.0.2.1', undefined]);
      const refused = Array.from({ length: 10 }, () => [
        'login',
        'refused',
        'nobody',
        '192.0.2.1',
        'wrong_password',
      ]);
      assert.deepEqual(told.slice(1), [
        ...refused,
        ['login', 'refused', 'nobody', '192.0.2.1', 'rate_limited'],
      ]);
      assert.ok(!JSON.stringify(rows).includes('geheim'));
    });

    test('notes when it was last', async () => {
      await login('member-of-alice', testPassword);
      const row = await plane.database
        .selectFrom('accounts')
        .select('last_login_at')
        .where('name', '=', 'member-of-alice')
        .executeTakeFirstOrThrow();
      assert.ok(Date.now() - Number(row.last_login_at) < 60_000);
    });
  });

  describe(`one's own password on ${on.name}`, { skip: on.skip }, () => {
    const better = 'Better-Password-1';
    let plane: ControlPlane;
    let app: App;
    before(async () => {
      plane = await ControlPlane.open(on);
    });
    after(() => plane.close());
    beforeEach(async () => {
      app = await makeApp(plane.services);
    });
    afterEach(() => app.close());

    const change = (token: string, current: string, wanted: string) =>
      app.inject({
        method: 'POST',
        url: routes.ownPassword,
        headers: { authorization: `Bearer ${token}` },
        payload: { current, new: wanted },
      });
    const whoami = async (token: string) =>
      (await app.inject({ url: routes.whoami, headers: { authorization: `Bearer ${token}` } })).statusCode;
    const login = async (account: string, password: string) =>
      (
        await app.inject({ method: 'POST', url: routes.login, payload: { account, password } })
      ).json<LoginToken>().token;

    test('is changed by who knows the present one; other logins end, tokens made by hand stay', async () => {
      const { token } = await plane.account('changing');
      const other = await login('member-of-changing', testPassword);
      const made = await app.inject({
        method: 'POST',
        url: routes.tokens,
        headers: { authorization: `Bearer ${token}` },
        payload: { name: 'ci' },
      });
      const byHand = made.json<{ token: string }>().token;
      const answer = await change(token, testPassword, better);
      assert.equal(answer.statusCode, 204, answer.body);
      assert.deepEqual([await whoami(token), await whoami(other), await whoami(byHand)], [200, 401, 200]);
      assert.equal(await login('member-of-changing', testPassword), undefined);
      assert.match(await login('member-of-changing', better), /^berth_/);
    });

    test('stays when the present one is wrong, and guesses are limited', async () => {
      const { token } = await plane.account('guessing');
      for (let count = 0; count < 10; count += 1) {
        const answer = await change(token, 'geheim-guess', better);
        assert.equal(answer.statusCode, 401);
        assert.equal(answer.json<Problem>().field, 'current');
        assert.doesNotMatch(answer.body, /geheim/);
      }
      assert.equal((await change(token, testPassword, better)).statusCode, 429);
      const rows = await plane.database
        .selectFrom('audit')
        .select(['action', 'outcome'])
        .where('action', '=', 'account.password')
        .where('outcome', '=', 'refused')
        .execute();
      assert.equal(rows.length, 10);
    });

    test('must keep to the policy, which the answer states without repeating it', async () => {
      const { token } = await plane.account('weak');
      for (const [wanted, said] of [
        ['Geheim-1', /it has 8 of at least 12 characters/],
        ['geheim-geheim-1', /lacks a capital letter/],
        ['GEHEIM-GEHEIM-1', /lacks a small letter/],
        ['Geheim-geheim-x', /lacks a digit/],
        ['Geheim1geheim2', /lacks a special character/],
      ] as const) {
        const answer = await change(token, testPassword, wanted);
        assert.equal(answer.statusCode, 422, wanted);
        const problem = answer.json<Problem>();
        assert.equal(problem.code, 'weak_password');
        assert.equal(problem.field, 'new');
        assert.match(problem.detail, said);
        assert.doesNotMatch(answer.body, /geheim/i);
      }
      const unreadable = await app.inject({
        method: 'POST',
        url: routes.ownPassword,
        headers: { authorization: `Bearer ${token}` },
        payload: { current: ['geheim'], new: { geheim: 1 } },
      });
      assert.equal(unreadable.statusCode, 400);
      assert.doesNotMatch(unreadable.body, /geheim/);
    });
  });
}
