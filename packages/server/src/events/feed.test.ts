import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Environment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { sql } from 'kysely';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { deleteEnvironment, updateEnvironment } from '../environments/environments.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { EventClient } from '../testing/event-client.ts';
import { hashOf } from '../tokens/tokens.ts';
import { addEvents } from './events.ts';

for (const on of databases) {
  describe(`changes of environments as a stream on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let port: number;
    let alice: Account;
    let bob: Account;
    let chief: Account;
    let stopping: AbortController;
    const clients: EventClient[] = [];
    before(async () => {
      plane = await ControlPlane.open(on);
      stopping = new AbortController();
      app = await makeApp({ ...plane.services, stopping: stopping.signal });
      await app.listen({ host: '127.0.0.1', port: 0 });
      port = (app.server.address() as AddressInfo).port;
      alice = await plane.account('alice');
      bob = await plane.account('bob');
      chief = await plane.account('operators', 'admin');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.leave();
      await plane.clear();
    });

    const create = async (name: string, account = alice) =>
      (await plane.create({ name }, plane.services, account.principal)).env_id;
    const rename = (id: string, name: string) => updateEnvironment(plane.services, plane.asker, id, { name });
    /** Until this server knows of it. */
    const heard = async (id: string, act: () => Promise<unknown>) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const ignore = plane.services.notices.onEnvironment(id, () => resolve());
      await act();
      await promise;
      ignore();
    };
    const connect = (account: Account, lastId?: string): EventClient => {
      const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
      const client = new EventClient(port, routes.events, account.token, headers);
      clients.push(client);
      return client;
    };
    /** Once it has been told to load all. */
    const watch = async (account: Account): Promise<EventClient> => {
      const client = connect(account);
      await until(client, () => client.events.length > 0);
      return client;
    };
    const until = (client: EventClient, holds: () => boolean, withinMs = 5000) =>
      eventually(
        () => holds() || client.ended,
        (done) => done,
        withinMs,
        10,
      );
    /** `name status` or `- id`, in order. */
    const told = (client: EventClient) =>
      client.events.map(({ type, data }) => {
        if (type === 'reload') return 'reload';
        const { env_id, name, status } = JSON.parse(data) as Environment;
        return type === 'gone' ? `gone ${env_id}` : `${name} ${status}`;
      });
    const has = (client: EventClient, line: string) => until(client, () => told(client).includes(line));
    const leave = async (client: EventClient) => {
      client.leave();
      await until(client, () => client.ended);
    };

    test('has each change as the environment is then, from its making to its deletion', async () => {
      await plane.startReconciler();
      const client = await watch(alice);
      assert.deepEqual(told(client), ['reload'], 'first the client loads what there is');
      const id = await create('demo');
      await has(client, 'demo running');
      assert.ok(told(client).includes('demo creating'));
      const { type, data } = client.events.at(-1) ?? assert.fail();
      assert.equal(type, 'environment');
      const path = pathOf(routes.environment, { id });
      const shown = await app.inject({ url: path, headers: { authorization: `Bearer ${alice.token}` } });
      assert.deepEqual(JSON.parse(data), shown.json());
      await rename(id, 'renamed');
      await has(client, 'renamed running');
      await deleteEnvironment(plane.services, plane.asker, id);
      await has(client, `gone ${id}`);
      const ids = client.events.map((event) => Number(event.id?.split('-')[1]));
      assert.ok(
        ids.every((number, index) => index < 2 || number > (ids[index - 1] ?? 0)),
        ids.join(),
      );
    });

    test("never has another customer's, and an administrator's has everybody's", async () => {
      const [hers, his, theirs] = [await watch(alice), await watch(bob), await watch(chief)];
      const ofAlice = await create('of alice');
      await create('of bob', bob);
      await rename(ofAlice, 'of alice still');
      for (const client of [hers, his, theirs]) await until(client, () => client.events.length > 1);
      await has(hers, 'of alice still creating');
      await has(his, 'of bob creating');
      await has(theirs, 'of alice still creating');
      await plane.startReconciler();
      await deleteEnvironment(plane.services, plane.asker, ofAlice);
      await has(hers, `gone ${ofAlice}`);
      await has(theirs, `gone ${ofAlice}`);
      await has(his, 'of bob running');
      assert.ok(told(hers).every((line) => !line.startsWith('of bob')));
      assert.ok(told(his).every((line) => line === 'reload' || line.startsWith('of bob')));
      assert.ok(told(theirs).some((line) => line.startsWith('of bob')));
    });

    test('goes on where the client was, with what changed meanwhile as it is now', async () => {
      const changed = await create('one');
      const gone = await create('two');
      const same = await create('three');
      const first = await watch(alice);
      const other = await watch(bob);
      await rename(same, 'seen');
      await has(first, 'seen creating');
      await leave(first);
      await rename(changed, 'once');
      await rename(changed, 'twice');
      await create('of bob', bob);
      await plane.database
        .updateTable('environments')
        .set({ status: 'deleted' })
        .where('id', '=', gone)
        .execute();
      await addEvents(plane.database, gone, [{ kind: 'note', message: 'It is gone.' }]);
      await has(other, 'of bob creating');
      // Nobody is there to be told, and it is remembered all the same.
      await leave(other);
      await heard(changed, () => rename(changed, 'thrice'));
      const again = connect(alice, first.lastId);
      await until(again, () => again.events.length >= 2);
      assert.deepEqual(told(again).toSorted(), [`gone ${gone}`, 'thrice creating']);
      await leave(again);
      const nothing = connect(alice, again.lastId);
      await create('four');
      await has(nothing, 'four creating');
      assert.deepEqual(told(nothing), ['four creating']);
    });

    test('tells a client that missed too much, or comes from elsewhere, to load all anew', async () => {
      const first = await watch(alice);
      const id = await create('busy');
      await has(first, 'busy creating');
      const remembered = first.lastId;
      await leave(first);
      const [name = '', number = ''] = remembered.split('-');
      for (const strange of [
        '',
        '7',
        'another-1',
        `${name}-`,
        `${name}-x`,
        `${name}-${Number(number) + 1}`,
      ]) {
        const client = connect(alice, strange);
        await until(client, () => client.events.length > 0);
        assert.deepEqual(told(client), ['reload'], strange);
        await leave(client);
      }
      for (let change = 0; change < 1001; change += 1) plane.services.notices.receive(JSON.stringify({ id }));
      const late = connect(alice, remembered);
      await until(late, () => late.events.length > 0);
      assert.deepEqual(told(late), ['reload']);
    });

    test('says so when the server itself may have missed something', async () => {
      const id = await create('demo');
      const client = await watch(alice);
      const before = client.lastId;
      plane.services.notices.receiveGap();
      await until(client, () => told(client).filter((line) => line === 'reload').length === 2);
      const late = connect(alice, before);
      await until(late, () => late.events.length > 0);
      assert.deepEqual(told(late), ['reload']);
      await rename(id, 'renamed');
      await has(client, 'renamed creating');
    });

    test('tells everybody to load all anew when the runtime is lost, and when it is back', async () => {
      await plane.startReconciler();
      const id = await create('demo');
      await plane.until(id, 'running');
      const client = await watch(alice);
      const reloads = () => told(client).filter((line) => line === 'reload').length;
      const lostSince = async () => (await plane.show(id))?.lost_contact_since ?? null;
      assert.equal(await lostSince(), null);
      const before = Date.now();
      plane.runtime.leave();
      await until(client, () => reloads() === 2);
      assert.ok(Date.parse((await lostSince()) ?? '') >= before);
      const stopped = await create('at rest');
      await plane.database
        .updateTable('environments')
        .set({ status: 'stopped', wanted: 'stopped', due_at: null })
        .where('id', '=', stopped)
        .execute();
      assert.equal((await plane.show(stopped))?.lost_contact_since, null, 'nothing of it runs anyway');
      plane.runtime.comeBack();
      await until(client, () => reloads() === 3);
      assert.equal(await lostSince(), null);
    });

    test('reads a change once, however many watch', async () => {
      const id = await create('demo');
      const many = await Promise.all(Array.from({ length: 50 }, () => watch(alice)));
      const before = plane.services.queriesRun();
      for (let change = 0; change < 100; change += 1) plane.services.notices.receive(JSON.stringify({ id }));
      for (const client of many) await has(client, 'demo creating');
      const queries = plane.services.queriesRun() - before;
      assert.ok(queries <= 5, `${queries} queries`);
    });

    test('lets a client go that does not read, and the others go on', async () => {
      const client = connect(alice);
      await until(client, () => client.response !== null);
      client.response?.pause();
      const attentive = await watch(alice);
      const { customerId } = alice.principal;
      await sql`
        insert into environments (id, customer_id, name, image, cpu, memory, gpu, storage, exposure, own_port, sudo,
          username, wanted, status, storage_id)
        select 'many-' || n, ${customerId}, 'Many ' || n, 'default', 2, 4, 0, 20, 'gateway', 'no', true,
          'developer', 'stopped', 'stopped', 'many-' || n
        from generate_series(1, 400) n`.execute(plane.database);
      const deadline = Date.now() + 30_000;
      while (!client.ended) {
        assert.ok(Date.now() < deadline, 'the client is still there');
        const before = attentive.events.length;
        for (let n = 1; n <= 400; n += 1) plane.services.notices.receive(JSON.stringify({ id: `many-${n}` }));
        await until(attentive, () => attentive.events.length >= before + 400);
        // A stream that is paused hears of its end when it reads again.
        if ((await openStreams()) === 1) client.response?.resume();
      }
      assert.ok(!attentive.ended);
    });
    const openStreams = () =>
      new Promise<number>((resolve, reject) =>
        app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );

    for (const [how, end] of [
      ['its session is ended', (token: Buffer) => sql`delete from tokens where hash = ${token}`],
      [
        'its token expires',
        (token: Buffer) => sql`update tokens set expires_at = now() where hash = ${token}`,
      ],
      [
        'its account gets another role',
        (token: Buffer) =>
          sql`update accounts set role = 'admin' where id = (select account_id from tokens where hash = ${token})`,
      ],
    ] as const) {
      test(`ends within seconds when ${how}, and that of nobody else`, async () => {
        const leaver = await plane.account(`leaver-${how.split(' ')[1]}`);
        const stays = await watch(alice);
        const path = pathOf(routes.environmentEvents, { id: await create('hers', leaver) });
        const streams = [await watch(leaver), new EventClient(port, path, leaver.token)];
        clients.push(...streams);
        for (const client of streams) await until(client, () => client.events.length > 0);
        const hash = hashOf(leaver.token);
        await end(hash ?? assert.fail()).execute(plane.database);
        for (const client of streams)
          await eventually(
            () => client.ended,
            (ended) => ended,
            5000,
          );
        assert.ok(!stays.ended);
      });
    }

    // The last one: it ends the application.
    test('ends when the server does', async () => {
      const client = await watch(alice);
      stopping.abort();
      await until(client, () => client.ended);
      assert.ok(client.ended);
    });
  });
}

const postgres = databases.find(({ name }) => name === 'PostgreSQL');

test(
  'a change that one server makes is seen at another',
  { skip: postgres?.skip ?? 'no PostgreSQL' },
  async () => {
    assert.ok(postgres);
    const one = await ControlPlane.open(postgres);
    const two = await ControlPlane.open(postgres, {}, one);
    const app = await makeApp(two.services);
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { token, principal } = await one.account('alice');
    const { port } = app.server.address() as AddressInfo;
    const client = new EventClient(port, routes.events, token);
    await eventually(
      () => client.events.length,
      (count) => count === 1,
    );
    const { env_id: id } = await one.create({ name: 'demo' }, one.services, principal);
    await eventually(
      () => client.events.at(-1)?.data ?? '',
      (data) => data.includes(id),
      2000,
      10,
    );
    client.leave();
    await app.close();
    await two.close();
    await one.close();
  },
);
