/**
 * The rules of the diagnosis, with what no test can make for real: machines without room, clocks that differ, engines that
 * hang; and who is told what. That each fault of a real environment is found is tested end to end.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type {
  AttemptRecord,
  CheckResult,
  DiagnoseEnvironment,
  Diagnosis,
  DiagnosisCheck,
  FindingCode,
  Problem,
} from '@berth/contract';
import { diagnosisChecks, pathOf, routes } from '@berth/contract';
import { generateHostKey, parsePublicKey } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { recordAttempts } from '../audit/attempts.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { diagnose } from './diagnosis.ts';

const source = '203.0.113.7';

for (const on of databases) {
  describe(`the diagnosis on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let bob: Account;
    let chief: Account;
    before(async () => {
      plane = await ControlPlane.open(on, { sshHost: '127.0.0.1', sharedPort: 0, portAddress: '127.0.0.1' });
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
      chief = await plane.account('alice', 'admin');
    });
    afterEach(async () => {
      await plane.clear();
      const { runtime } = plane;
      Object.assign(runtime, { inside: {}, room: {}, firewallAnswer: { outcome: 'passes' } });
      runtime.holders.clear();
      runtime.missingImages.clear();
      await plane.database.deleteFrom('quotas').execute();
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (id: string, query: Record<string, string> = {}, account = alice) =>
      app.inject({
        url: `${pathOf(routes.environmentDiagnosis, { id })}?${new URLSearchParams(query)}`,
        headers: { authorization: `Bearer ${account.token}` },
      });
    /** Past HTTP, which bounds how often one address may ask. */
    const diagnosisOf = (id: string, query: DiagnoseEnvironment = {}, { principal } = alice) =>
      diagnose(plane.services, { principal, source: null }, id, query, new AbortController().signal);
    const check = async (
      id: string,
      which: DiagnosisCheck,
      query = {},
      account = alice,
    ): Promise<CheckResult> => {
      const { checks } = await diagnosisOf(id, query, account);
      const found = checks.find((each) => each.id === which);
      assert.ok(found);
      return found;
    };
    const codeOf = async (...of: Parameters<typeof check>): Promise<FindingCode> => (await check(...of)).code;
    const running = async (name = 'demo', more = {}): Promise<string> => {
      await plane.startReconciler();
      const { env_id: id } = await plane.create(
        { name, own_port: 'no', ...more },
        plane.services,
        alice.principal,
      );
      await plane.until(id, 'running');
      return id;
    };

    test('looks at everything once, in order, and finds what is well to be so', async () => {
      const id = await running();
      const { checks, healthy, env_id, source: asked } = await diagnosisOf(id, { source });
      assert.deepEqual(
        checks.map((each) => each.id),
        Object.keys(diagnosisChecks),
      );
      const problems = checks.filter(({ verdict }) => verdict !== 'ok' && verdict !== 'skipped');
      // There is neither an own port nor a shared one here.
      assert.deepEqual(
        problems.map(({ code }) => code),
        ['no_way_in'],
      );
      assert.equal(healthy, false);
      assert.equal(env_id, id);
      assert.equal(asked, source);
      for (const { facts } of checks) assert.equal(facts['environment'], id);
    });

    test('costs others nothing where one look hangs, and ends with the request', async () => {
      const id = await running();
      const gate = plane.runtime.holdOn('machineRoom');
      const began = performance.now();
      const { checks } = await diagnosisOf(id);
      gate.open();
      assert.ok(performance.now() - began < 15_000);
      const late = checks.filter(({ code }) => code === 'look_timed_out');
      assert.deepEqual(
        late.map((each) => each.id),
        ['room'],
      );
      assert.equal(late[0]?.verdict, 'unknown');
    });

    test('says that the engine is away, once, and what it knows without', async () => {
      const id = await running('demo', { own_port: 'auto' });
      plane.runtime.leave();
      const { checks } = await diagnosisOf(id, { source });
      plane.runtime.comeBack();
      const by = new Map(checks.map((each) => [each.id, each.code]));
      assert.equal(by.get('runtime'), 'runtime_away');
      for (const which of ['image', 'container', 'disk', 'sshd', 'firewall'] as const)
        assert.equal(by.get(which), 'engine_silent', which);
      assert.equal(by.get('allowlist'), 'allowlist_empty');
      assert.equal(by.get('lockout'), 'not_locked_out');
    });

    test('tells what broke in a look from what it looked at', async () => {
      const id = await running();
      plane.runtime.failOn(
        'machineRoom',
        () => new RuntimeError('other', 'The guard is gone.', 'Start it.'),
        1,
      );
      assert.equal(
        (await check(id, 'room')).cause,
        'It could not be looked at: The guard is gone. Start it.',
      );
      plane.runtime.failOn('machineRoom', () => new Error('a secret path'), 1);
      assert.equal((await check(id, 'room')).cause, 'It could not be looked at: Berth made a mistake.');
    });

    test('finds a machine without room, and tells numbers to administrators', async () => {
      const id = await running();
      assert.equal(await codeOf(id, 'room'), 'room_enough');
      assert.equal(await codeOf(id, 'room', {}, chief), 'room_there');
      const disk = { place: '/var/lib/engine', freeBytes: 2 ** 36, inodes: 1e6, inodesFree: 9e5 };
      const cases: [FindingCode, object][] = [
        ['disk_full_on_machine', { disk: { ...disk, freeBytes: 1e8 } }],
        ['inodes_used_up_on_machine', { disk: { ...disk, inodesFree: 10 } }],
        ['room_enough', { disk: { ...disk, inodes: 0, inodesFree: 0 } }],
        ['memory_used_up_on_machine', { memoryFreeBytes: 1e8 }],
        ['processors_overloaded', { load: 900, cores: 4 }],
      ];
      for (const [code, room] of cases) {
        plane.runtime.room = room;
        assert.equal(await codeOf(id, 'room'), code);
      }
    });

    test('finds clocks that differ, and little left inside', async () => {
      const id = await running();
      const disk = { place: '/gemini/code', freeBytes: 2 ** 34, inodes: 1e6, inodesFree: 9e5 };
      const cases: [DiagnosisCheck, FindingCode, object][] = [
        ['clock', 'clocks_differ', { clockSeconds: Math.floor(Date.now() / 1000) - 300 }],
        ['clock', 'cannot_look_inside', { clockSeconds: null }],
        ['memory', 'memory_ran_out', { memory: { usedBytes: 1, limitBytes: 2 ** 29, kills: 2 } }],
        [
          'memory',
          'memory_nearly_used_up',
          { memory: { usedBytes: 2 ** 29 - 1, limitBytes: 2 ** 29, kills: 0 } },
        ],
        ['memory', 'memory_unlimited', { memory: { usedBytes: 1, limitBytes: null, kills: 0 } }],
        ['disk', 'disk_full', { disks: [disk, { ...disk, place: '/home/developer', freeBytes: 0 }] }],
        ['disk', 'inodes_used_up', { disks: [{ ...disk, inodesFree: 0 }, disk] }],
        ['disk', 'disk_left', { disks: [{ ...disk, inodes: 0, inodesFree: 0 }] }],
        ['password', 'password_out_of_step', { account: { hash: '*', expired: null } }],
        ['password', 'password_not_known', { account: null }],
        ['key', 'key_files_open_to_others', { files: [{ path: '/run/berth', mode: 0o777, owner: 0 }] }],
        ['key', 'key_files_open_to_others', { files: [{ path: '/run/berth', mode: 0o755, owner: 33 }] }],
      ];
      for (const [which, code, inside] of cases) {
        plane.runtime.inside = inside;
        assert.equal(await codeOf(id, which), code);
      }
    });

    test('finds an image that is gone, and a quota that is reached', async () => {
      const id = await running();
      plane.runtime.missingImages.add('berth/environment:test');
      assert.equal(await codeOf(id, 'image'), 'image_missing');
      await plane.database
        .insertInto('quotas')
        .values({ customer_id: alice.principal.customerId, cpu: 1 })
        .execute();
      assert.equal(await codeOf(id, 'quota'), 'quota_fits', 'what runs goes on');
      await plane.database
        .updateTable('environments')
        .set({ wanted: 'stopped', status: 'stopped' })
        .execute();
      const reached = await check(id, 'quota');
      assert.equal(reached.code, 'quota_reached');
      assert.deepEqual([reached.facts['limit'], reached.facts['asked']], [1, 2]);
    });

    test('says of each state what it means for a login', async () => {
      const { env_id: id } = await plane.create(
        { name: 'demo', own_port: 'no' },
        plane.services,
        alice.principal,
      );
      const row = (change: object) =>
        plane.database.updateTable('environments').set(change).where('id', '=', id).execute();
      assert.equal(await codeOf(id, 'state'), 'under_way');
      await row({ status: 'running' });
      assert.equal(await codeOf(id, 'state'), 'it_runs');
      assert.equal(await codeOf(id, 'container'), 'container_missing');
      await row({ status: 'stopped', wanted: 'stopped' });
      assert.equal(await codeOf(id, 'state'), 'stopped_until_login');
      await row({ stop_asked_at: new Date() });
      assert.equal(await codeOf(id, 'state'), 'stopped_a_moment_ago');
      await row({ wake: false });
      assert.equal(await codeOf(id, 'state'), 'stopped_and_stays');
      await row({
        status: 'failed',
        failure_code: 'x',
        failure_cause: 'It broke.',
        failure_cure: 'Mend it.',
      });
      const failed = await check(id, 'state');
      assert.equal(failed.code, 'start_failed');
      assert.equal(failed.cause, 'Its last start failed (x): It broke.');
      assert.equal(failed.cure, 'Mend it.');
    });

    test('keeps what was found with the failure and in the timeline, from before anything was cleaned up', async () => {
      const { runtime } = plane;
      runtime.missingImages.add('berth/environment:test');
      runtime.failOn('run', () => new RuntimeError('refused', 'The engine refuses.', 'Ask for less.'));
      await plane.startReconciler();
      const { env_id: id } = await plane.create({ name: 'demo' }, plane.services, alice.principal);
      const { failure } = await plane.until(id, 'failed');
      assert.equal(failure?.code, 'refused');
      assert.deepEqual(
        failure.findings.map(({ code }) => code),
        ['image_missing'],
      );
      const order = runtime.calls.filter((call) => call.startsWith('removeWorkload') || call === 'hasImage');
      assert.deepEqual(order, ['hasImage', `removeWorkload ${id}`]);
      const line = (await plane.timeline(id)).find((each) => each.startsWith('note: Found at its image: '));
      assert.match(line ?? '', /is not on the machine.*docker pull/);
      assert.equal(await codeOf(id, 'state'), 'start_failed');
      runtime.heal();
      runtime.missingImages.clear();
      await app.inject({
        method: 'POST',
        url: pathOf(routes.environmentStart, { id }),
        headers: { authorization: `Bearer ${alice.token}` },
      });
      assert.equal((await plane.until(id, 'running')).failure, null);
    });

    test('names who has a port to administrators, and to others what is theirs to know', async () => {
      const { env_id: id } = await plane.create({ name: 'demo' }, plane.services, alice.principal);
      const port = (await plane.show(id))?.ssh_port ?? 0;
      plane.runtime.heldPorts.add(port);
      const { holders } = plane.runtime;
      const taken = async (account: Account) => check(id, 'own_port', {}, account);
      holders.set(port, { kind: 'program', name: 'squatter', process: 42 });
      assert.equal((await taken(chief)).code, 'port_taken_by_program');
      holders.set(port, { kind: 'container', name: 'web' });
      assert.equal((await taken(chief)).code, 'port_taken_by_container');
      assert.equal((await taken(alice)).code, 'port_taken');
      holders.set(port, { kind: 'environment', id: 'secret-2b2b' });
      assert.equal((await taken(chief)).facts['other'], 'secret-2b2b');
      const told = await taken(alice);
      assert.equal(told.code, 'port_taken_by_environment');
      assert.doesNotMatch(JSON.stringify(told), /secret/);
    });

    test('knows the keys of its customer, and of others only for administrators', async () => {
      const id = await running();
      assert.equal(await codeOf(id, 'key'), 'only_passwords');
      const add = async (account: Account, name: string) => {
        const { publicLine } = generateHostKey();
        const { fingerprint } = parsePublicKey(publicLine);
        await app.inject({
          method: 'POST',
          url: routes.sshKeys,
          headers: { authorization: `Bearer ${account.token}` },
          payload: { name, public_key: publicLine },
        });
        await plane.services.directory.reload();
        return fingerprint;
      };
      const hers = await add(alice, 'laptop');
      const his = await add(bob, 'of-bob');
      const nobodys = parsePublicKey(generateHostKey().publicLine).fingerprint;
      const known = await check(id, 'key', { fingerprint: hers });
      // Its container was made before, and takes files over when the reconciler has brought them.
      assert.ok(['key_opens', 'key_not_inside'].includes(known.code));
      const foreign = await check(id, 'key', { fingerprint: his });
      const none = await check(id, 'key', { fingerprint: nobodys });
      assert.equal(foreign.code, 'key_unknown');
      const said = ({ cause }: CheckResult) => cause.replace(/SHA256:\S+ is/, 'X is');
      assert.equal(said(foreign), said(none), "a key of another customer is told like one of nobody's");
      assert.match(none.cause, /laptop of member-of-alice \(SHA256:/);
      const toChief = await check(id, 'key', { fingerprint: his }, chief);
      assert.equal(toChief.code, 'key_of_other_customer');
      assert.equal(toChief.facts['customer'], 'bob');
    });

    test('says what the address meets: allowlist, firewall, lockout, ban, what failed lately', async () => {
      const id = await running('demo', { own_port: 'auto' });
      const { database } = plane;
      const codes = async () => {
        const { checks } = await diagnosisOf(id, { source });
        return Object.fromEntries(checks.map((each) => [each.id, each.code]));
      };
      plane.runtime.firewallAnswer = { outcome: 'unclear', table: 'filter', chain: 'input' };
      assert.equal((await codes())['firewall'], 'firewall_unclear');
      plane.runtime.failOn('firewall', () => new RuntimeError('other', 'No nft.', 'Install it.'), 1);
      assert.equal((await codes())['firewall'], 'firewall_not_looked_at');
      plane.runtime.firewallAnswer = { outcome: 'drops', table: 'filter', chain: 'input' };
      const customer_id = alice.principal.customerId;
      await database
        .insertInto('allowlist_entries')
        .values({ customer_id, network: '192.0.2.0/24', note: '' })
        .execute();
      const until = new Date(Date.now() + 600_000);
      const of = { target: id, env_id: id, customer_id, source, failures: 5, until };
      await database.insertInto('lockouts').values(of).execute();
      await database.insertInto('bans').values({ source, failures: 20, until }).execute();
      await plane.services.directory.reload();
      const attempt = (
        reason: AttemptRecord['reason'],
        more: Partial<AttemptRecord> = {},
      ): AttemptRecord => ({
        ...{ type: 'attempt', id: `attempt${Math.random().toString(36).slice(2, 14).padEnd(12, '0')}` },
        ...{ at: new Date().toISOString(), connection: null, way: 'own-port', target: id, jumper: null },
        ...{
          user: 'developer',
          source,
          source_port: 1,
          client: '',
          method: 'password',
          accepted: reason === null,
        },
        ...{ reason, fingerprint: null, account: null, customer: customer_id, count: 1, ...more },
      });
      const cases: [FindingCode, AttemptRecord][] = [
        ['wrong_password_lately', attempt('wrong_password')],
        ['password_off_lately', attempt('password_off')],
        ['wrong_key_lately', attempt('wrong_key')],
        ['wrong_certificate_lately', attempt('wrong_certificate')],
        ['wrong_user_lately', attempt('unknown_name', { user: 'root\u001b[2J' })],
        ['flood_lately', attempt('flood', { count: 30 })],
        ['refused_lately', attempt('unavailable')],
        ['no_refusals', attempt(null)],
      ];
      for (const [code, record] of cases) {
        await recordAttempts(database, [record]);
        assert.equal((await codes())['attempts'], code);
      }
      const { allowlist, firewall, lockout, ban } = await codes();
      assert.deepEqual(
        [firewall, allowlist, ban, lockout],
        ['firewall_drops', 'allowlist_leaves_out', 'banned', 'locked_out'],
      );
    });

    test('is for its own customer, with an address and a key that are such', async () => {
      const { env_id: id } = await plane.create({ name: 'demo' }, plane.services, alice.principal);
      assert.equal((await ask(id, {}, bob)).statusCode, 404);
      assert.equal((await ask(id, {}, chief)).statusCode, 200);
      const refused: Record<string, string>[] = [
        { source: 'nonsense' },
        { source: '203.0.113.0/24' },
        { source: 'x'.repeat(65) },
        { fingerprint: 'SHA256:short' },
        { certificate: '%' },
        { certificate: 'A'.repeat(9000) },
        { other: '1' },
      ];
      for (const query of refused) {
        const answer = await ask(id, query);
        assert.equal(answer.statusCode, 400, JSON.stringify(query));
        assert.equal(answer.json<Problem>().code, 'bad_request');
      }
      assert.equal(await codeOf(id, 'key', { certificate: 'AAAA' }), 'certificate_unreadable');
      const mapped = await ask(id, { source: '::ffff:203.0.113.7' });
      assert.equal(mapped.json<Diagnosis>().source, source);
      assert.equal((await ask(id)).json<Diagnosis>().source, '127.0.0.1', 'whoever asks');
    });

    test('is made for so many at a time, and no more', async () => {
      const id = await running();
      // What a look waits for.
      plane.runtime.silent = true;
      const answers = Promise.all(Array.from({ length: 12 }, () => ask(id)));
      const statuses = (await answers).map(({ statusCode }) => statusCode);
      assert.ok(statuses.includes(200));
      assert.ok(
        statuses.every((status) => status === 200 || status === 503),
        statuses.join(),
      );
      assert.ok(statuses.includes(503), statuses.join());
      assert.equal((await ask(id)).statusCode, 200);
    });
  });
}
