/** `berth stats`: what it asks the server for, and how it shows the answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunningUsage, Usage } from '@berth/contract';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json } from './testing/server-double.ts';

const limits: Usage['limits'] = { cpu_cores: 2, memory_bytes: 4 * 1024 ** 3, gpus: 0, disk_bytes: null };
const live: NonNullable<Usage['live']> = {
  at: '2026-02-03T04:05:06.000Z',
  cpu_cores: 0.5,
  cpu_share: 0.25,
  memory_bytes: 1024 ** 3,
  memory_share: 0.25,
  gpu_share: null,
  gpu_memory_bytes: null,
  disk_bytes: 5 * 1024 ** 2,
  network_in_bytes: 2048,
  network_out_bytes: 0,
};
const usage: Usage = {
  env_id: 'demo-7f3k',
  limits,
  live,
  range: 'hour',
  step_seconds: 10,
  series: {
    at: [1_770_091_500, 1_770_091_510, 1_770_091_520],
    cpu_cores: [0, null, 2],
    memory_bytes: [1024 ** 3, null, 1024 ** 3],
    gpu_share: null,
    gpu_memory_bytes: null,
    disk_bytes: [1, null, 1],
    network_in_bytes: [0, null, 2048],
    network_out_bytes: [0, null, 0],
  },
};

test('shows all that run, with what is not to be told left out', async () => {
  await using server = await fullServer();
  const running: RunningUsage = { env_id: 'demo-7f3k', name: 'demo', customer_id: 1, limits, live };
  const begun: RunningUsage = { ...running, env_id: 'new-2222', name: 'new', live: null };
  server.answers.set('GET /api/usage', json({ items: [running, begun], next_cursor: null }));
  const { exitCode, stdout } = await berth(['stats'], { server });
  assert.equal(exitCode, 0);
  const [, first = '', second = ''] = stdout.split('\n');
  assert.match(
    first,
    /^demo +demo-7f3k +25 % +0\.50 of 2 cores +25 % +1\.0 GiB of 4\.0 GiB +- +5\.0 MiB +2\.0 KiB\/s +0 B\/s$/,
  );
  assert.match(second, /^new +new-2222( +-){8}$/);
  const { stdout: document } = await berth(['stats', '--json'], { server });
  assert.deepEqual((JSON.parse(document) as { items: unknown }).items, [running, begun]);
  server.answers.set('GET /api/usage', json({ items: [], next_cursor: null }));
  assert.equal((await berth(['stats'], { server })).stdout, 'No environment runs.\n');
});

test('shows one with its curves, whose gaps are gaps', async () => {
  await using server = await fullServer();
  server.answers.set('GET /api/environments/demo-7f3k/usage', json(usage));
  const { exitCode, stdout } = await berth(['stats', 'demo'], { server });
  assert.equal(exitCode, 0);
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'demo is running. Over the last hour:',
    '',
    '  cpu     ▁ █  25 %, 0.50 of 2 cores',
    '  memory  ▂ ▂  25 %, 1.0 GiB of 4.0 GiB',
    '  disk    █ █  5.0 MiB',
    '  in      ▁ █  2.0 KiB/s',
    '  out     ▁ ▁  0 B/s',
  ]);
  assert.deepEqual(JSON.parse((await berth(['stats', 'demo', '--json'], { server })).stdout), usage);
  await berth(['stats', 'demo', '--range', 'day'], { server });
  const queries = server.asked
    .filter(({ path }) => path.endsWith('/usage') && path !== '/api/usage')
    .map(({ query }) => query.get('range'));
  assert.deepEqual(queries, [null, null, 'day']);
  assert.equal((await berth(['stats', 'demo', '--range', 'year'], { server })).exitCode, 2);
});

test('says so where one has not been measured', async () => {
  await using server = await fullServer();
  const nothing = { at: [], cpu_cores: [], memory_bytes: [] };
  server.answers.set(
    'GET /api/environments/demo-7f3k/usage',
    json({ ...usage, live: null, series: { ...usage.series, ...nothing } }),
  );
  assert.match(
    (await berth(['stats', 'demo'], { server })).stdout,
    /Over the last hour: nothing was measured\.$/m,
  );
});
