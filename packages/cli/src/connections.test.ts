/** `berth connections`: what it asks the server for, and how it shows the answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '@berth/contract';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json } from './testing/server-double.ts';

const live: Connection = {
  id: 'connection0000001',
  env_id: 'demo-7f3k',
  customer_id: 1,
  account: 'ada',
  method: 'publickey',
  fingerprint: `SHA256:${'A'.repeat(43)}`,
  key_name: 'laptop',
  way: 'own-port',
  source: '192.0.2.1',
  source_port: 50_000,
  client: 'SSH-2.0-\u001b[31mred',
  started_at: '2026-02-03T04:05:06.000Z',
  ended_at: null,
  end_reason: null,
  bytes_in: 1536,
  bytes_out: 5 * 1024 ** 3,
  channels: 4,
  open_channels: 2,
  gateway: 'gateway0000000001',
};
const over: Connection = {
  ...live,
  id: 'connection0000002',
  account: null,
  key_name: null,
  method: 'password',
  ended_at: '2026-02-03T04:08:26.000Z',
  end_reason: 'client',
};

test('list shows who is there and who was, safe on a terminal', async () => {
  await using server = await fullServer();
  server.answers.set('GET /api/connections', json({ items: [live, over], next_cursor: null }));
  const { exitCode, stdout } = await berth(['connections', 'list'], { server });
  assert.equal(exitCode, 0);
  const [, first = '', second = ''] = stdout.split('\n');
  assert.match(
    first,
    /^connection0000001 +demo-7f3k +ada laptop +192\.0\.2\.1 +own-port .* live +1\.5 KiB +5\.0 GiB +2 of 4 /,
  );
  assert.match(second, /^connection0000002 +demo-7f3k +password .* 3 min 20 s .* 4 /);
  assert.ok(!stdout.includes('\u001b['), 'no word of a client moves the cursor');
  assert.deepEqual(JSON.parse((await berth(['connections', 'list', '--json'], { server })).stdout).items, [
    live,
    over,
  ]);
  const lines = (await berth(['connections', 'list', '-o', 'jsonl'], { server })).stdout.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as Connection).id),
    [live.id, over.id],
  );
});

test('list asks for what the options say', async () => {
  await using server = await fullServer();
  server.answers.set('GET /api/connections', json({ items: [], next_cursor: null }));
  const options = ['--live', '--environment', 'demo', '--source', '192.0.2.1', '--account', 'ada'];
  const more = [
    '--key',
    'SHA256:x',
    '--method',
    'password',
    '--way',
    'jump',
    '--since',
    '2026-02-03',
    '--until',
    '2026-02-04',
  ];
  const { stdout } = await berth(['connections', 'list', ...options, ...more], { server });
  assert.match(stdout, /^Nobody is connected\./);
  const query = server.asked.find(({ path }) => path === '/api/connections')?.query;
  const { limit: _, ...asked } = Object.fromEntries(query ?? []);
  assert.deepEqual(asked, {
    live: 'true',
    env_id: 'demo-7f3k',
    source: '192.0.2.1',
    account: 'ada',
    fingerprint: 'SHA256:x',
    method: 'password',
    way: 'jump',
    since: '2026-02-03T00:00:00.000Z',
    until: '2026-02-04T00:00:00.000Z',
  });
  for (const wrong of [
    ['--way', 'window'],
    ['--since', 'yesterday'],
    ['--live', '--ended'],
  ]) {
    const refused = await berth(['connections', 'list', ...wrong], { server });
    assert.equal(refused.exitCode, 2, wrong.join(' '));
  }
});

test('kill ends one, and says of one that is over how it ended', async () => {
  await using server = await fullServer();
  for (const each of [live, over]) server.answers.set(`DELETE /api/connections/${each.id}`, json(each));
  const killed = await berth(['connections', 'kill', live.id], { server });
  assert.equal(killed.exitCode, 0);
  assert.match(killed.stdout, /connection0000001 from 192\.0\.2\.1 to demo-7f3k is being ended/);
  assert.match(
    (await berth(['connections', 'kill', over.id], { server })).stdout,
    /was over already: client/,
  );
});
