import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from '../client.ts';
import { Progress } from '../progress.ts';
import { makeEnvironment, makeEvent, json, sendEvent, ServerDouble } from '../testing/server-double.ts';
import { ensureDemo } from './demo.ts';

const silent = () => new Progress({ write: () => true });
const { signal } = new AbortController();

function made(server: ServerDouble): string[] {
  return server.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);
}

test('the first start makes the demo and waits until it runs', async () => {
  await using server = await ServerDouble.start();
  server.hold();
  const creating = makeEnvironment('demo', 'creating');
  server.answers.set('POST /api/environments', (response, asked) => {
    server.hold(creating);
    json({ ...creating, ssh_password: 'x' })(response, asked);
  });
  server.answers.set('GET /api/environments/demo-7f3k/events', (response) => {
    server.hold(makeEnvironment('demo', 'running'));
    sendEvent(response, makeEvent(1, 'It runs.', { kind: 'status', status: 'running' }));
  });
  const options = { dataDir: server.folder, progress: silent(), signal };
  const demo = await ensureDemo(Client.onThisMachine(server.folder), options);
  assert.equal(demo?.status, 'running');
  assert.deepEqual(made(server), ['{"name":"demo"}']);
});

test('a later start shows it but makes none, even when it was deleted', async () => {
  await using server = await ServerDouble.start();
  const options = { dataDir: server.folder, progress: silent(), signal };
  const client = Client.onThisMachine(server.folder);
  server.hold(makeEnvironment('demo', 'stopped'));
  assert.equal((await ensureDemo(client, options))?.status, 'stopped');
  assert.ok(existsSync(join(server.folder, 'demo-made')));
  server.hold();
  assert.equal(await ensureDemo(client, options), undefined);
  assert.deepEqual(made(server), []);
});

test('a Berth that has other environments gets no demo', async () => {
  await using server = await ServerDouble.start();
  server.hold(makeEnvironment('mine', 'running'));
  const options = { dataDir: server.folder, progress: silent(), signal };
  assert.equal(await ensureDemo(Client.onThisMachine(server.folder), options), undefined);
  server.hold();
  assert.equal(await ensureDemo(Client.onThisMachine(server.folder), options), undefined);
  assert.deepEqual(made(server), []);
});
