import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  CreateEnvironment,
  CreatedEnvironment,
  Environment,
  EnvironmentPage,
  EventPage,
  Problem,
  SshAccess,
  UpdateEnvironment,
} from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { generateHostKey } from '@berth/ssh';
import { eventually } from '../../../../test/harness/ssh.ts';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { updateCustomer } from '../customers/customers.ts';
import { stopEnvironment } from './environments.ts';
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

    const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
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
    const change = (id: string, change: UpdateEnvironment) =>
      call('PATCH', pathOf(routes.environment, { id }), change);
    const act = (template: string, id: string, body?: object) => call('POST', pathOf(template, { id }), body);
    const problem = (answer: Awaited<ReturnType<typeof call>>, status: number, code: string): Problem => {
      assert.equal(answer.statusCode, status, answer.body);
      const document = answer.json<Problem>();
      assert.equal(document.code, code);
      return document;
    };
    const specOf = (id: string) => {
      const workload = plane.runtime.workloads.get(id);
      assert.ok(workload);
      return workload.spec;
    };
    const variablesOf = (id: string) => plane.runtime.secrets.get(id)?.variables;
    let lastAudited = 0;
    /** Since it was asked last. */
    const audited = async () => {
      const rows = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('id', '>', lastAudited)
        .orderBy('id')
        .execute();
      lastAudited = rows.at(-1)?.id ?? lastAudited;
      return rows.map(({ action, account, customer_id, target }) => [action, account, customer_id, target]);
    };

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

    const accessOf = async (id: string, who = app) =>
      (
        await who.inject({
          url: pathOf(routes.environmentSsh, { id }),
          headers: { authorization: `Bearer ${alice.token}` },
        })
      ).json<SshAccess>();
    const withGatewayKeys = async (act: () => Promise<void>) => {
      const keys = ['ssh-ed25519', 'ecdsa-sha2-nistp256'].map((type) => ({
        type,
        private_key: 'sealed',
        public_key: generateHostKey().publicLine,
      }));
      await plane.database.insertInto('gateway_host_keys').values(keys).execute();
      await act().finally(() => plane.database.deleteFrom('gateway_host_keys').execute());
    };

    test('say how to get in through the shared port, and by a jump through it', async () => {
      const { env_id: id, shared_port } = await create({ name: 'demo' });
      assert.equal(shared_port, 2222);
      const before = await accessOf(id);
      assert.equal(before.shared_known_hosts, null, 'as long as there are no keys');
      await withGatewayKeys(async () => {
        const access = await accessOf(id);
        assert.equal(access.shared_port_command, `ssh ${id}@ssh.example.com -p 2222`);
        assert.equal(access.jump_command, `ssh -J member-of-alice@ssh.example.com:2222 developer@${id}`);
        const lines = (access.shared_known_hosts ?? '').split('\n');
        assert.equal(lines.length, 2);
        for (const line of lines) assert.match(line, /^\[ssh\.example\.com\]:2222 ssh-ed25519 AAAA\S+$/);
        assert.equal(access.jump_known_hosts, access.known_hosts?.replace('[ssh.example.com]:30000', id));
        assert.doesNotMatch(JSON.stringify(access), /sealed/);
      });
    });

    test('without an own port are reached through the shared one', async () => {
      const { env_id: id } = await create({ name: 'demo', own_port: 'no' });
      await withGatewayKeys(async () => {
        const access = await accessOf(id);
        assert.equal(access.ssh_port, null);
        assert.equal(access.ssh_command, `ssh ${id}@ssh.example.com -p 2222`);
        assert.equal(access.sftp_url, `sftp://${id}@ssh.example.com:2222`);
        assert.equal(
          access.vscode_config,
          `Host ${id}\n  HostName ssh.example.com\n  Port 2222\n  User ${id}`,
        );
        assert.equal(access.known_hosts, access.shared_known_hosts);
      });
    });

    test('without an own port and a shared one say nothing that would not work', async () => {
      const { env_id: id } = await create({ name: 'demo', own_port: 'no' });
      const { addresses } = plane.services;
      const closed = await makeApp(plane.with({}, { addresses: { ...addresses, sharedPort: 0 } }));
      await withGatewayKeys(async () => {
        const said = Object.entries(await accessOf(id, closed)).filter(([, value]) => value !== null);
        assert.deepEqual(
          said.map(([field]) => field),
          ['env_id', 'ssh_host', 'ssh_username', 'ssh_password', 'password_changed_at', 'host_keys'],
        );
      }).finally(() => closed.close());
    });

    test('are served and may be used as they were asked for, and as the setting says without that', async () => {
      const plain = await create({ name: 'plain' });
      const everything = { local: true, remote: true, agent: true, x11: true, sftp: true };
      assert.deepEqual(
        [plain.exposure, plain.forwarding, plain.password_login, plain.wake, plain.running_exposure],
        [plane.services.settings.exposure, everything, true, true, null],
      );
      for (const exposure of ['gateway', 'direct'] as const) {
        const made = await plane.create({ name: exposure }, plane.with({ exposure }));
        assert.equal(made.exposure, exposure);
      }
      const asked = await create({
        name: 'asked',
        exposure: 'gateway',
        forwarding: { x11: false, agent: false },
        password_login: false,
        wake: false,
      });
      assert.deepEqual(
        [asked.exposure, asked.forwarding, asked.password_login, asked.wake],
        ['gateway', { ...everything, x11: false, agent: false }, false, false],
      );
      for (const wrong of [{ forwarding: {} }, { forwarding: { ftp: true } }, { exposure: 'nodeport' }]) {
        const refused = await call('POST', routes.environments, { name: 'wrong', ...wrong });
        assert.match(problem(refused, 400, 'bad_request').field ?? '', /^(forwarding(\.ftp)?|exposure)$/);
      }
    });

    test('change who serves them from the next start, and the rest of their access at once', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo', exposure: 'direct' });
      await plane.until(id, 'running');
      await plane.database
        .updateTable('environments')
        .set({ running_exposure: 'direct' })
        .where('id', '=', id)
        .execute();
      const changed = await change(id, {
        exposure: 'gateway',
        forwarding: { remote: false },
        wake: false,
      });
      const shown = changed.json<Environment>();
      assert.deepEqual(
        [shown.exposure, shown.running_exposure, shown.ssh_port, shown.wake, shown.forwarding.remote],
        ['gateway', 'direct', 30000, false, false],
      );
      assert.match(shown.notes.join(), /From the next start its own port is served by the gateway/);
      assert.equal(
        (await plane.timeline(id)).at(-1),
        'request: member-of-alice asked: remote forwarding off, waking at a login off, from the next start its own port served by the gateway.',
      );
      const back = (
        await change(id, { exposure: 'direct', forwarding: { remote: true, sftp: false } })
      ).json<Environment>();
      assert.deepEqual(
        [back.running_exposure, back.forwarding.remote, back.forwarding.sftp, back.notes],
        [null, true, false, []],
      );
    });

    test('take no password while theirs or that of their customer is switched off', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      await plane.until(id, 'running');
      const hash = () => plane.runtime.secrets.get(id)?.password_hash;
      const is = (pattern: RegExp) => eventually(hash, (found) => pattern.test(found ?? ''));
      await is(/^\$/);
      const off = (await change(id, { password_login: false })).json<Environment>();
      assert.match(off.notes.join(), /Its password is switched off/);
      await is(/^\*\n$/);
      assert.equal((await plane.timeline(id)).at(-1), 'request: member-of-alice asked: passwords off.');
      await change(id, { password_login: true });
      await is(/^\$/);
      const { customerId } = alice.principal;
      const set = (password_login: boolean) =>
        updateCustomer(plane.services, plane.asker, customerId, { password_login });
      await set(false);
      await is(/^\*\n$/);
      const shown = (await call('GET', pathOf(routes.environment, { id }))).json<Environment>();
      assert.equal(shown.password_login, true, 'its own word stays');
      assert.match(shown.notes.join(), /off for all environments of its customer/);
      await set(true);
      await is(/^\$/);
    });

    test("remember a person's stop, until the next start", async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      const stopAskedAt = async () =>
        (
          await plane.database
            .selectFrom('environments')
            .select('stop_asked_at')
            .where('id', '=', id)
            .executeTakeFirstOrThrow()
        ).stop_asked_at;
      await plane.until(id, 'running');
      assert.equal(await stopAskedAt(), null);
      await act(routes.environmentStop, id);
      await plane.until(id, 'stopped');
      const asked = await stopAskedAt();
      assert.ok(asked !== null && Date.now() - asked.getTime() < 60_000);
      await act(routes.environmentStop, id);
      assert.deepEqual(await stopAskedAt(), asked, 'a second one changes nothing');
      await act(routes.environmentStart, id);
      assert.equal(await stopAskedAt(), null);
      await plane.until(id, 'running');
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
      const second = (await call('GET', `${url}?limit=1&cursor=${first.next_cursor}`)).json<EventPage>();
      assert.deepEqual([...first.items, ...second.items], all.items);
      assert.equal(second.next_cursor, null);
      const after = (await call('GET', `${url}?after=${first.items[0]?.id}`)).json<EventPage>();
      assert.deepEqual(after.items, second.items);
      const latest = (await call('GET', `${url}?sort=-at&limit=1`)).json<EventPage>();
      assert.deepEqual(latest.items, second.items);
      const earlier = (await call('GET', `${url}?sort=-at&cursor=${latest.next_cursor}`)).json<EventPage>();
      assert.deepEqual(earlier.items, first.items);
      const ports = (await call('GET', `${url}?kind=port&search=PORT%2030000`)).json<EventPage>();
      assert.deepEqual(ports.items, second.items);
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

    test('are sorted and filtered as asked, each page after the other', async () => {
      const made = new Map<string, string>();
      for (const name of ['delta', 'Alpha', 'charlie', 'Bravo'])
        made.set(name, (await create({ name })).env_id);
      await plane.database
        .updateTable('environments')
        .set({ started_at: new Date(), status: 'running' })
        .where('id', 'in', [made.get('charlie') ?? '', made.get('Alpha') ?? ''])
        .execute();
      await plane.database
        .updateTable('environments')
        .set({ started_at: new Date(Date.now() - 5000) })
        .where('id', '=', made.get('Alpha') ?? '')
        .execute();
      const names = async (query: string) => {
        const seen: string[] = [];
        let cursor: string | null = '';
        while (cursor !== null) {
          const page: EnvironmentPage = await list(`?limit=1${query}${cursor && `&cursor=${cursor}`}`);
          seen.push(...page.items.map(({ name }) => name));
          cursor = page.next_cursor;
        }
        return seen;
      };
      const byName = ['Alpha', 'Bravo', 'charlie', 'delta'];
      assert.deepEqual(await names('&sort=name'), byName);
      assert.deepEqual(await names('&sort=-name'), byName.toReversed());
      assert.deepEqual(await names('&sort=created_at'), ['delta', 'Alpha', 'charlie', 'Bravo']);
      assert.deepEqual(await names('&sort=-started_at').then((seen) => seen.slice(0, 2)), [
        'charlie',
        'Alpha',
      ]);
      assert.deepEqual(await names('&sort=started_at').then((seen) => seen.slice(2)), ['Alpha', 'charlie']);
      assert.deepEqual(new Set((await names('&sort=-status')).slice(0, 2)), new Set(['Alpha', 'charlie']));
      assert.deepEqual(await names('&sort=name&search=A'), ['Alpha', 'Bravo', 'charlie', 'delta']);
      assert.deepEqual(await names('&search=LPH'), ['Alpha']);
      assert.deepEqual(await names(`&search=${made.get('Bravo')}`), ['Bravo']);
      assert.deepEqual(await names('&search=%25'), [], 'no pattern');
      assert.deepEqual(await names('&image=default&status=running&sort=name'), ['Alpha', 'charlie']);
      assert.deepEqual(await names('&image=other'), []);
      assert.deepEqual(
        await names(`&customer_id=${plane.admin.customerId}`),
        [],
        "others' are not hers to list",
      );
    });

    test('get the variables that they were made with, which are shown by name only', async () => {
      await plane.startReconciler();
      const env_vars = { TOKEN: "geheim's\n$HOME", B: '' };
      const answer = await call('POST', routes.environments, { name: 'demo', env_vars });
      const { env_id: id, env_vars: names } = answer.json<CreatedEnvironment>();
      assert.deepEqual(names, ['B', 'TOKEN']);
      await plane.until(id, 'running');
      assert.equal(variablesOf(id), "TOKEN=geheim's\n$HOME\0B=\0");
      const rows = [
        ...(await plane.database.selectFrom('environments').selectAll().execute()),
        ...(await plane.database.selectFrom('environment_events').selectAll().execute()),
      ];
      assert.doesNotMatch(JSON.stringify(rows), /geheim/);
      for (const path of [routes.environment, routes.environmentSsh, routes.environmentEvents])
        assert.doesNotMatch((await call('GET', pathOf(path, { id }))).body, /geheim/);
      await call('DELETE', pathOf(routes.environment, { id }));
      await plane.until(id, 'gone');
      const left = await plane.database.selectFrom('environments').select('env_vars').execute();
      assert.deepEqual(left, [{ env_vars: null }], 'nothing of them is left in the history');
    });

    test('are changed: the name at once, all else from the next start', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'before', env_vars: { KEPT: '1', GONE: '2', OTHER: '3' } });
      await plane.until(id, 'running');
      const runId = plane.runtime.workloads.get(id)?.runId;
      const answer = await change(id, {
        name: ' after ',
        resources: { memory: 8 },
        sudo: false,
        env_vars: { GONE: null, OTHER: 'changed', NEW: '4' },
      });
      assert.equal(answer.statusCode, 200, answer.body);
      const changed = answer.json<Environment>();
      assert.deepEqual(
        [changed.name, changed.resources.memory, changed.sudo, changed.status, changed.env_vars],
        ['after', 8, false, 'running', ['KEPT', 'NEW', 'OTHER']],
      );
      assert.deepEqual(changed.running_resources, { cpu: 2, memory: 4, gpu: 0, storage: 20 });
      assert.equal(plane.runtime.workloads.get(id)?.runId, runId, 'it runs on');
      assert.deepEqual(
        (await plane.timeline(id)).at(-1),
        'request: member-of-alice asked: the name "after", from the next start memory 8 GiB, other variables (GONE, NEW, OTHER), sudo off.',
      );

      await act(routes.environmentRestart, id);
      const restarted = await plane.until(id, 'running');
      assert.equal(restarted.running_resources, null);
      assert.deepEqual([specOf(id).resources.memory, specOf(id).sudo], [8, false]);
      assert.equal(variablesOf(id), 'KEPT=1\0OTHER=changed\0NEW=4\0');
    });

    test('keep what a change does not name', async () => {
      const { env_id: id, ...created } = await create({ name: 'demo', resources: { cpu: 3 }, sudo: false });
      const changed = (await change(id, { name: 'other' })).json<Environment>();
      assert.deepEqual([changed.resources, changed.sudo], [created.resources, false]);
    });

    test('are not changed into what cannot be', async () => {
      const { env_id: id } = await create({ name: 'demo' });
      const { env_id: other } = await create({ name: 'other' });
      const taken = problem(await change(id, { name: 'other' }), 409, 'name_taken');
      assert.ok(taken.detail.includes(other));
      assert.equal((await change(id, { name: 'demo' })).statusCode, 200, 'its own name is no other');
      const shrunk = problem(await change(id, { resources: { storage: 19 } }), 400, 'bad_request');
      assert.equal(shrunk.field, 'resources.storage');
      assert.match(shrunk.detail, /is 19 and must be >= 20/);
      assert.equal((await change(id, { resources: { storage: 21 } })).statusCode, 200);
      assert.equal((await change(id, {})).statusCode, 400);
      assert.equal((await change(id, { own_port: 'no' } as object)).json<Problem>().field, 'own_port');
      assert.equal((await change('none-2222', { name: 'x' })).statusCode, 404);
      const env_vars = Object.fromEntries(Array.from({ length: 99 }, (_, index) => [`A${index}`, '']));
      assert.equal((await change(id, { env_vars })).statusCode, 200);
      problem(await change(id, { env_vars: { B: '', C: '' } }), 400, 'bad_request');
    });

    test('run with other resources once, until the next plain start', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo', resources: { cpu: 4, gpu: 1 } });
      await plane.until(id, 'running');
      const refused = problem(
        await act(routes.environmentStart, id, { resources: { gpu: 0 } }),
        409,
        'wrong_state',
      );
      assert.match(refused.detail, /is running with cpu 4 cores, memory 4 GiB, gpu 1 devices/);
      assert.match(refused.cure, /^Stop it first/);
      assert.equal(
        (await act(routes.environmentStart, id, { resources: { gpu: 1 } })).statusCode,
        202,
        'it has that',
      );

      const stopped = async () => {
        await act(routes.environmentStop, id);
        assert.equal((await plane.until(id, 'stopped')).running_resources, null);
      };
      await stopped();
      assert.equal((await act(routes.environmentStart, id, { resources: { gpu: 0 } })).statusCode, 202);
      const running = await plane.until(id, 'running');
      assert.deepEqual(running.resources, { cpu: 4, memory: 4, gpu: 1, storage: 20 });
      assert.deepEqual(running.running_resources, { cpu: 4, memory: 4, gpu: 0, storage: 20 });
      assert.equal(specOf(id).resources.gpu, 0);
      assert.equal((await act(routes.environmentStart, id)).json<Environment>().status, 'running');

      await act(routes.environmentRestart, id);
      assert.equal((await plane.until(id, 'running')).running_resources?.gpu, 0, 'a restart keeps them');
      await plane.runtime.vanish(id, true);
      for (const deadline = Date.now() + 10_000; !plane.runtime.workloads.has(id); await pause(10))
        assert.ok(Date.now() < deadline, 'it is not repaired');
      await plane.until(id, 'running');
      assert.equal(specOf(id).resources.gpu, 0, 'so does a repair');

      await stopped();
      await act(routes.environmentStart, id);
      assert.equal((await plane.until(id, 'running')).running_resources, null);
      assert.equal(specOf(id).resources.gpu, 1);
      assert.equal(
        (await act(routes.environmentStart, id, { resources: { storage: 1 } })).json<Problem>().field,
        'resources.storage',
      );
    });

    test('say what they run with even if they were changed while they started', async () => {
      const gate = plane.runtime.holdOn('run');
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      await gate.entered;
      await change(id, { resources: { memory: 8 } });
      gate.open();
      const running = await plane.until(id, 'running');
      assert.equal(running.running_resources?.memory, specOf(id).resources.memory);
      assert.equal(running.running_resources?.memory, 4);
    });

    test('say that their folders keep the size that they were made with where it cannot change', async () => {
      await plane.startReconciler();
      const { env_id: id } = await create({ name: 'demo' });
      await plane.until(id, 'running');
      await change(id, { resources: { storage: 40 } });
      plane.runtime.otherSize = 20;
      await act(routes.environmentRestart, id);
      const { notes } = await plane.until(id, 'running');
      plane.runtime.otherSize = null;
      assert.deepEqual(notes, [
        'Its folders keep the 20 GiB that they were made with; memory cannot change that.',
      ]);
    });

    test('are called by their customer where the settings say so', async () => {
      const services = plane.with({ userName: 'customer' });
      const created = await plane.create({ name: 'demo' }, services, alice.principal);
      assert.equal(created.ssh_username, `user${alice.principal.customerId}`);
    });

    test('are made for another customer by an administrator, who leaves a record', async () => {
      const { customerId } = alice.principal;
      await audited();
      const { env_id: id } = await plane.create({ name: 'hers', customer_id: customerId });
      assert.deepEqual(ids(await list('')), [id]);
      await assert.rejects(plane.create({ name: 'nobody’s', customer_id: 2147483647 }), {
        code: 'unknown_reference',
        field: 'customer_id',
      });
      const { env_id: own } = await plane.create({ name: 'his own' });
      await change(id, { name: 'by herself' });
      await stopEnvironment(plane.services, plane.asker, id);
      await call('DELETE', pathOf(routes.environment, { id }));
      assert.deepEqual(await audited(), [
        ['environment.create', 'admin', customerId, id],
        ['environment.create', 'admin', plane.admin.customerId, own],
        ['environment.update', 'member-of-alice', customerId, id],
        ['environment.stop', 'admin', customerId, id],
        ['environment.delete', 'member-of-alice', customerId, id],
      ]);
    });

    test('send people who look for Jupyter the right way', async () => {
      const { env_id: id } = await create({ name: 'demo' });
      const answer = await call('GET', pathOf(routes.jupyter, { id }));
      assert.equal(answer.statusCode, 501);
      assert.match(answer.json<Problem>().cure, /ssh developer@ssh\.example\.com -p 30000 -L 8888/);
    });
  });
}
