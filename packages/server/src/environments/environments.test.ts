import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type {
  CreateEnvironment,
  CreatedEnvironment,
  Environment,
  EnvironmentPage,
  EventPage,
  Problem,
  SshAccess,
} from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`environments on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    before(async () => {
      plane = await ControlPlane.open(on, { stopGraceSeconds: 1 });
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(() => plane.clear());

    const call = (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
      app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${alice.token}` },
        ...(payload ? { payload } : {}),
      });
    const create = async (input: CreateEnvironment) =>
      (await call('POST', routes.environments, input)).json<CreatedEnvironment>();
    const list = async (query: string) =>
      (await call('GET', `${routes.environments}${query}`)).json<EnvironmentPage>();
    const ids = ({ items }: EnvironmentPage) => items.map(({ env_id }) => env_id);

    test('have what was asked for, and the defaults for the rest', async () => {
      const answer = await call('POST', routes.environments, { name: 'demo', resources: { cpu: 1.5 } });
      assert.equal(answer.statusCode, 202);
      const { env_id, ssh_password, ...created } = answer.json<CreatedEnvironment>();
      assert.match(env_id, /^demo-[2-9a-z]{4}$/);
      assert.equal(ssh_password.length, 16);
      assert.deepEqual(created.resources, { cpu: 1.5, memory: 4, gpu: 0, storage: 20 });
      assert.deepEqual(
        [created.status, created.own_port, created.sudo, created.image, created.ssh_port, created.failure],
        ['creating', 'auto', true, 'default', 30000, null],
      );
      assert.deepEqual((await call('GET', pathOf(routes.environment, { id: env_id }))).json(), {
        env_id,
        ...created,
      });
    });

    test('say how to get in, in every form that a person pastes', async () => {
      const { env_id: id, ssh_password } = await create({ name: 'demo' });
      const access = (await call('GET', pathOf(routes.environmentSsh, { id }))).json<SshAccess>();
      assert.equal(access.ssh_password, ssh_password);
      assert.equal(access.ssh_command, 'ssh developer@ssh.example.com -p 30000');
      assert.equal(access.sftp_url, 'sftp://developer@ssh.example.com:30000');
      assert.equal(
        access.vscode_config,
        `Host ${id}\n  HostName ssh.example.com\n  Port 30000\n  User developer`,
      );
      assert.match(access.known_hosts ?? '', /^\[ssh\.example\.com\]:30000 ssh-ed25519 AAAA/);
      assert.match(access.host_keys[0]?.fingerprint ?? '', /^SHA256:/);
    });

    test('without an own port say nothing that would not work', async () => {
      const { env_id: id } = await create({ name: 'demo', own_port: 'no' });
      const access = (await call('GET', pathOf(routes.environmentSsh, { id }))).json<SshAccess>();
      for (const field of ['ssh_port', 'ssh_command', 'vscode_config', 'sftp_url', 'known_hosts'] as const)
        assert.equal(access[field], null, field);
    });

    test('get another password when asked, which is then shown', async () => {
      const { env_id: id, ssh_password: before } = await create({ name: 'demo' });
      const answer = await call('POST', pathOf(routes.environmentResetPassword, { id }));
      const { ssh_password: made } = answer.json<{ ssh_password: string }>();
      assert.notEqual(made, before);
      const access = (await call('GET', pathOf(routes.environmentSsh, { id }))).json<SshAccess>();
      assert.equal(access.ssh_password, made);
    });

    test('hold no readable secret in the database', async () => {
      const { env_id: id, ssh_password } = await create({ name: 'demo' });
      const row = await plane.database
        .selectFrom('ssh_credentials')
        .selectAll()
        .where('env_id', '=', id)
        .executeTakeFirstOrThrow();
      const text = JSON.stringify(row);
      assert.ok(!text.includes(ssh_password));
      assert.doesNotMatch(text, /PRIVATE KEY/);
    });

    test('are listed newest first, page by page, each once while others are made', async () => {
      const made: string[] = [];
      for (let count = 0; count < 7; count += 1) made.push((await create({ name: `page-${count}` })).env_id);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: EnvironmentPage = await list(`?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`);
        assert.ok(page.items.length <= 2);
        seen.push(...ids(page));
        cursor = page.next_cursor;
        await create({ name: `late-${seen.length}` });
      } while (cursor !== null);
      assert.deepEqual(seen, made.toReversed());
    });

    test('made in one instant are each on one page', async () => {
      const made: string[] = [];
      for (let count = 0; count < 5; count += 1) made.push((await create({ name: `same-${count}` })).env_id);
      await plane.database
        .updateTable('environments')
        .set({ created_at: new Date() })
        .where('customer_id', '=', alice.principal.customerId)
        .execute();
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: EnvironmentPage = await list(`?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`);
        seen.push(...ids(page));
        cursor = page.next_cursor;
      } while (cursor !== null);
      assert.deepEqual(seen, made.toSorted().toReversed());
    });

    test('end the last page exactly when there is nothing more', async () => {
      for (let count = 0; count < 4; count += 1) await create({ name: `exact-${count}` });
      const first = await list('?limit=2');
      const second = await list(`?limit=2&cursor=${first.next_cursor}`);
      assert.equal(second.items.length, 2);
      assert.equal(second.next_cursor, null);
    });

    test('are found by name, by id and by status', async () => {
      const { env_id: id } = await create({ name: 'Ünïcödé 1' });
      await create({ name: 'other' });
      assert.deepEqual(ids(await list(`?name=${encodeURIComponent('Ünïcödé 1')}`)), [id]);
      assert.deepEqual(ids(await list(`?name=${id}`)), [id]);
      assert.deepEqual(ids(await list('?name=nothing')), []);
      assert.deepEqual(ids(await list('?name=%25')), [], 'no pattern');
      assert.equal((await list('?status=creating')).items.length, 2);
      assert.equal((await list('?status=running')).items.length, 0);
    });

    test('have a name once a customer, which is free again after the deletion', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      const taken = await call('POST', routes.environments, { name: 'demo' });
      assert.equal(taken.statusCode, 409);
      await plane.create({ name: 'demo' });
      await call('DELETE', pathOf(routes.environment, { id }));
      await plane.until(id, 'gone');
      assert.equal((await call('POST', routes.environments, { name: 'demo' })).statusCode, 202);
    });

    test('of one name that are asked for at once are made once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => call('POST', routes.environments, { name: 'race' })),
      );
      const statuses = answers.map(({ statusCode }) => statusCode).toSorted();
      assert.deepEqual(statuses, [202, ...Array.from({ length: 9 }, () => 409)]);
    });

    test('are asked the same thing twice without harm, and refused what does not fit', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      await plane.until(id, 'running');
      const act = (url: string) => call('POST', pathOf(url, { id }));
      const statusAfter = async (url: string) => (await act(url)).json<Environment>().status;

      assert.equal(await statusAfter(routes.environmentStart), 'running', 'it runs already');
      assert.equal(await statusAfter(routes.environmentStop), 'stopping');
      await plane.until(id, 'stopped');
      assert.equal(await statusAfter(routes.environmentStop), 'stopped');
      const refused = await act(routes.environmentRestart);
      assert.equal(refused.statusCode, 409);
      const { code, detail, cure } = refused.json<Problem>();
      assert.equal(code, 'wrong_state');
      assert.match(detail, /is stopped; only a running one can be restarted/);
      assert.equal(cure, 'Start it instead.');

      const gate = plane.runtime.holdOn('removeWorkload');
      assert.equal((await call('DELETE', pathOf(routes.environment, { id }))).statusCode, 202);
      await gate.entered;
      assert.equal((await call('DELETE', pathOf(routes.environment, { id }))).statusCode, 202);
      for (const url of [routes.environmentStart, routes.environmentStop, routes.environmentResetPassword])
        assert.equal((await act(url)).json<Problem>().code, 'wrong_state', url);
      gate.open();
      await plane.until(id, 'gone');
      for (const url of [routes.environmentStart, routes.environmentSsh, routes.environmentEvents])
        assert.ok(
          [404].includes(
            (await call(url === routes.environmentStart ? 'POST' : 'GET', pathOf(url, { id }))).statusCode,
          ),
        );
    });

    test('answer a deletion also when it is done at once', async () => {
      await plane.startReconciler();
      for (let count = 0; count < 10; count += 1) {
        const { env_id: id } = await create({ name: `quick-${count}` });
        await plane.until(id, 'running');
        const answer = await call('DELETE', pathOf(routes.environment, { id }));
        assert.equal(answer.statusCode, 202, answer.body);
        assert.equal(answer.json<Environment>().status, 'deleting');
      }
    });

    test('show their timeline page by page', async () => {
      const { env_id: id } = await create({ name: 'demo' });
      const url = pathOf(routes.environmentEvents, { id });
      const all = (await call('GET', url)).json<EventPage>();
      assert.equal(all.items.length, 2);
      assert.equal(all.next_cursor, null);
      const first = (await call('GET', `${url}?limit=1`)).json<EventPage>();
      assert.equal(first.next_cursor, String(first.items[0]?.id));
      const second = (await call('GET', `${url}?limit=1&after=${first.next_cursor}`)).json<EventPage>();
      assert.deepEqual([...first.items, ...second.items], all.items);
      assert.equal(second.next_cursor, null);
    });

    test('show what their container printed, and say when the engine is away', async () => {
      const { env_id: id } = await create({ name: 'demo' });
      const url = pathOf(routes.environmentLogs, { id });
      const log = await call('GET', url);
      assert.equal(log.body, `the log of ${id}\n`);
      assert.match(String(log.headers['content-type']), /^text\/plain/);
      plane.runtime.leave();
      const away = await call('GET', url);
      plane.runtime.comeBack();
      assert.equal(away.statusCode, 503);
      assert.equal(away.json<Problem>().code, 'runtime_unavailable');
    });

    test('that others have are neither shown nor counted', async () => {
      await plane.create({ name: 'not hers' });
      assert.deepEqual(await list(''), { items: [], next_cursor: null });
    });

    test('send people who look for Jupyter the right way', async () => {
      const { env_id: id } = await create({ name: 'demo' });
      const answer = await call('GET', pathOf(routes.jupyter, { id }));
      assert.equal(answer.statusCode, 501);
      assert.match(answer.json<Problem>().cure, /ssh developer@ssh\.example\.com -p 30000 -L 8888/);
    });
  });
}
