import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import type { EnvironmentEvent } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { deleteEnvironment } from '../environments/environments.ts';
import { addEvents } from '../events/events.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

/** A client of one stream: what came so far, as a browser's EventSource would take it. */
class Client {
  readonly events: { id: string | null; type: string; data: string }[] = [];
  response: IncomingMessage | null = null;
  ended = false;
  #text = '';

  constructor(port: number, path: string, token: string, headers: Record<string, string> = {}) {
    const request = get(
      {
        port,
        host: '127.0.0.1',
        path,
        headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, ...headers },
      },
      (response) => {
        this.response = response;
        response.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
        response.once('close', () => (this.ended = true));
      },
    );
    request.on('error', () => (this.ended = true));
  }

  get messages(): string[] {
    return this.events
      .filter(({ type }) => type === 'message')
      .map(({ data }) => (JSON.parse(data) as EnvironmentEvent).message);
  }

  leave(): void {
    this.response?.destroy();
  }

  #take(chunk: string): void {
    this.#text += chunk;
    const blocks = this.#text.split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = { id: null as string | null, type: 'message', data: '' };
      for (const line of block.split('\n')) {
        if (line.startsWith('id: ')) event.id = line.slice(4);
        if (line.startsWith('event: ')) event.type = line.slice(7);
        if (line.startsWith('data: ')) event.data += line.slice(6);
      }
      if (event.data !== '') this.events.push(event);
    }
  }
}

for (const on of databases) {
  describe(`the timeline as a stream on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let alice: Account;
    let port: number;
    let stopping: AbortController;
    const clients: Client[] = [];
    before(async () => {
      plane = await ControlPlane.open(on);
      stopping = new AbortController();
      app = await makeApp({ ...plane.services, stopping: stopping.signal });
      await app.listen({ host: '127.0.0.1', port: 0 });
      port = (app.server.address() as AddressInfo).port;
      alice = await plane.account('alice');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.leave();
      await plane.clear();
    });

    const create = async () => (await plane.create({ name: 'demo' }, plane.services, alice.principal)).env_id;
    const follow = (id: string, headers: Record<string, string> = {}, query = ''): Client => {
      const path = `${pathOf(routes.environmentEvents, { id })}${query}`;
      const client = new Client(port, path, alice.token, headers);
      clients.push(client);
      return client;
    };
    const has = (client: Client, count: number) =>
      eventually(
        () => client.messages,
        (messages) => messages.length >= count,
        5000,
        10,
      );
    const say = (id: string, ...messages: string[]) =>
      addEvents(
        plane.database,
        id,
        messages.map((message) => ({ kind: 'note' as const, message })),
      );

    test('has the past first and then each line as it comes', async () => {
      const id = await create();
      const client = follow(id);
      assert.deepEqual(await has(client, 2), ['member-of-alice asked for it.', 'Port 30000 is its own.']);
      await say(id, 'one');
      await say(id, 'two', 'three');
      assert.deepEqual((await has(client, 5)).slice(2), ['one', 'two', 'three']);
      const numbers = client.events.map((event) => Number(event.id));
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(numbers).size, 5);
    });

    test('comes with the right type, uncached, and with the security headers', async () => {
      const client = follow(await create());
      await has(client, 2);
      const { statusCode, headers } = client.response ?? assert.fail();
      assert.equal(statusCode, 200);
      assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    });

    test('goes on after the line that the client saw last', async () => {
      const id = await create();
      const first = follow(id);
      await has(first, 2);
      first.leave();
      await say(id, 'while nobody listened');
      const lastSeen = first.events.at(-1)?.id ?? '';
      assert.deepEqual(await has(follow(id, { 'last-event-id': lastSeen }), 1), ['while nobody listened']);
      assert.deepEqual(await has(follow(id, {}, `?after=${lastSeen}`), 1), ['while nobody listened']);
    });

    test('begins at the beginning when the client says nonsense', async () => {
      const id = await create();
      for (const lastSeen of ['abc', '-1', '1.5', '99999999999999999999', '0'])
        assert.equal((await has(follow(id, { 'last-event-id': lastSeen }), 2)).length, 2, lastSeen);
    });

    test('has a line of text in it as one line, whatever is in it', async () => {
      const id = await create();
      const client = follow(id);
      await has(client, 2);
      await say(id, 'a\n\ndata: b\r\nid: 7\u2028🚀');
      assert.equal((await has(client, 3))[2], 'a\n\ndata: b\r\nid: 7\u2028🚀');
      assert.notEqual(client.events[2]?.id, '7');
    });

    test('has all of a long past', async () => {
      const id = await create();
      await say(id, ...Array.from({ length: 1200 }, (_, index) => `line ${index}`));
      const client = follow(id);
      const messages = await has(client, 1202);
      assert.equal(messages.length, 1202);
      assert.equal(messages.at(-1), 'line 1199');
    });

    test('serves many at once', async () => {
      const id = await create();
      const many = Array.from({ length: 20 }, () => follow(id));
      for (const client of many) await has(client, 2);
      await say(id, 'to all');
      for (const client of many) assert.equal((await has(client, 3))[2], 'to all');
    });

    test('has the lines of its own environment only', async () => {
      const id = await create();
      const other = await plane.create({ name: 'other' }, plane.services, alice.principal);
      const client = follow(id);
      await has(client, 2);
      await say(other.env_id, 'elsewhere');
      await say(id, 'here');
      assert.equal((await has(client, 3))[2], 'here');
    });

    test('ends with the word "gone" after the last line when the environment is deleted', async () => {
      await plane.startReconciler();
      // Notices that come all the while have the streams read at the moment of the deletion.
      for (let round = 0; round < 5; round += 1) {
        const id = await create();
        await plane.until(id, 'running');
        const many = Array.from({ length: 10 }, () => follow(id));
        for (const client of many) await has(client, 2);
        await deleteEnvironment(plane.services, { principal: alice.principal, source: null }, id);
        await eventually(
          () => {
            plane.services.notices.receive(JSON.stringify({ id }));
            return many.every((client) => client.ended);
          },
          (ended) => ended,
          10_000,
          5,
        );
        for (const client of many) {
          assert.equal(client.events.at(-1)?.type, 'gone');
          assert.match(client.messages.at(-1) ?? '', /^Deleted after/);
        }
      }
    });

    test('of no environment, or of another customer, is a problem and no stream', async () => {
      const { env_id: others } = await plane.create({ name: 'others' });
      for (const id of [others, 'none-2222']) {
        const client = follow(id);
        await eventually(
          () => client.response,
          (response) => response !== null,
        );
        assert.equal(client.response?.statusCode, 404);
        assert.match(String(client.response?.headers['content-type']), /problem\+json/);
      }
    });

    test('does not grow what it listens to on one connection, nor does a log', async () => {
      const id = await create();
      const warnings: Error[] = [];
      const warned = (warning: Error) => warnings.push(warning);
      process.on('warning', warned);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let count = 0; count < 15; count += 1) {
        await new Promise((resolve, reject) => {
          get(
            {
              agent,
              port,
              host: '127.0.0.1',
              path: pathOf(routes.environmentLogs, { id }),
              headers: { authorization: `Bearer ${alice.token}` },
            },
            (response) => response.resume().once('end', resolve),
          ).once('error', reject);
        });
      }
      agent.destroy();
      process.off('warning', warned);
      assert.deepEqual(
        warnings.map(({ name }) => name),
        [],
      );
    });

    // The last one: it ends the application.
    test('ends when the server does', async () => {
      const id = await create();
      const client = follow(id);
      await has(client, 2);
      stopping.abort();
      await say(id, 'too late');
      const began = Date.now();
      await app.close();
      assert.ok(Date.now() - began < 3000, 'it does not wait for the clients');
      await eventually(
        () => client.ended,
        (ended) => ended,
      );
    });
  });
}

const postgres = databases.find(({ name }) => name === 'PostgreSQL');

test(
  'a line that one server writes is seen at another',
  { skip: postgres?.skip ?? 'no PostgreSQL' },
  async () => {
    assert.ok(postgres);
    const one = await ControlPlane.open(postgres);
    const two = await ControlPlane.open(postgres, {}, one);
    const app = await makeApp(two.services);
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { token, principal } = await one.account('alice');
    const { env_id: id } = await one.create({ name: 'demo' }, one.services, principal);
    const { port } = app.server.address() as AddressInfo;
    const client = new Client(port, pathOf(routes.environmentEvents, { id }), token);
    await eventually(
      () => client.messages.length,
      (count) => count === 2,
    );
    await addEvents(one.database, id, [{ kind: 'note', message: 'from the other server' }]);
    await eventually(
      () => client.messages.at(-1),
      (message) => message === 'from the other server',
      2000,
      10,
    );
    client.leave();
    await app.close();
    await two.close();
    await one.close();
  },
);
