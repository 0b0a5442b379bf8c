import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Environment } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import {
  deleteEnvironment,
  resetPassword,
  restartEnvironment,
  sshAccess,
  startEnvironment,
  stopEnvironment,
} from '../environments/environments.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { addKey } from '../ssh-keys/ssh-keys.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { claimDue, nextDue, release } from './table.ts';

const portRange = { first: 40000, last: 40009 };
const publicKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA${Buffer.concat([
  Buffer.from([0, 0, 32]),
  Buffer.alloc(32, 7),
])
  .subarray(2)
  .toString('base64')}`;

const broken = () => new RuntimeError('other', 'The engine stumbled.', 'Look at its log.');
const refused = () => new RuntimeError('no_space', 'The disk is full.', 'Free some space.');

// Mostly waiting: the databases are waited for side by side.
describe('the reconciler', { concurrency: true }, () => {
  for (const on of databases) {
    describe(`on ${on.name}`, { skip: on.skip, concurrency: 1 }, () => {
      let plane: ControlPlane;
      before(async () => {
        plane = await ControlPlane.open(on, { portRange, portRestSeconds: 0, stopGraceSeconds: 1 });
      });
      after(() => plane.close());
      afterEach(() => plane.clear());

      const running = async (name = 'demo'): Promise<string> => {
        const { env_id: id } = await plane.create({ name });
        await plane.until(id, 'running');
        return id;
      };
      const row = (id: string) =>
        plane.database.selectFrom('environments').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
      const portsOf = (id: string) =>
        plane.database.selectFrom('port_mappings').selectAll().where('env_id', '=', id).execute();
      const nothingLeft = async (id: string) => {
        assert.equal(plane.runtime.workloads.has(id), false, 'no workload');
        assert.equal(plane.runtime.storage.has(id), false, 'no storage');
        assert.equal(plane.runtime.secrets.has(id), false, 'no secrets');
        assert.deepEqual(
          (await portsOf(id)).map(({ status }) => status).filter((status) => status === 'active'),
          [],
          'no port',
        );
      };

      test('makes what was asked for, step by step, and says so in the timeline', async () => {
        const { env_id: id, ssh_port: port } = await plane.create({ name: 'demo' });
        await plane.startReconciler();
        const environment = await plane.until(id, 'running');
        assert.equal(environment.step, null);
        assert.equal(environment.failure, null);
        assert.notEqual(environment.started_at, null);
        assert.equal(plane.runtime.workloads.get(id)?.spec.publicPort, port);
        assert.ok(plane.runtime.storage.has(id));
        const timeline = (await plane.timeline(id)).filter((line) => line !== 'step: It is there.');
        assert.deepEqual(
          timeline.map((line) => line.replace(/[0-9.]+ s\.$/, 'N s.')),
          [
            'request: admin asked for it.',
            `port: Port ${port} is its own.`,
            'step: Looking for its image.',
            'step: Making its folders that last.',
            'step: Starting its container.',
            'step: Waiting for its sshd to answer.',
            'status: Running: ssh answered after N s.',
          ],
        );
        const { due_at, lease_owner, attempts } = await eventually(
          () => row(id),
          (now) => now.lease_owner === null,
        );
        assert.deepEqual({ due_at, lease_owner, attempts }, { due_at: null, lease_owner: null, attempts: 0 });
      });

      test('carries a hash and public keys into the container, and no password', async () => {
        await plane.startReconciler();
        const id = await running();
        const { ssh_password: password } = await sshAccess(plane.services, plane.admin, id);
        const files = plane.runtime.secrets.get(id);
        assert.match(files?.password_hash ?? '', /^\$6\$/);
        assert.equal(files?.principals, `${id}\n`);
        assert.ok(!JSON.stringify(files).includes(password));
      });

      test('takes up another exposure with the next start, and gives what runs what it was made for', async () => {
        await plane.startReconciler();
        await addKey(plane.database, plane.admin, plane.asker, { name: 'laptop', public_key: publicKey });
        const { env_id: id } = await plane.create({ name: 'demo' }, plane.with({ exposure: 'direct' }));
        const seen = () => {
          const files = plane.runtime.secrets.get(id);
          return [files?.password_hash.slice(0, 3), files?.authorized_keys, files?.ssh_host_ed25519_key];
        };
        await plane.until(id, 'running');
        const [, , hostKey] = seen();
        const direct = ['$6$', `${publicKey}\n`, hostKey];
        const gateway = ['*\n', '', hostKey];
        assert.deepEqual(seen(), direct);
        assert.equal((await row(id)).running_exposure, 'direct');
        for (const exposure of ['gateway', 'direct'] as const) {
          const before = seen();
          const running = (await row(id)).running_exposure;
          await plane.database.updateTable('environments').set({ exposure }).where('id', '=', id).execute();
          const written = plane.runtime.calls.length;
          await resetPassword(plane.services, plane.asker, id);
          await eventually(
            () => plane.runtime.calls.slice(written),
            (calls) => calls.includes('writeSecrets'),
          );
          await eventually(
            () => row(id),
            ({ due_at }) => due_at === null,
          );
          assert.deepEqual(seen(), before, 'what runs is left as it is');
          assert.equal((await row(id)).running_exposure, running);
          await stopEnvironment(plane.services, plane.asker, id);
          await plane.until(id, 'stopped');
          assert.equal((await row(id)).running_exposure, null);
          await startEnvironment(plane.services, plane.asker, id);
          await plane.until(id, 'running');
          assert.deepEqual(seen(), exposure === 'gateway' ? gateway : direct);
          assert.equal((await row(id)).running_exposure, exposure);
        }
      });

      for (const call of ['ensureImage', 'ensureStorage', 'writeSecrets', 'run'] as const) {
        test(`tries again when ${call} fails, and runs once it works`, async () => {
          plane.runtime.failOn(call, broken, 2);
          await plane.startReconciler();
          const id = await running();
          const retries = (await plane.timeline(id)).filter((line) => line.startsWith('retry'));
          assert.equal(retries.length, 2);
          assert.match(retries[0] ?? '', /The engine stumbled\. Trying again\./);
        });

        test(`gives up when ${call} keeps failing, with cause and cure, and leaves nothing`, async () => {
          plane.runtime.failOn(call, broken);
          await plane.startReconciler();
          const { env_id: id } = await plane.create({ name: 'demo' });
          const { failure, ssh_port } = await plane.until(id, 'failed');
          assert.deepEqual(failure, {
            code: 'other',
            cause: 'The engine stumbled.',
            cure: 'Look at its log.',
          });
          assert.equal(ssh_port, null);
          await nothingLeft(id);
          assert.equal(plane.runtime.calls.filter((each) => each.startsWith(call)).length, 4);
          assert.match(
            (await plane.timeline(id)).join('\n'),
            /Nothing was left behind\.\nport: Port \d+ was released/,
          );
        });
      }

      test('does not repeat what cannot pass by itself', async () => {
        plane.runtime.failOn('run', refused);
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        const { failure } = await plane.until(id, 'failed');
        assert.equal(failure?.code, 'no_space');
        assert.equal(plane.runtime.calls.filter((each) => each === `run ${id}`).length, 1);
        await nothingLeft(id);
      });

      test('fails what runs but does not answer to ssh in time', async () => {
        plane.runtime.silent = true;
        await plane.startReconciler('server-one', { settings: { readyTimeoutSeconds: 1 } });
        const { env_id: id } = await plane.create({ name: 'demo' });
        const { failure } = await plane.until(id, 'failed');
        assert.match(failure?.cause ?? '', /Its sshd did not answer in time/);
        await nothingLeft(id);
      });

      test('gives what runs another address when somebody else answers at its own', async () => {
        await plane.startReconciler();
        const id = await running();
        await stopEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'stopped');
        plane.runtime.misled.add(id);
        await startEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'running');
        assert.deepEqual(
          plane.runtime.calls.filter((call) => call.startsWith('moveAddress')),
          [`moveAddress ${id}`],
        );
        assert.match((await plane.timeline(id)).join('\n'), /given another address/);
      });

      test('starts what failed, with a port again', async () => {
        plane.runtime.failOn('run', refused);
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        await plane.until(id, 'failed');
        plane.runtime.heal();
        await startEnvironment(plane.services, plane.asker, id);
        const { ssh_port, failure } = await plane.until(id, 'running');
        assert.ok(ssh_port !== null);
        assert.equal(failure, null);
      });

      test('keeps port and files of what ran before when it fails', async () => {
        await plane.startReconciler();
        const id = await running();
        const port = (await plane.show(id))?.ssh_port;
        await stopEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'stopped');
        plane.runtime.failOn('run', refused);
        await startEnvironment(plane.services, plane.asker, id);
        const failed = await plane.until(id, 'failed');
        assert.equal(failed.ssh_port, port);
        assert.ok(plane.runtime.storage.has(id));
        assert.match((await plane.timeline(id)).at(-1) ?? '', /Its files and its port were kept/);
        plane.runtime.heal();
        await startEnvironment(plane.services, plane.asker, id);
        assert.equal((await plane.until(id, 'running')).ssh_port, port);
      });

      test('cleans up after a failure once the engine lets it', async () => {
        plane.runtime.failOn('run', refused);
        plane.runtime.failOn('removeStorage', broken, 1);
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        await eventually(
          () => row(id),
          ({ attempts, lease_owner }) => attempts > 0 && lease_owner === null,
        );
        assert.notEqual((await plane.show(id))?.status, 'failed', 'not before everything is away');
        plane.runtime.comeBack();
        await plane.until(id, 'failed');
        await nothingLeft(id);
      });

      test('stops at once what is still being created, and starts it later', async () => {
        await plane.startReconciler();
        plane.runtime.silent = true;
        const { env_id: id } = await plane.create({ name: 'demo' });
        await eventually(
          () => plane.show(id),
          (environment) => environment?.step === 'handshake',
        );
        const asked = Date.now();
        await stopEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'stopped');
        assert.ok(Date.now() - asked < 1500, `after ${Date.now() - asked} ms`);
        assert.equal(plane.runtime.workloads.get(id)?.peer, null);
        plane.runtime.silent = false;
        await startEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'running');
      });

      for (const call of ['ensureImage', 'ensureStorage', 'run'] as const) {
        test(`deletes what is being created, asked during ${call}, and leaves nothing`, async () => {
          const gate = plane.runtime.holdOn(call);
          await plane.startReconciler();
          const { env_id: id } = await plane.create({ name: 'demo' });
          await gate.entered;
          const answer = await deleteEnvironment(plane.services, plane.asker, id);
          assert.equal(answer.status, 'deleting');
          gate.open();
          await plane.until(id, 'gone');
          await nothingLeft(id);
          const { status, deleted_at } = await row(id);
          assert.equal(status, 'deleted');
          assert.notEqual(deleted_at, null);
          assert.match((await plane.timeline(id)).at(-1) ?? '', /nothing is left but this history/);
        });
      }

      test('ends a creation with the newest password when that was reset meanwhile', async () => {
        const gate = plane.runtime.holdOn('run');
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        await gate.entered;
        await resetPassword(plane.services, plane.asker, id);
        gate.open();
        await plane.until(id, 'running');
        const { password_hash } = await plane.database
          .selectFrom('ssh_credentials')
          .select('password_hash')
          .where('env_id', '=', id)
          .executeTakeFirstOrThrow();
        assert.equal(plane.runtime.secrets.get(id)?.password_hash, `${password_hash}\n`);
      });

      test('brings a new password and a new key into a running environment without a restart', async () => {
        await plane.startReconciler();
        const id = await running();
        const { run_id } = await row(id);
        const before = plane.runtime.secrets.get(id);
        await resetPassword(plane.services, plane.asker, id);
        await eventually(
          () => plane.runtime.secrets.get(id)?.password_hash,
          (hash) => hash !== before?.password_hash,
          2000,
        );
        await addKey(
          plane.database,
          plane.admin,
          { principal: plane.admin, source: null },
          { name: 'laptop', public_key: publicKey },
        );
        await eventually(
          () => plane.runtime.secrets.get(id)?.authorized_keys ?? '',
          (keys) => keys === `${publicKey}\n`,
          2000,
        );
        assert.equal((await row(id)).run_id, run_id);
        assert.equal((await plane.show(id))?.status, 'running');
      });

      test('keeps a failed environment as it failed when its password or the keys change', async () => {
        plane.runtime.failOn('run', refused);
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        const failed = await plane.until(id, 'failed');
        await resetPassword(plane.services, plane.asker, id);
        await addKey(plane.database, plane.admin, plane.asker, { name: 'laptop', public_key: publicKey });
        await eventually(
          () => row(id),
          ({ due_at, lease_owner }) => due_at === null && lease_owner === null,
        );
        const now = await plane.show(id);
        assert.equal(now?.status, 'failed');
        assert.deepEqual(now.failure, failed.failure);
      });

      test('restarts: another run, the same port and files', async () => {
        await plane.startReconciler();
        const id = await running();
        const first = await row(id);
        const port = (await plane.show(id))?.ssh_port;
        await restartEnvironment(plane.services, plane.asker, id);
        const environment = await plane.until(id, 'running');
        const second = await row(id);
        assert.notEqual(second.run_id, first.run_id);
        assert.equal(environment.ssh_port, port);
        assert.ok((second.started_at?.getTime() ?? 0) > (first.started_at?.getTime() ?? 0));
        assert.equal(second.restart_wanted, false);
      });

      for (const removed of [true, false]) {
        test(`repairs a container that ${removed ? 'was removed' : 'ended'} outside of Berth`, async () => {
          await plane.startReconciler();
          const id = await running();
          const first = (await row(id)).run_id;
          await plane.runtime.vanish(id, removed);
          await eventually(
            () => row(id),
            ({ run_id, status }) => run_id !== first && status === 'running',
          );
          assert.match(
            (await plane.timeline(id)).join('\n'),
            removed
              ? /drift: Its container was removed outside/
              : /drift: Its container .*\(exit code 137\); it is started again/,
          );
        });
      }

      test('tries a repair again although the environment has been running for long', async () => {
        await plane.startReconciler();
        const id = await running();
        await plane.database
          .updateTable('environments')
          .set({ status_since: new Date(Date.now() - 3_600_000) })
          .where('id', '=', id)
          .execute();
        plane.runtime.failOn('observe', broken, 1);
        plane.runtime.failOn('run', broken, 1);
        const first = (await row(id)).run_id;
        await plane.runtime.vanish(id, false);
        const { status } = await eventually(
          () => row(id),
          ({ run_id, status }) => status === 'failed' || (run_id !== first && status === 'running'),
        );
        assert.equal(status, 'running');
      });

      test('goes on by itself when the engine was away for a while', async () => {
        plane.runtime.leave();
        await plane.startReconciler();
        const { env_id: id } = await plane.create({ name: 'demo' });
        await eventually(
          () => plane.timeline(id),
          (timeline) => timeline.some((line) => line.includes('The engine does not answer. Trying again.')),
        );
        // More often than anything else is tried.
        await eventually(
          () => row(id),
          ({ attempts }) => attempts >= 5,
          15_000,
        );
        assert.equal((await plane.show(id))?.status, 'creating');
        assert.notEqual(plane.services.platform.runtimeFault, null);
        const asked = Date.now();
        plane.runtime.comeBack();
        await plane.until(id, 'running');
        assert.ok(Date.now() - asked < 3000, 'at once, not at the next try');
        assert.equal(plane.services.platform.runtimeFault, null);
      });

      test('stops and deletes as long as it takes', async () => {
        await plane.startReconciler();
        const id = await running();
        plane.runtime.failOn('removeWorkload', broken, 4);
        await deleteEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'gone');
        await nothingLeft(id);
      });

      test('reports what belongs to no environment, and leaves it alone', async () => {
        plane.runtime.storage.add('stranger-2222');
        await plane.startReconciler();
        const id = await running();
        const unclaimed = await eventually(
          () => plane.services.platform.unclaimed,
          (things) => things.length > 0,
        );
        assert.deepEqual(unclaimed, [
          { kind: 'storage', name: 'stranger-2222-home', id: 'stranger-2222', running: false },
        ]);
        await deleteEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'gone');
        assert.ok(plane.runtime.storage.has('stranger-2222'));
        assert.ok(!plane.runtime.calls.some((call) => call.includes('stranger')));
      });

      test('takes another port when the engine finds one taken, and says so', async () => {
        const { env_id: id, ssh_port: first } = await plane.create({ name: 'demo' });
        plane.runtime.heldPorts.add(first ?? 0);
        await plane.startReconciler();
        const { ssh_port: second } = await plane.until(id, 'running');
        assert.notEqual(second, first);
        assert.equal(plane.runtime.workloads.get(id)?.spec.publicPort, second);
        assert.match(
          (await plane.timeline(id)).join('\n'),
          new RegExp(`Port ${first} was passed over: another program .*\nport: Port ${first} was released`),
        );
      });

      test('keeps the port that a gateway has until it hears of the change', async () => {
        const { env_id: id, ssh_port: port } = await plane.create(
          { name: 'demo' },
          plane.with({ exposure: 'gateway' }),
        );
        await plane.startReconciler();
        await plane.until(id, 'running');
        await stopEnvironment(plane.services, plane.asker, id);
        await plane.until(id, 'stopped');
        await plane.database
          .updateTable('environments')
          .set({ exposure: 'direct' })
          .where('id', '=', id)
          .execute();
        plane.runtime.heldPorts.add(port ?? 0);
        const tries = () => plane.runtime.calls.filter((call) => call === `run ${id}`).length;
        const before = tries();
        await startEnvironment(plane.services, plane.asker, id);
        await eventually(tries, (now) => now > before + 1);
        plane.runtime.heldPorts.delete(port ?? 0);
        assert.equal((await plane.until(id, 'running')).ssh_port, port);
      });

      const startElsewhere = async (own_port: 'auto' | 'yes'): Promise<Environment> => {
        const services = plane.with({ portRange: { first: 40000, last: 40000 } });
        const { env_id: id } = await plane.create({ name: 'demo', own_port }, services);
        plane.runtime.heldPorts.add(40000);
        await plane.startReconciler('server-one', { settings: services.settings });
        return eventually(
          async () => (await plane.show(id)) ?? assert.fail('it is gone'),
          ({ status }) => status === 'running' || status === 'failed',
        );
      };

      test('goes without an own port when the engine finds the last one taken, if that will do', async () => {
        const { status, ssh_port, env_id } = await startElsewhere('auto');
        assert.equal(status, 'running');
        assert.equal(ssh_port, null);
        assert.match((await plane.timeline(env_id)).join('\n'), /note: It goes without an own port\./);
      });

      test('fails when the engine finds the last one taken and a port is insisted on', async () => {
        const { status, failure } = await startElsewhere('yes');
        assert.equal(status, 'failed');
        assert.equal(failure?.code, 'ports_exhausted');
      });

      test('says what does not hold on this host', async () => {
        plane.runtime.storageEnforced = false;
        await plane.startReconciler();
        const id = await running();
        plane.runtime.storageEnforced = true;
        const environment = await plane.show(id);
        assert.deepEqual(environment?.notes, ['The limit of 20 GiB of storage is not held to on this host.']);
      });

      test('takes up what another start of the same server had in its hands, at once', async () => {
        const { env_id: id } = await plane.create({ name: 'demo' });
        const [taken] = await claimDue(plane.database, 'server-one', 3600, 10);
        assert.equal(taken?.id, id);
        await plane.startReconciler('server-one');
        await plane.until(id, 'running', 3000);
      });

      test("waits for another server's lease, and takes the work over when it has run out", async () => {
        const { env_id: id } = await plane.create({ name: 'demo' });
        await claimDue(plane.database, 'dead-server', 1, 10);
        const until = (await row(id)).lease_until?.getTime() ?? 0;
        await plane.startReconciler('server-one');
        await plane.until(id, 'running', 6000);
        const [began] = await plane.database
          .selectFrom('environment_events')
          .select('at')
          .where('env_id', '=', id)
          .where('kind', '=', 'step')
          .orderBy('id')
          .execute();
        assert.ok((began?.at.getTime() ?? 0) >= until, 'not before');
      });

      test('does not look for work again and again while an environment is being worked on', async () => {
        const { env_id: id } = await plane.create({ name: 'demo' });
        await claimDue(plane.database, 'server-two', 30, 10);
        const due = await nextDue(plane.database);
        assert.ok(due && due.getTime() > Date.now() + 20_000, `next due at ${due?.toISOString()}`);
        await release(plane.database, id, 'server-two');
        const freed = await nextDue(plane.database);
        assert.ok(freed && freed.getTime() <= Date.now());
      });

      test('renews its leases while it works', async () => {
        const gate = plane.runtime.holdOn('run');
        await plane.startReconciler('server-one', { leaseSeconds: 1 });
        const { env_id: id } = await plane.create({ name: 'demo' });
        await gate.entered;
        const first = (await row(id)).lease_until?.getTime() ?? 0;
        await eventually(
          () => row(id),
          ({ lease_until }) => (lease_until?.getTime() ?? 0) > first + 500,
        );
        gate.open();
        await plane.until(id, 'running');
      });

      test('lets go of everything when it stops, and the next one ends the work', async () => {
        const first = await plane.startReconciler();
        plane.runtime.silent = true;
        const { env_id: id } = await plane.create({ name: 'demo' });
        await eventually(
          () => plane.show(id),
          (environment) => environment?.step === 'handshake',
        );
        await first.stop();
        const { lease_owner, due_at, status } = await row(id);
        assert.equal(lease_owner, null);
        assert.notEqual(due_at, null);
        assert.equal(status, 'creating');
        plane.runtime.silent = false;
        await plane.startReconciler();
        await plane.until(id, 'running');
      });

      test('works on more environments than it takes at once', async () => {
        const services = plane.with({ portRange: { first: 40000, last: 40099 } });
        const ids: string[] = [];
        for (let count = 0; count < 20; count += 1)
          ids.push((await plane.create({ name: `many-${count}` }, services)).env_id);
        await plane.startReconciler();
        for (const id of ids) await plane.until(id, 'running');
      });
    });
  }

  const postgres = databases.find(({ name }) => name === 'PostgreSQL');

  describe(
    'with another one on one PostgreSQL',
    { skip: postgres?.skip ?? 'no PostgreSQL', concurrency: 1 },
    () => {
      let one: ControlPlane;
      let two: ControlPlane;
      before(async () => {
        if (!postgres) return;
        one = await ControlPlane.open(postgres, { portRange: { first: 41000, last: 41099 } });
        two = await ControlPlane.open(postgres, one.services.settings, one);
      });
      afterEach(async () => {
        await two.clear();
        await one.clear();
      });
      after(async () => {
        await two.close();
        await one.close();
      });

      test('never work on the same environment at once, and both work', async () => {
        const owners = new Set<string>();
        await one.startReconciler('server-one');
        await two.startReconciler('server-two');
        const ids: string[] = [];
        for (let count = 0; count < 16; count += 1) {
          const { env_id } = await (count % 2 === 0 ? one : two).create({ name: `shared-${count}` });
          ids.push(env_id);
        }
        const watching = setInterval(() => {
          void one.database
            .selectFrom('environments')
            .select('lease_owner')
            .where('lease_owner', 'is not', null)
            .execute()
            .then((rows) => rows.forEach(({ lease_owner }) => owners.add(lease_owner ?? '')));
        }, 5);
        for (const id of ids) await one.until(id, 'running');
        for (const id of ids) await restartEnvironment(two.services, two.asker, id);
        for (const id of ids) await two.until(id, 'running');
        for (const id of ids) await deleteEnvironment(one.services, one.asker, id);
        for (const id of ids) await one.until(id, 'gone');
        clearInterval(watching);
        assert.deepEqual(one.runtime.overlaps, []);
        assert.deepEqual([...owners].toSorted(), ['server-one', 'server-two']);
        assert.equal(one.runtime.storage.size, 0);
      });

      test('a request at one ends the work of the other', async () => {
        one.runtime.silent = true;
        await one.startReconciler('server-one');
        const { env_id: id } = await one.create({ name: 'shared' });
        await eventually(
          () => one.show(id),
          (environment) => environment?.step === 'handshake',
        );
        await two.startReconciler('server-two');
        await deleteEnvironment(two.services, two.asker, id);
        await two.until(id, 'gone', 4000);
        assert.deepEqual(one.runtime.overlaps, []);
      });

      test('the work of one that died is taken over by the other', async () => {
        const { env_id: id } = await one.create({ name: 'shared' });
        await claimDue(one.database, 'server-one', 1, 10);
        await two.startReconciler('server-two');
        await two.until(id, 'running', 5000);
      });
    },
  );
});
