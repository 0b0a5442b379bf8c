import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptAnswer, StateLine } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { endConnections } from '../connections/end.ts';
import { addEvents } from '../events/events.ts';
import { announce } from '../events/notices.ts';
import { deleteEnvironment, resetPassword, stopEnvironment } from '../environments/environments.ts';
import { removeAccount } from '../accounts/accounts.ts';
import { addKey, removeKey } from '../ssh-keys/ssh-keys.ts';
import { ControlClient } from '../testing/control-client.ts';
import type { StateReader } from '../testing/control-client.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { listenForGateways } from './listener.ts';
import type { ControlListener } from './listener.ts';
import { portOfGateway } from './state.ts';

const refuse: () => Promise<AttemptAnswer> = () =>
  Promise.resolve({ outcome: 'refuse', reason: 'wrong_password', sentence: null });

const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxM7vPGKcHLY1hYTR2yxmm6Ibfcm6QyKqcVGtyLh9lX laptop';

for (const on of databases) {
  describe(`the state that gateways get, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let listener: ControlListener;
    let client: ControlClient;
    before(async () => {
      plane = await ControlPlane.open(on, { exposure: 'gateway', liveConnections: 'cut' });
      listener = await listenForGateways(plane.services, refuse);
      client = new ControlClient({ socketPath: listener.socketPath });
    });
    after(async () => {
      client.close();
      await listener.close();
      await plane.close();
    });

    const streamed = async (act: (state: StateReader) => Promise<void>) => {
      const state = await client.state();
      try {
        await state.complete();
        await act(state);
      } finally {
        state.close();
      }
    };
    const mustBeInOrder = ({ lines }: StateReader) => {
      const start = lines.findIndex(({ type }) => type === 'complete');
      const numbers = lines.slice(start).map(({ number }) => number);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => (numbers[0] ?? 0) + index),
      );
    };
    const routeOf = (id: string) => (line: StateLine) => line.type === 'environment' && line.id === id;

    test('begins with all that there is', async () => {
      const alice = await plane.account('alice');
      const created = await plane.create({ name: 'first' }, plane.services, alice.principal);
      await addKey(
        plane.database,
        alice.principal,
        { principal: alice.principal, source: null },
        { name: 'laptop', public_key: publicKey },
      );
      await plane.services.directory.reload();
      await streamed(async (state) => {
        const { lines } = state;
        assert.equal(lines[0]?.type, 'begin');
        assert.equal(lines.at(-1)?.type, 'complete');
        const keys = lines.find((line) => line.type === 'host-keys');
        assert.equal(keys?.keys.length, 2);
        for (const key of keys?.keys ?? []) assert.match(key, /^-----BEGIN OPENSSH PRIVATE KEY-----/);
        const settings = lines.find((line) => line.type === 'settings');
        assert.equal(settings?.settings.sharedPort, 2222);
        assert.equal(settings?.settings.liveConnections, 'cut');
        const environment = lines.find((line) => line.type === 'environment');
        assert.ok(environment?.route);
        const { hostKey, ...route } = environment.route;
        assert.match(hostKey, /^-----BEGIN OPENSSH PRIVATE KEY-----/);
        assert.deepEqual(route, {
          id: created.env_id,
          customer: alice.principal.customerId,
          port: created.ssh_port,
          username: 'developer',
          passwordLogin: true,
          allowlist: [],
        });
        const customer = lines.find(
          (line) => line.type === 'customer' && line.id === alice.principal.customerId,
        );
        assert.equal(customer?.type === 'customer' && customer.route?.keys.length, 1);
        const account = lines.find(
          (line) => line.type === 'account' && line.name === alice.principal.account,
        );
        assert.deepEqual(
          account?.type === 'account' && account.route?.keys,
          customer?.type === 'customer' && customer.route?.keys,
        );
        await Promise.resolve();
      });
    });

    test('tells of each change within a second, and in order', async () => {
      const { database, services } = plane;
      const bob = await plane.account('bob');
      const actor = { principal: bob.principal, source: null };
      await streamed(async (state) => {
        const { env_id: id, ssh_port } = await plane.create({ name: 'second' }, services, bob.principal);
        const made = await state.next(routeOf(id));
        assert.equal(made.type === 'environment' && made.route?.port, ssh_port);

        await database
          .updateTable('customers')
          .set({ password_login: false })
          .where('id', '=', bob.principal.customerId)
          .execute();
        await announce(database, { topic: 'customer', id: bob.principal.customerId });
        const without = await state.next(routeOf(id));
        assert.equal(without.type === 'environment' && without.route?.passwordLogin, false);

        const network = '192.0.2.0/24';
        const customer_id = bob.principal.customerId;
        await database
          .insertInto('allowlist_entries')
          .values({ customer_id, env_id: id, network, note: '' })
          .execute();
        await addEvents(database, id, [{ kind: 'note', message: 'An allowlist.' }]);
        const listed = await state.next(routeOf(id));
        assert.deepEqual(listed.type === 'environment' && listed.route?.allowlist, [network]);

        const key = await addKey(database, bob.principal, actor, { name: 'laptop', public_key: publicKey });
        const added = await state.next((line) => line.type === 'customer' && line.id === customer_id);
        assert.deepEqual(added.type === 'customer' && added.route?.keys, [key.fingerprint]);
        await removeKey(services, bob.principal, actor, key.id);
        const removed = await state.next((line) => line.type === 'customer' && line.id === customer_id);
        assert.deepEqual(removed.type === 'customer' && removed.route?.keys, []);
        const cut = await state.next(({ type }) => type === 'end');
        assert.deepEqual(cut.type === 'end' && cut.which, {
          customer: customer_id,
          fingerprint: key.fingerprint,
        });

        const until = new Date(Date.now() + 60_000);
        const [target, source] = [id, '192.0.2.1'];
        await database.insertInto('lockouts').values({ target, source, failures: 5, until }).execute();
        await announce(database, { topic: 'lockout', target, source });
        const locked = await state.next(({ type }) => type === 'lockout');
        assert.equal(locked.type === 'lockout' && locked.until, until.toISOString());
        assert.deepEqual(services.directory.lockedUntil(target, source), until);
        await database.updateTable('lockouts').set({ cleared_at: new Date() }).execute();
        await announce(database, { topic: 'lockout', target, source });
        const cleared = await state.next(({ type }) => type === 'lockout');
        assert.equal(cleared.type === 'lockout' && cleared.until, null);
        await database.insertInto('bans').values({ source, failures: 20, until }).execute();
        await announce(database, { topic: 'ban', source });
        const banned = await state.next(({ type }) => type === 'ban');
        assert.equal(banned.type === 'ban' && banned.until, until.toISOString());

        const asker = { principal: bob.principal, source: null };
        await resetPassword(services, asker, id);
        const reset = await state.next(({ type }) => type === 'end');
        assert.deepEqual(reset.type === 'end' && reset.which, { environment: id, method: 'password' });
        await stopEnvironment(services, asker, id);
        const stopped = await state.next((line) => line.type === 'end' && line.which.method === undefined);
        assert.deepEqual(stopped.type === 'end' && stopped.which, { environment: id });
        assert.ok(Date.now() - (services.directory.environment(id)?.stopAskedAt?.getTime() ?? 0) < 5000);

        await deleteEnvironment(services, asker, id);
        const gone = await state.next(routeOf(id));
        assert.equal(gone.type === 'environment' && gone.route, null);
        const ended = await state.next(({ type }) => type === 'end');
        assert.ok(ended.type === 'end');
        assert.deepEqual(ended.which, { environment: id });
        assert.match(ended.sentence, /was deleted/);
        assert.equal(services.directory.environment(id), undefined);

        await removeAccount(services, plane.admin, plane.asker, bob.principal.accountId);
        const { account } = bob.principal;
        const left = await state.next((line) => line.type === 'account' && line.name === account);
        assert.equal(left.type === 'account' && left.route, null);
        mustBeInOrder(state);
      });
    });

    test('keeps those who are there where the setting says so, but for a deletion', async () => {
      const services = plane.with({ liveConnections: 'keep' });
      await streamed(async (state) => {
        const { env_id: id } = await plane.create({ name: 'kept' });
        await resetPassword(services, plane.asker, id);
        await stopEnvironment(services, plane.asker, id);
        await deleteEnvironment(services, plane.asker, id);
        const first = await state.next(({ type }) => type === 'end');
        assert.match(first.type === 'end' ? first.sentence : '', /was deleted/);
      });
    });

    test('brings all up to date after notices were lost, and tells only what is different', async () => {
      const { env_id: id } = await plane.create({ name: 'missed' });
      await plane.services.directory.reload();
      await streamed(async (state) => {
        await plane.database
          .updateTable('environments')
          .set({ username: 'somebody' })
          .where('id', '=', id)
          .execute();
        plane.services.notices.receiveGap();
        const line = await state.next((each) => each.type !== 'beat');
        assert.equal(line.type === 'environment' && line.route?.username, 'somebody');
        await plane.services.directory.reload();
        assert.equal(state.lines.findLast(({ type }) => type === 'environment')?.number, line.number);
        mustBeInOrder(state);
      });
    });

    test('goes on with what it knew when the database does not answer, and catches up', async () => {
      const { env_id: id } = await plane.create({ name: 'faulty' });
      await plane.services.directory.reload();
      await streamed(async (state) => {
        await sql`alter table ssh_credentials rename to hidden`.execute(plane.database);
        try {
          await plane.database
            .updateTable('environments')
            .set({ username: 'other' })
            .where('id', '=', id)
            .execute();
          await addEvents(plane.database, id, [{ kind: 'note', message: 'Unseen.' }]);
          await endConnections(plane.database, { connection: 'one' }, 'Ended.');
          await pause(300);
          assert.equal(plane.services.directory.environment(id)?.username, 'developer');
        } finally {
          await sql`alter table hidden rename to ssh_credentials`.execute(plane.database);
        }
        const line = await state.next(routeOf(id), 2000);
        assert.equal(line.type === 'environment' && line.route?.username, 'other');
        const end = await state.next(({ type }) => type === 'end');
        assert.deepEqual(
          end.type === 'end' && end.which,
          { connection: 'one' },
          'after what it follows from',
        );
      });
    });

    test('tells a gateway that was away for a moment whom to end', async () => {
      const isIt = (line: StateLine) => line.type === 'end' && line.which.connection === 'two';
      await streamed(async (state) => {
        await endConnections(plane.database, { connection: 'two' }, 'Ended.');
        await state.next(isIt);
      });
      const state = await client.state();
      await state.next(isIt);
      await state.complete();
      state.close();
    });

    test('cuts off a gateway that does not read, and no other', async () => {
      await streamed(async (state) => {
        const unread = await client.unreadState();
        const closed = new Promise((resolve) => unread.once('close', resolve));
        const streams = listener.state.streams;
        const sentence = 'x'.repeat(7000);
        for (let count = 0; listener.state.streams === streams && count < 3000; count += 1) {
          await announce(plane.database, { topic: 'end', which: { connection: `c${count}` }, sentence });
          await state.next((line) => line.type === 'end' && line.which.connection === `c${count}`);
        }
        assert.equal(listener.state.streams, streams - 1);
        unread.resume();
        await closed;
        await endConnections(plane.database, { connection: 'last' }, 'Ended.');
        await state.next((line) => line.type === 'end' && line.which.connection === 'last', 5000);
        mustBeInOrder(state);
      });
    });
  });

  describe(`two thousand environments, on ${on.name}`, { skip: on.skip }, () => {
    test('are told of at once', async (context) => {
      const plane = await ControlPlane.open(on, { exposure: 'gateway' });
      let listener: ControlListener | undefined;
      try {
        const { env_id } = await plane.create({ name: 'model' });
        await sql`insert into environments (id, customer_id, name, image, cpu, memory, gpu, storage, exposure, own_port,
            sudo, username, wanted, status, storage_id)
          select id || n, customer_id, name || n, image, cpu, memory, gpu, storage, exposure, own_port, sudo, username,
            wanted, status, id || n from environments, generate_series(1, 1999) n where id = ${env_id}`.execute(
          plane.database,
        );
        const { keyRing } = plane.services;
        const { host_key } = await plane.database
          .selectFrom('ssh_credentials')
          .select('host_key')
          .executeTakeFirstOrThrow();
        const file = keyRing.open(host_key, `host-key:${env_id}`);
        const rows = Array.from({ length: 1999 }, (_, index) => `${env_id}${index + 1}`).map((id) => ({
          id,
          host_key: keyRing.seal(file, `host-key:${id}`),
        }));
        await sql`insert into ssh_credentials (env_id, password, password_hash, host_key, host_key_public)
          select r.id, password, password_hash, r.host_key, host_key_public
          from ssh_credentials c, json_to_recordset(${JSON.stringify(rows)}::json) as r(id text, host_key text)
          where c.env_id = ${env_id}`.execute(plane.database);
        const began = performance.now();
        await plane.services.directory.reload();
        const readMs = performance.now() - began;
        listener = await listenForGateways(plane.services, refuse);
        const client = new ControlClient({ socketPath: listener.socketPath });
        const asked = performance.now();
        const state = await client.state();
        await state.complete();
        const tookMs = performance.now() - asked;
        const count = state.lines.filter(({ type }) => type === 'environment').length;
        const bytes = state.lines.reduce((sum, line) => sum + JSON.stringify(line).length, 0);
        client.close();
        assert.equal(count, 2000);
        context.diagnostic(
          `read in ${readMs.toFixed(0)} ms; snapshot of ${(bytes / 1024).toFixed(0)} KiB in ${tookMs.toFixed(0)} ms`,
        );
        assert.ok(tookMs < 2000, `${tookMs} ms`);
      } finally {
        await listener?.close();
        await plane.close();
      }
    });
  });
}

test('a gateway has the port only while no container publishes it, or is about to', () => {
  const port = 30_001;
  const cases = [
    ['running', 'gateway', 'gateway', port],
    ['running', 'direct', 'direct', null],
    // A change holds from the next start.
    ['running', 'direct', 'gateway', port],
    ['running', 'gateway', 'direct', null],
    ['stopping', 'gateway', 'direct', null],
    ['restarting', 'direct', 'gateway', null],
    ['restarting', 'gateway', 'gateway', port],
    // A container that is stopped holds no port.
    ['stopped', 'gateway', null, port],
    ['stopped', 'direct', null, null],
    ['starting', 'gateway', null, port],
    ['starting', 'direct', null, null],
    ['creating', 'gateway', null, port],
    ['failed', 'gateway', null, port],
  ] as const;
  for (const [status, exposure, runningExposure, expected] of cases) {
    const given = portOfGateway({ port, status, exposure, runningExposure });
    assert.equal(given, expected, `${status}, ${exposure}, runs as ${runningExposure}`);
  }
});
