import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { UpstreamLine, UpstreamRequest } from '@berth/contract';
import { everythingForwarded } from '@berth/contract';
import { KeyError, parseCertificate, parsePublicKey } from '@berth/ssh';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { deleteEnvironment, stopEnvironment } from '../environments/environments.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { ControlClient, gatewayId, someUpstreamKey } from '../testing/control-client.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { listenForGateways } from './listener.ts';
import type { ControlListener } from './listener.ts';
import { findUpstream } from './upstream.ts';

for (const on of databases) {
  describe(`the way to an environment, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let listener: ControlListener;
    let client: ControlClient;
    before(async () => {
      plane = await ControlPlane.open(on, { exposure: 'gateway', readyTimeoutSeconds: 20 });
      listener = await listenForGateways(plane.services, () => Promise.reject(new Error('not asked')));
      client = new ControlClient({ socketPath: listener.socketPath });
    });
    after(async () => {
      client.close();
      await listener.close();
      await plane.close();
    });
    afterEach(() => plane.clear());

    const wish = (environment: string, change: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
      attempt: gatewayId(),
      environment,
      upstream_key: someUpstreamKey,
      account: null,
      source: '192.0.2.1',
      forwarding: everythingForwarded,
      force_command: null,
      wake: true,
      ...change,
    });
    const walk = async (request: UpstreamRequest): Promise<UpstreamLine[]> => {
      const lines: UpstreamLine[] = [];
      for await (const line of client.upstream(request)) lines.push(line);
      return lines;
    };
    const running = async (name: string) => {
      const { env_id: id } = await plane.create({ name });
      await plane.until(id, 'running');
      return id;
    };
    const stopped = async (name: string) => {
      const id = await running(name);
      await stopEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'stopped');
      return id;
    };
    const known = (id: string, status: string) =>
      eventually(
        () => plane.services.directory.environment(id),
        (environment) => environment?.status === status,
        2000,
        5,
      );

    test('is led to one that runs at once, with a certificate for it and for minutes', async () => {
      await plane.startReconciler();
      const id = await running('there');
      const request = wish(id, {
        force_command: 'date',
        forwarding: { local: false, remote: false, agent: true, x11: false, sftp: true },
      });
      const lines = await walk(request);
      const last = lines.at(-1);
      assert.ok(last?.type === 'ready');
      const { host, port, user, hostKey, certificate } = last.upstream;
      const peer = plane.runtime.workloads.get(id)?.peer;
      assert.deepEqual([host, port, user], [peer?.host, peer?.port, 'developer']);
      const { host_key_public } = await plane.database
        .selectFrom('ssh_credentials')
        .select('host_key_public')
        .where('env_id', '=', id)
        .executeTakeFirstOrThrow();
      assert.equal(hostKey, parsePublicKey(host_key_public).blob.toString('base64'));
      const read = parseCertificate(Buffer.from(certificate, 'base64'));
      assert.deepEqual(read.authority.blob, parsePublicKey(plane.installation.authorityPublic).blob);
      assert.equal(read.key.blob.toString('base64'), someUpstreamKey);
      assert.equal(read.keyId, request.attempt);
      assert.deepEqual(read.principals, [id]);
      assert.deepEqual(
        [...read.extensions.keys()],
        ['permit-agent-forwarding', 'permit-pty', 'permit-user-rc'],
      );
      assert.deepEqual([...read.criticalOptions.keys()], ['force-command']);
      assert.equal(read.validBefore - read.validAfter, 240n);
      const aheadSeconds = Number(read.validBefore) - Date.now() / 1000;
      assert.ok(aheadSeconds > 170 && aheadSeconds <= 181, `${aheadSeconds} s`);
    });

    test('is known without asking database or runtime again, until something changes', async () => {
      await plane.startReconciler();
      const id = await running('cached');
      const environment = await known(id, 'running');
      assert.ok(environment);
      const find = () =>
        findUpstream(plane.services, {
          attempt: gatewayId(),
          environment,
          upstreamKey: someUpstreamKey,
          forwarding: everythingForwarded,
          forceCommand: null,
        });
      await find();
      const asked = () => plane.runtime.calls.filter((call) => call === 'observe').length;
      const [queries, looks] = [plane.services.queriesRun(), asked()];
      for (let count = 0; count < 20; count += 1) assert.notEqual(await find(), null);
      assert.equal(asked(), looks);
      assert.ok(
        plane.services.queriesRun() - queries < 5,
        'the reconciler has its timer, and nothing else asks',
      );
      await plane.runtime.vanish(id, false);
      await eventually(
        find,
        (upstream) =>
          upstream === null || plane.services.directory.environment(id)?.runId !== environment.runId,
      );
      await assert.rejects(
        findUpstream(plane.services, {
          attempt: gatewayId(),
          environment: (await known(id, 'running')) ?? environment,
          upstreamKey: 'AAAA',
          forwarding: everythingForwarded,
          forceCommand: null,
        }),
        KeyError,
      );
    });

    test('starts one that is stopped, and tells what happens', async () => {
      await plane.startReconciler();
      const id = await stopped('sleeps');
      const gate = plane.runtime.holdOn('run');
      const walking = walk(wish(id, { account: 'alice' }));
      await gate.entered;
      const twoSeconds = new Promise((resolve) => setTimeout(resolve, 2100));
      await twoSeconds;
      gate.open();
      const lines = await walking;
      assert.equal(lines.at(-1)?.type, 'ready');
      const told = lines.flatMap((line) => (line.type === 'progress' ? [line] : []));
      const messages = told.map(({ message }) => message);
      for (const message of [
        'Looking for its image.',
        'Making its folders that last.',
        'Starting its container.',
        'Waiting for its sshd to answer.',
      ])
        assert.ok(messages.includes(message), messages.join('\n'));
      const counted = told
        .filter(({ message }) => message === 'Starting its container.')
        .map(({ seconds }) => seconds);
      assert.ok(counted.includes(1) && counted.includes(2), `counts ${counted.join(', ')}`);
      const timeline = await plane.timeline(id);
      assert.ok(
        timeline.includes('request: A login by alice from 192.0.2.1 asked: start.'),
        timeline.join('\n'),
      );
      const act = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'environment.start')
        .where('target', '=', id)
        .executeTakeFirstOrThrow();
      assert.deepEqual([act.account, act.source, act.outcome], ['alice', '192.0.2.1', 'done']);
    });

    test('goes on when whoever asked is gone, and many who ask are one start', async () => {
      await plane.startReconciler();
      const id = await stopped('many');
      const gate = plane.runtime.holdOn('run');
      const gone = client.upstream(wish(id));
      await gone.next();
      await gone.return(undefined);
      await gate.entered;
      const others = [walk(wish(id)), walk(wish(id)), walk(wish(id))];
      gate.open();
      for (const lines of await Promise.all(others)) assert.equal(lines.at(-1)?.type, 'ready');
      const asked = (await plane.timeline(id)).filter((line) => line.includes('A login by'));
      assert.deepEqual(asked, ['request: A login by 192.0.2.1 asked: start.']);
    });

    test('is refused in plain words: not to be woken, over its quota, deleted, failed', async () => {
      await plane.startReconciler();
      const id = await stopped('refused');
      const sentence = async (request: UpstreamRequest) => {
        const lines = await walk(request);
        const last = lines.at(-1);
        return last?.type === 'failed' ? last.sentence : JSON.stringify(last);
      };
      assert.equal(await sentence(wish(id, { wake: false })), `The environment ${id} is stopped.`);
      assert.equal((await plane.show(id))?.status, 'stopped');
      const { customerId } = plane.admin;
      await plane.database.insertInto('quotas').values({ customer_id: customerId, cpu: 0.1 }).execute();
      assert.match(await sentence(wish(id)), /cpu/);
      assert.equal((await plane.show(id))?.status, 'stopped');
      await plane.database.deleteFrom('quotas').execute();

      plane.runtime.failOn('run', () => new RuntimeError('no_space', 'The disk is full.', 'Make room.'));
      assert.equal(await sentence(wish(id)), `The environment ${id} failed: The disk is full. Make room.`);
      plane.runtime.heal();

      const gate = plane.runtime.holdOn('run');
      const waiting = sentence(wish(id));
      await gate.entered;
      await deleteEnvironment(plane.services, plane.asker, id);
      gate.open();
      assert.equal(await waiting, `The environment ${id} was deleted.`);
      assert.equal(await sentence(wish('none-2222')), 'The environment none-2222 was deleted.');
    });

    test('ends when somebody stops it meanwhile', async () => {
      await plane.startReconciler();
      const id = await stopped('again');
      const gate = plane.runtime.holdOn('run');
      const walking = walk(wish(id));
      await gate.entered;
      await stopEnvironment(plane.services, plane.asker, id);
      const last = (await walking).at(-1);
      gate.open();
      assert.deepEqual(last, { type: 'failed', sentence: `The environment ${id} is stopped.` });
    });

    test('is asked anew where nobody answered at the address that was known', async () => {
      await plane.startReconciler();
      const id = await running('moved');
      assert.equal((await walk(wish(id))).at(-1)?.type, 'ready');
      const workload = plane.runtime.workloads.get(id);
      assert.ok(workload?.peer);
      // It has another address, and nothing told of it.
      Object.defineProperty(workload.peer, 'host', { value: '127.0.0.9' });
      const last = (await walk(wish(id, { wake: false }))).at(-1);
      assert.equal(last?.type === 'ready' && last.upstream.host, '127.0.0.9');
    });

    test('waits for one whose container ended, without waking it by a request', async () => {
      await plane.startReconciler();
      const id = await running('crashes');
      const gate = plane.runtime.holdOn('run');
      await plane.runtime.vanish(id, false);
      const walking = walk(wish(id, { wake: false }));
      await gate.entered;
      gate.open();
      assert.equal((await walking).at(-1)?.type, 'ready');
      assert.ok(!(await plane.timeline(id)).some((line) => line.includes('A login by')));
    });
  });
}
