import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptRecord, Connection, ConnectionPage, GatewayRecord } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { watchLostConnections } from '../connections/lost.ts';
import { closeLost } from '../connections/table.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { keepHouse } from '../housekeeping/housekeeping.ts';
import { ControlClient, connectionRecord, gatewayId } from '../testing/control-client.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { listenForGateways } from './listener.ts';
import type { ControlListener } from './listener.ts';

const fingerprint = `SHA256:${'A'.repeat(43)}`;

function attempt(change: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    type: 'attempt',
    id: gatewayId(),
    at: new Date().toISOString(),
    connection: gatewayId(),
    way: 'shared-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'demo-7f3k',
    source: '192.0.2.1',
    source_port: 50_000,
    client: 'SSH-2.0-OpenSSH_9.9',
    method: 'publickey',
    accepted: false,
    reason: 'wrong_key',
    fingerprint: null,
    account: null,
    customer: null,
    count: 1,
    ...change,
  };
}

function gateway(id: string, change: Partial<GatewayRecord> = {}): GatewayRecord {
  return {
    type: 'gateway',
    id,
    host: 'one',
    version: '0.1.0',
    started_at: new Date().toISOString(),
    connections: 1,
    draining: false,
    ended: false,
    metrics: {},
    ...change,
  };
}

for (const on of databases) {
  describe(`what gateways report, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let listener: ControlListener;
    let client: ControlClient;
    let app: App;
    let alice: Account;
    let bob: Account;
    before(async () => {
      plane = await ControlPlane.open(on, { exposure: 'gateway' });
      listener = await listenForGateways(plane.services, () => Promise.reject(new Error('not asked')));
      client = new ControlClient({ socketPath: listener.socketPath });
      app = await makeApp(plane.services);
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    after(async () => {
      client.close();
      await app.close();
      await listener.close();
      await plane.close();
    });
    afterEach(async () => {
      await plane.clearAudit();
      for (const table of ['connections', 'gateways'] as const)
        await plane.database.deleteFrom(table).execute();
      await plane.clear();
    });

    const report = async (...records: unknown[]) => {
      const { status, body } = await client.records(...records);
      assert.equal(status, 204, body);
    };
    const audited = () =>
      plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'ssh.login')
        .orderBy('id')
        .execute();
    const stored = async (id: string) =>
      plane.database.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const ask = async <T>(account: Account, path: string, method: 'GET' | 'DELETE' = 'GET') => {
      const answer = await app.inject({
        method,
        url: path,
        headers: { authorization: `Bearer ${account.token}` },
      });
      return { status: answer.statusCode, body: answer.json<T>() };
    };
    const listed = async (account: Account, query = '') => {
      const { body } = await ask<ConnectionPage>(account, `${routes.connections}${query}`);
      return body.items.map(({ id }) => id);
    };
    const silenceFor = async (seconds: number, ...gateways: string[]) => {
      const seen_at = sql<Date>`clock_timestamp() - make_interval(secs => ${seconds}::double precision)`;
      await plane.database.updateTable('gateways').set({ seen_at }).where('id', 'in', gateways).execute();
      await plane.database
        .updateTable('connections')
        .set({ seen_at })
        .where('gateway', 'in', gateways)
        .execute();
    };

    test('comes into the audit log once, however often it comes', async () => {
      const { customerId, account, accountId } = alice.principal;
      await plane.database
        .insertInto('ssh_keys')
        .values({
          customer_id: customerId,
          account_id: accountId,
          name: 'laptop',
          type: 'ssh-ed25519',
          fingerprint,
          public_key: 'x',
        })
        .execute();
      const at = '2020-01-02T03:04:05.678Z';
      const good = attempt({ at, accepted: true, reason: null, fingerprint, account, customer: customerId });
      const bad = attempt({ client: 'half \ud800', count: 7 });
      await report(good, bad);
      await report(bad, good, good);
      const rows = await audited();
      assert.equal(rows.length, 2);
      const [first, second] = rows;
      assert.deepEqual(
        [first?.attempt, first?.outcome, first?.account, first?.customer_id, first?.source, first?.target],
        [good.id, 'done', account, customerId, '192.0.2.1', 'demo-7f3k'],
      );
      assert.equal(first?.at.toISOString(), at);
      assert.deepEqual(first?.detail, {
        way: 'shared-port',
        method: 'publickey',
        reason: null,
        fingerprint,
        client: good.client,
        connection: good.connection,
        user: 'demo-7f3k',
        jumper: null,
        source_port: 50_000,
        count: 1,
      });
      assert.equal(second?.outcome, 'refused');
      assert.equal(second?.detail['count'], 7);
      assert.equal(second?.detail['client'], 'half \ufffd');
      const key = await plane.database
        .selectFrom('ssh_keys')
        .select('last_used_at')
        .executeTakeFirstOrThrow();
      assert.equal(key.last_used_at?.toISOString(), at);
    });

    test('is taken whole or not at all', async () => {
      const { status } = await client.records(attempt(), { ...attempt(), source_port: 70_000 });
      assert.equal(status, 400);
      // A moment that no database knows.
      const late = connectionRecord({ started_at: '0000-01-01T00:00:00Z' });
      assert.equal((await client.records(attempt(), late)).status, 500);
      assert.deepEqual(await audited(), []);
    });

    test('of a connection only grows, and its end stays', async () => {
      const begun = connectionRecord({
        environment: 'demo-7f3k',
        bytes_in: 10,
        bytes_out: 20,
        channels: 1,
        open_channels: 1,
      });
      const later = { ...begun, bytes_in: 100, bytes_out: 200, channels: 3, open_channels: 2 };
      const ended = {
        ...later,
        bytes_in: 150,
        open_channels: 0,
        ended_at: new Date().toISOString(),
        end_reason: 'client',
      };
      await report(begun, later);
      await report(begun);
      const live = await stored(begun.id);
      assert.deepEqual([live.bytes_in, live.bytes_out, live.channels, live.open_channels], [100, 200, 3, 2]);
      assert.equal(live.ended_at, null);
      await report(ended, later);
      await report(later);
      const over = await stored(begun.id);
      assert.deepEqual([over.bytes_in, over.bytes_out, over.channels, over.open_channels], [150, 200, 3, 0]);
      assert.equal(over.ended_at?.toISOString(), ended.ended_at);
      assert.equal(over.end_reason, 'client');
    });

    test('no more of a gateway that is gone: its connections are over', async () => {
      const [ends, silent, lives] = [gatewayId(), gatewayId(), gatewayId()];
      const of = (id: string) => connectionRecord({ gateway: id, open_channels: 1 });
      const records = [of(ends), of(silent), of(lives)];
      await report(...records, gateway(ends), gateway(silent), gateway(lives));
      await silenceFor(61, silent);
      await report(gateway(ends, { ended: true }));
      assert.equal(await closeLost(plane.database, false), 1);
      assert.equal((await stored(records[0]?.id ?? '')).end_reason, 'gateway gone');
      assert.equal((await stored(records[1]?.id ?? '')).ended_at, null, 'it may be heard in a moment');
      assert.equal(await closeLost(plane.database, true), 1);
      const lost = await stored(records[1]?.id ?? '');
      assert.equal(lost.end_reason, 'gateway gone');
      assert.equal(lost.open_channels, 0);
      const quietMs = Date.now() - (lost.ended_at?.getTime() ?? 0);
      assert.ok(quietMs > 55_000 && quietMs < 70_000, `ended ${quietMs} ms ago, when it was heard of last`);
      assert.equal((await stored(records[2]?.id ?? '')).ended_at, null);
      // It was only away: all that it has is there again, without a word of each.
      await report(gateway(silent));
      assert.equal((await stored(records[1]?.id ?? '')).ended_at, null);
      assert.equal(await closeLost(plane.database, true), 0);
      // And an end that comes late is the true one.
      const ended = { ...(records[0] as object), ended_at: new Date().toISOString(), end_reason: 'client' };
      await report(ended);
      assert.equal((await stored(records[0]?.id ?? '')).end_reason, 'client');
    });

    test('no more of a gateway, after the server has listened for long enough itself', async () => {
      const id = gatewayId();
      const record = connectionRecord({ gateway: id });
      await report(record, gateway(id));
      await silenceFor(61, id);
      const stop = watchLostConnections(plane.services);
      await pause(200);
      await stop();
      assert.equal((await stored(record.id)).ended_at, null);
      const stopAtOnce = watchLostConnections(plane.services, 0);
      await eventually(
        () => stored(record.id),
        ({ end_reason }) => end_reason === 'gateway gone',
      );
      await stopAtOnce();
    });

    test('that a port is taken gives the environment another one, once', async () => {
      const { env_id: id, ssh_port: port } = await plane.create({ name: 'portly' });
      const taken = { type: 'port-taken', environment: id, port, message: 'EADDRINUSE' };
      plane.runtime.heldPorts.add((port ?? 0) + 1);
      await report(taken, taken);
      await report(taken);
      const { ssh_port: other } = (await plane.show(id)) ?? {};
      assert.equal(other, (port ?? 0) + 2);
      const lines = (await plane.timeline(id)).filter((line) => line.startsWith('port:'));
      assert.deepEqual(lines, [
        `port: Port ${port} is its own.`,
        `port: Port ${port} was passed over: another program on this host holds it.`,
        `port: Port ${port} was released.`,
        `port: Port ${(port ?? 0) + 1} was passed over: another program on this host holds it.`,
        `port: Port ${other} is its own.`,
      ]);
      await eventually(
        () => plane.services.directory.environment(id)?.port,
        (now) => now === other,
        1000,
      );
    });

    test('that a port is taken changes nothing where the container itself has it', async () => {
      const direct = plane.with({ exposure: 'direct' });
      const { env_id: id, ssh_port: port } = await plane.create({ name: 'direct' }, direct);
      await report({ type: 'port-taken', environment: id, port, message: 'EADDRINUSE' });
      await report({ type: 'port-taken', environment: 'none-2222', port: 30_000, message: 'EADDRINUSE' });
      assert.equal((await plane.show(id))?.ssh_port, port);
    });

    test('is a list with filters and pages, of the own customer', async () => {
      const at = (minutes: number) => new Date(Date.UTC(2030, 0, 1, 0, minutes)).toISOString();
      const hers = Array.from({ length: 5 }, (_, index) =>
        connectionRecord({
          customer: alice.principal.customerId,
          environment: index < 3 ? 'hers-2222' : 'hers-3333',
          source: `192.0.2.${index}`,
          account: index === 0 ? 'alice' : null,
          method: index === 1 ? 'publickey' : 'password',
          way: index === 2 ? 'jump' : 'own-port',
          fingerprint: index === 1 ? fingerprint : null,
          started_at: at(index),
          ...(index < 2 ? { ended_at: at(index + 1), end_reason: 'client' } : {}),
        }),
      );
      const his = connectionRecord({ customer: bob.principal.customerId, started_at: at(9) });
      await report(...hers, his);
      const newestFirst = hers.map(({ id }) => id).toReversed();
      const pick = (...indices: number[]) => indices.map((index) => hers[index]?.id);
      assert.deepEqual(await listed(alice), newestFirst);
      assert.deepEqual(await listed(bob), [his.id]);
      const chief = await plane.account('chiefs', 'admin');
      assert.deepEqual(await listed(chief), [his.id, ...newestFirst]);
      assert.deepEqual(await listed(chief, `?customer_id=${bob.principal.customerId}`), [his.id]);
      assert.deepEqual(await listed(alice, `?customer_id=${bob.principal.customerId}`), []);
      assert.deepEqual(await listed(alice, '?live=true'), pick(4, 3, 2));
      assert.deepEqual(await listed(alice, '?live=false'), pick(1, 0));
      assert.deepEqual(await listed(alice, '?env_id=hers-3333'), pick(4, 3));
      assert.deepEqual(await listed(alice, '?source=192.0.2.3'), pick(3));
      assert.deepEqual(await listed(alice, '?account=alice'), pick(0));
      assert.deepEqual(await listed(alice, '?method=publickey'), pick(1));
      assert.deepEqual(await listed(alice, `?fingerprint=${encodeURIComponent(fingerprint)}`), pick(1));
      assert.deepEqual(await listed(alice, '?way=jump'), pick(2));
      assert.deepEqual(await listed(alice, `?since=${at(2)}`), pick(4, 3, 2, 1));
      assert.deepEqual(await listed(alice, `?until=${at(2)}`), pick(1, 0));
      const paged: string[] = [];
      let cursor: string | null = null;
      do {
        const query: string = cursor === null ? '?limit=2' : `?limit=2&cursor=${cursor}`;
        const { body } = await ask<ConnectionPage>(alice, `${routes.connections}${query}`);
        assert.ok(body.items.length <= 2);
        paged.push(...body.items.map(({ id }) => id));
        cursor = body.next_cursor;
      } while (cursor !== null);
      assert.deepEqual(paged, newestFirst);
      assert.equal((await ask(alice, `${routes.connections}?cursor=eyJhIjoxfQ`)).status, 400);
      const first = await ask<Connection>(alice, pathOf(routes.connection, { id: hers[1]?.id ?? '' }));
      assert.equal(first.body.fingerprint, fingerprint);
      assert.equal(first.body.ended_at, at(2));
    });

    test('shows numbers that are two seconds old at most', async () => {
      const record = connectionRecord({ customer: alice.principal.customerId });
      await report(record);
      await report({ ...record, bytes_in: 4096, bytes_out: 1, channels: 1, open_channels: 1 });
      const { body } = await ask<Connection>(alice, pathOf(routes.connection, { id: record.id }));
      assert.deepEqual([body.bytes_in, body.bytes_out, body.channels, body.open_channels], [4096, 1, 1, 1]);
    });

    test('can be ended by its customer, which every gateway hears at once and the audit log keeps', async () => {
      const record = connectionRecord({ customer: alice.principal.customerId });
      const straight = connectionRecord({ customer: alice.principal.customerId });
      const over = connectionRecord({
        customer: alice.principal.customerId,
        ended_at: new Date().toISOString(),
        end_reason: 'client',
      });
      await report(record, straight, over);
      await plane.database
        .updateTable('connections')
        .set({ gateway: null })
        .where('id', '=', straight.id)
        .execute();
      const states = [await client.state(), await client.state()];
      for (const state of states) await state.complete();
      const path = pathOf(routes.connection, { id: record.id });
      assert.equal((await ask(bob, path, 'DELETE')).status, 404);
      assert.equal((await ask(alice, path, 'DELETE')).status, 202);
      for (const state of states) {
        const line = await state.next(({ type }) => type === 'end', 2000);
        assert.ok(line.type === 'end');
        assert.deepEqual(line.which, { connection: record.id });
        assert.match(line.sentence, /member-of-alice ended this connection/);
        state.close();
      }
      const rows = await plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'connection.kill')
        .execute();
      assert.deepEqual(
        rows.map(({ target, account }) => [target, account]),
        [[record.id, alice.principal.account]],
      );
      const ended = await ask<Connection>(alice, pathOf(routes.connection, { id: over.id }), 'DELETE');
      assert.deepEqual([ended.status, ended.body.end_reason], [202, 'client']);
      assert.equal((await ask(alice, pathOf(routes.connection, { id: straight.id }), 'DELETE')).status, 409);
    });

    test('is kept for as long as history is', async () => {
      const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 60 * 60 * 1000).toISOString();
      const old = connectionRecord({
        started_at: daysAgo(500),
        ended_at: daysAgo(400),
        end_reason: 'client',
      });
      const young = connectionRecord({
        started_at: daysAgo(500),
        ended_at: daysAgo(300),
        end_reason: 'client',
      });
      const lives = connectionRecord({ started_at: daysAgo(500) });
      const gone = gatewayId();
      await report(old, young, lives, gateway(gone));
      await silenceFor(8 * 24 * 60 * 60, gone);
      await keepHouse(plane.services);
      const rows = await plane.database.selectFrom('connections').select('id').execute();
      assert.deepEqual(rows.map(({ id }) => id).toSorted(), [young.id, lives.id].toSorted());
      assert.deepEqual(await plane.database.selectFrom('gateways').selectAll().execute(), []);
    });
  });
}
