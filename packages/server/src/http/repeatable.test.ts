import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import type { CreatedEnvironment, Problem } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { keepHouse } from '../housekeeping/housekeeping.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

for (const on of databases) {
  describe(`a request with an Idempotency-Key on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let bob: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(async () => {
      await plane.clear();
      await plane.database.deleteFrom('repeatable_requests').execute();
    });

    const send = (
      key: string,
      payload: object | null = { name: 'demo' },
      { account = alice, url = routes.environments as string, method = 'POST' as 'POST' | 'DELETE' } = {},
    ) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${account.token}`, 'idempotency-key': key },
        ...(payload ? { payload } : {}),
      });
    const problem = (answer: Awaited<ReturnType<typeof send>>, status: number, code: string) => {
      assert.equal(answer.statusCode, status, answer.body);
      assert.equal(answer.json<Problem>().code, code);
    };
    const made = async () => (await plane.database.selectFrom('environments').select('id').execute()).length;
    const age = (interval: string) =>
      plane.database
        .updateTable('repeatable_requests')
        .set({ created_at: sql<Date>`now() - ${interval}::interval` })
        .execute();
    /** As a server leaves the row that was killed before it answered. */
    const unanswer = () =>
      plane.database.updateTable('repeatable_requests').set({ status: null, answer: null }).execute();

    test('is carried out once and answered each time alike', async () => {
      const key = randomUUID();
      const first = await send(key);
      const second = await send(key);
      assert.equal(first.statusCode, 202);
      assert.equal(first.headers['idempotency-replayed'], undefined);
      assert.equal(second.statusCode, 202);
      assert.equal(second.headers['idempotency-replayed'], 'true');
      assert.equal(second.headers['content-type'], first.headers['content-type']);
      assert.deepEqual(second.json(), first.json());
      assert.equal(await made(), 1);
    });

    test('that comes many times at once is carried out once', async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => send('at-once')));
      assert.equal(await made(), 1);
      const ids = new Set<string>();
      for (const answer of answers) {
        if (answer.statusCode === 202) ids.add(answer.json<CreatedEnvironment>().env_id);
        else problem(answer, 409, 'request_underway');
      }
      assert.equal(ids.size, 1);
    });

    test('that differs in its body, path or method is refused', async () => {
      await send('same');
      problem(await send('same', { name: 'other' }), 409, 'request_differs');
      problem(
        await send('same', null, { url: `${routes.environments}/x-2222/stop` }),
        409,
        'request_differs',
      );
      const url = `${routes.environments}/x-2222`;
      problem(await send('same', null, { method: 'DELETE', url }), 409, 'request_differs');
      problem(
        await send('same', null, { method: 'DELETE', url: `${url}?keep_storage=true` }),
        409,
        'request_differs',
      );
      assert.equal(await made(), 1);
    });

    test('of another account is another one', async () => {
      await send('shared');
      const answer = await send('shared', { name: 'of bob' }, { account: bob });
      assert.equal(answer.statusCode, 202);
      assert.equal(answer.headers['idempotency-replayed'], undefined);
      assert.equal(await made(), 2);
    });

    test('that was refused for what it is stays refused; without the right to ask it is not even looked up', async () => {
      await send('a');
      problem(await send('b'), 409, 'name_taken');
      await plane.clear();
      const again = await send('b');
      problem(again, 409, 'name_taken');
      assert.equal(again.headers['idempotency-replayed'], 'true');
      assert.match(String(again.headers['content-type']), /^application\/problem\+json/);
      const nobody = await send('b', null, { account: { ...alice, token: 'berth_none' } });
      assert.equal(nobody.statusCode, 401);
    });

    test('that failed by a fault of the server is carried out the next time', async () => {
      const { runtime } = plane;
      const { portIsHeld } = runtime;
      runtime.portIsHeld = () => Promise.reject(new RuntimeError('unavailable', 'Away.', 'Wait.'));
      problem(await send('faulty'), 503, 'runtime_unavailable');
      runtime.portIsHeld = portIsHeld;
      const answer = await send('faulty');
      assert.equal(answer.statusCode, 202);
      assert.equal(answer.headers['idempotency-replayed'], undefined);
    });

    test('whose server was killed is free again after a minute', async () => {
      const { env_id: id } = (await send('first')).json<CreatedEnvironment>();
      const url = pathOf(routes.environmentStop, { id });
      assert.equal((await send('stop', null, { url })).statusCode, 202);
      await unanswer();
      await age('59 seconds');
      problem(await send('stop', null, { url }), 409, 'request_underway');
      await age('61 seconds');
      assert.equal((await send('stop', null, { url })).statusCode, 202);
    });

    test('has its answer from the moment on at which its environment is there', async () => {
      await send('atomic');
      // xmin: the transaction that wrote the row.
      const { rows } = await sql<{ env: string; answer: string }>`
        select (select xmin::text from environments) as env, (select xmin::text from repeatable_requests) as answer
      `.execute(plane.database);
      assert.ok(rows[0]?.env);
      assert.equal(rows[0].answer, rows[0].env);
    });

    test('needs no body', async () => {
      const { env_id: id } = (await send('first')).json<CreatedEnvironment>();
      for (const template of [
        routes.environmentStart,
        routes.environmentStop,
        routes.environmentResetPassword,
      ]) {
        const url = pathOf(template, { id });
        const first = await send(url, null, { url });
        const second = await send(url, null, { url });
        assert.equal(second.headers['idempotency-replayed'], 'true', template);
        assert.deepEqual(second.json(), first.json());
      }
    });

    test('is kept for a day, sealed, and then forgotten', async () => {
      const { ssh_password: password } = (await send('daily')).json<CreatedEnvironment>();
      const rows = await plane.database.selectFrom('repeatable_requests').selectAll().execute();
      assert.ok(!JSON.stringify(rows).includes(password));
      await age('23 hours');
      await keepHouse(plane.services);
      assert.equal((await send('daily')).headers['idempotency-replayed'], 'true');
      await age('25 hours');
      problem(await send('daily'), 409, 'name_taken');
      await age('25 hours');
      await keepHouse(plane.services);
      assert.deepEqual(await plane.database.selectFrom('repeatable_requests').selectAll().execute(), []);
    });

    test('with a key that is none is refused', async () => {
      for (const key of ['', 'x'.repeat(256), 'ü']) {
        const answer = await send(key);
        assert.equal(answer.statusCode, 400, JSON.stringify(key));
        assert.equal(answer.json<Problem>().field, 'idempotency-key');
      }
      assert.equal(await made(), 0);
    });
  });
}
