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
    // The rate limit counts for an application's life.
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

    test('is limited to ten tries a minute from one address; the eleventh says when', async () => {
      for (let count = 0; count < 10; count += 1) assert.equal((await login('nobody', 'x')).statusCode, 401);
      const limited = await login('member-of-alice', testPassword);
      assert.equal(limited.statusCode, 429);
      assert.match(String(limited.headers['content-type']), /^application\/problem\+json/);
      assert.equal(limited.json<Problem>().code, 'rate_limited');
      const seconds = Number(limited.headers['retry-after']);
      assert.ok(seconds > 0 && seconds <= 60, `Retry-After: ${limited.headers['retry-after']}`);
      assert.equal((await login('member-of-alice', testPassword, '192.0.2.2')).statusCode, 200);
    });
  });
}
