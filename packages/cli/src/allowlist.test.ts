/** `berth allowlist`: what it asks the server for, and whom it warns. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AllowlistCheck, AllowlistEntry } from '@berth/contract';
import { fullServer } from './testing/full-server.ts';
import { berth, runProgram } from './testing/run.ts';
import { json, problem } from './testing/server-double.ts';
import type { ServerDouble } from './testing/server-double.ts';

const shutOut: AllowlistCheck = { address: '192.0.2.10', limited: false, allowed: false, covered_by: [] };

function answerCheck(server: ServerDouble, fields: Partial<AllowlistCheck> = {}): void {
  server.answers.set('GET /api/allowlist-check', json({ ...shutOut, ...fields }));
}

function hold(server: ServerDouble, ...entries: Partial<AllowlistEntry>[]): void {
  const items = entries.map(({ network = '203.0.113.0/24', env_id = null }, index) => ({
    id: index + 1,
    customer_id: 1,
    env_id,
    network,
    note: '',
    created_at: '2026-02-03T04:05:06.000Z',
  }));
  server.answers.set('GET /api/allowlist', json({ items, next_cursor: null }));
}

const bodies = ({ asked }: ServerDouble) =>
  asked.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body) as object);

test('add sends the network in its shortest form, and for whom', async () => {
  await using server = await fullServer();
  const add = (...args: string[]) => berth(['allowlist', 'add', ...args], { server });
  assert.equal((await add('::ffff:203.0.113.7', '--note', 'home')).exitCode, 0);
  assert.equal((await add('2001:DB8::/48', '--environment', 'demo')).exitCode, 0);
  assert.equal((await add('10.0.0.0/8', '--customer', 'main')).exitCode, 0);
  assert.deepEqual(bodies(server), [
    { network: '203.0.113.7/32', note: 'home' },
    { network: '2001:db8::/48', env_id: 'demo-7f3k' },
    { network: '10.0.0.0/8', customer_id: 1 },
  ]);
});

test('the first entry that would shut out whoever adds it is added with --yes only', async () => {
  await using server = await fullServer();
  answerCheck(server);
  const add = (...args: string[]) => berth(['allowlist', 'add', '203.0.113.0/24', ...args], { server });
  const refused = await add('--environment', 'demo');
  assert.equal(refused.exitCode, 2);
  assert.match(
    refused.stderr,
    /was not added: .*demo-7f3k can be reached from 203\.0\.113\.0\/24 only, and not from 192\.0\.2\.10, where you are.* --yes\n$/,
  );
  const checked = server.asked.find(({ path }) => path === '/api/allowlist-check')?.query;
  assert.deepEqual([checked?.get('adding'), checked?.get('env_id')], ['203.0.113.0/24', 'demo-7f3k']);
  assert.deepEqual(bodies(server), []);
  const added = await add('--yes');
  assert.equal(added.exitCode, 0);
  assert.match(added.stdout, /It is the first entry: who is in none does not get in any more/);
});

test('nobody is warned who gets in, was shut out before, or asks on the machine itself', async (t) => {
  const cases: Record<string, Partial<AllowlistCheck>> = {
    'gets in': { allowed: true },
    'was shut out before': { limited: true },
    'on the machine': { address: null, allowed: null },
  };
  for (const [name, fields] of Object.entries(cases)) {
    await t.test(name, async () => {
      await using server = await fullServer();
      answerCheck(server, fields);
      const result = await berth(['allowlist', 'add', '203.0.113.0/24'], { server });
      assert.deepEqual([result.exitCode, result.stderr, bodies(server).length], [0, '', 1]);
    });
  }
});

test('on a terminal the warning is a question', async (t) => {
  if (spawnSync('script', ['--version']).error !== undefined) {
    t.skip('there is no script, which makes a terminal');
    return;
  }
  await using server = await fullServer();
  answerCheck(server);
  const entry = fileURLToPath(new URL('../bin/berth.mjs', import.meta.url));
  const typed = (answer: string) =>
    runProgram(
      'sh',
      [
        '-c',
        `printf '%s\\n' "$1" | script -qec "'${process.execPath}' '${entry}' allowlist add 203.0.113.7" /dev/null`,
        'sh',
        answer,
      ],
      { ...process.env, BERTH_DATA_DIR: server.folder },
    );
  assert.match((await typed('no')).stdout, /where you are\. Type "yes" to go on: [^]*was not added\./);
  assert.deepEqual(bodies(server), []);
  await typed('yes');
  assert.equal(bodies(server).length, 1);
});

test('remove finds an entry by its network in any form, and none where two are meant', async () => {
  await using server = await fullServer();
  server.answers.set('DELETE /api/allowlist/1', (response) => response.writeHead(204).end());
  server.answers.set('DELETE /api/allowlist/2', (response) => response.writeHead(204).end());
  const remove = (...args: string[]) => berth(['allowlist', 'remove', ...args], { server });
  hold(server, { network: '203.0.113.7/32' }, { network: '203.0.113.7/32', env_id: 'demo-7f3k' });
  const both = await remove('203.0.113.7');
  assert.equal(both.exitCode, 6);
  assert.match(both.stderr, /2 times; none was removed\. Name one by its id: 1 \(all\), 2 \(demo-7f3k\)\./);
  assert.equal((await remove('::ffff:203.0.113.7', '--environment', 'demo')).exitCode, 0);
  assert.equal(server.asked.findLast(({ method }) => method === 'DELETE')?.path, '/api/allowlist/2');
  const missing = await remove('192.0.2.0/24');
  assert.equal(missing.exitCode, 4);
  assert.match(
    missing.stderr,
    /192\.0\.2\.0\/24 is not in the allowlist; there are: 203\.0\.113\.7\/32\.\n$/,
  );
  assert.equal((await remove('7')).exitCode, 4);
});

test('what the server refuses is said as it says it', async () => {
  await using server = await fullServer();
  server.answers.set('POST /api/allowlist', problem('allowlist_full', 'The customer has 1000 entries.'));
  const result = await berth(['allowlist', 'add', '::1'], { server });
  assert.equal(result.exitCode, 6);
  assert.match(result.stderr, /^berth: The customer has 1000 entries\. Remove some/);
});
