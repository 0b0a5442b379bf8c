/** `berth health`: how the server's own findings are shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthResult, PlatformHealth } from '@berth/contract';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json } from './testing/server-double.ts';

const found = (result: HealthResult): PlatformHealth => ({
  at: '2026-02-03T04:05:06.000Z',
  result,
  checks: [
    { name: 'database', result: 'ok', detail: 'PGlite answers in 1 ms.', cure: null, facts: {} },
    {
      name: 'data_disk',
      result,
      detail: '0.5 GiB are free at /data.',
      cure: result === 'ok' ? null : 'Make room.',
      facts: { free_bytes: 1 },
    },
  ],
  gateways: [],
  versions: { berth: '0.1.0', node: '26.10.0', database: 'PGlite' },
});

test('shows each part with what helps, and fails where one does', async () => {
  await using server = await fullServer();
  for (const [result, exitCode] of [
    ['ok', 0],
    ['warning', 0],
    ['failed', 1],
  ] as const) {
    server.answers.set('GET /api/platform/health', json(found(result)));
    const shown = await berth(['health'], { server });
    assert.equal(shown.exitCode, exitCode, result);
    assert.match(shown.stdout, /^database +ok +PGlite answers/m);
    assert.match(shown.stdout, new RegExp(`^data disk +${result} +0\\.5 GiB`, 'm'));
    assert.equal(/To mend it:\n {2}data disk {2}Make room\./.test(shown.stdout), result !== 'ok');
  }
  const document = await berth(['health', '--json'], { server });
  assert.deepEqual(JSON.parse(document.stdout), found('failed'));
});
