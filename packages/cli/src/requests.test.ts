/** What the command asks of the server: bodies in the units of the API, and again when a connection breaks. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { demo, fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { ServerDouble, json, makeEnvironment, problem } from './testing/server-double.ts';

test('options become the fields of the API', async (t) => {
  const environment = '/api/environments/demo-7f3k';
  const cases: [args: string, asked: string, body: unknown][] = [
    [
      'create new --dataset faces --dataset maps --env A=1 --env B=x=y --customer main --adopt-storage old-1234',
      'POST /api/environments',
      {
        name: 'new',
        datasets: ['faces', 'maps'],
        env_vars: { A: '1', B: 'x=y' },
        customer_id: 1,
        adopt_storage: 'old-1234',
      },
    ],
    [
      'set demo --name other --cpu 500m --memory 512M --env A= --unset-env B --no-dataset --no-sudo',
      `PATCH ${environment}`,
      {
        name: 'other',
        resources: { cpu: 0.5, memory: 0.5 },
        env_vars: { A: '', B: null },
        datasets: [],
        sudo: false,
      },
    ],
    ['start demo --gpu 0', `POST ${environment}/start`, { resources: { gpu: 0 } }],
    [
      'accounts add bob --role admin --no-password',
      'POST /api/accounts',
      { name: 'bob', role: 'admin', password: null },
    ],
    ['accounts add bob --password', 'POST /api/accounts', { name: 'bob', password: 'from stdin' }],
    ['accounts password alice', 'PATCH /api/accounts/2', { password: 'from stdin' }],
    [
      'tokens add ci --scope read write --expires 30 --account alice',
      'POST /api/tokens',
      { name: 'ci', scopes: ['read', 'write'], expires_in_days: 30, account_id: 2 },
    ],
    ['tokens add ci --expires never', 'POST /api/tokens', { name: 'ci', expires_in_days: null }],
    [
      'quotas set main --environments 5 --memory 1T --gpu none',
      'PUT /api/quotas/1',
      { environments: 5, memory: 1024, gpu: null },
    ],
    [
      'images add mine example.com/mine:1 --description Mine --cpu 4 --customer main',
      'POST /api/images',
      {
        name: 'mine',
        reference: 'example.com/mine:1',
        description: 'Mine',
        default_resources: { cpu: 4 },
        customers: [1],
      },
    ],
    ['images set default --all-customers', 'PATCH /api/images/default', { customers: null }],
    [
      'datasets add v vol --writable',
      'POST /api/datasets',
      { name: 'v', kind: 'volume', source: 'vol', read_only: false },
    ],
    ['datasets set faces --read-only', 'PATCH /api/datasets/faces', { read_only: true }],
  ];
  await using server = await fullServer();
  for (const [args, asked, body] of cases) {
    await t.test(args, async () => {
      const result = await berth(args.split(' '), { server, stdin: 'from stdin\n' });
      assert.equal(result.exitCode, 0, result.stderr);
      const request = server.asked.findLast(({ method, path }) => `${method} ${path}` === asked);
      assert.deepEqual(JSON.parse(request?.body ?? 'null'), body);
      assert.match(String(request?.headers['idempotency-key']), /^[0-9a-f-]{36}$/);
    });
  }
});

test('filters reach the server', async (t) => {
  const cases: [string, string, Record<string, string>][] = [
    [
      'list --search d --sort -name --image big --customer main',
      'environments',
      { search: 'd', sort: '-name', image: 'big', customer_id: '1' },
    ],
    [
      'ports list --port 30001 --status active --environment demo',
      'ports',
      { port: '30001', status: 'active', env_id: 'demo-7f3k' },
    ],
    ['ports list --environment gone-1234', 'ports', { env_id: 'gone-1234' }],
    ['accounts list --role admin --search a', 'accounts', { role: 'admin', search: 'a' }],
    ['tokens list --account alice --kind login', 'tokens', { account_id: '2', kind: 'login' }],
    [
      'audit list --since 2026-02-03 --action login --outcome refused',
      'audit',
      { since: '2026-02-03T00:00:00.000Z', action: 'login', outcome: 'refused' },
    ],
    [
      'audit list --action ssh.login --target demo-7f3k --source 192.0.2.7 --account alice',
      'audit',
      { action: 'ssh.login', target: 'demo-7f3k', source: '192.0.2.7', account: 'alice' },
    ],
    ['delete demo --yes --keep-storage', 'environments/demo-7f3k', { keep_storage: 'true' }],
  ];
  await using server = await fullServer();
  for (const [args, path, expected] of cases) {
    await t.test(args, async () => {
      const result = await berth(args.split(' '), { server });
      assert.equal(result.exitCode, 0, result.stderr);
      const asked = server.asked.findLast((each) => each.path === `/api/${path}`);
      const { limit: _, ...query } = Object.fromEntries(asked?.query ?? []);
      assert.deepEqual(query, expected);
    });
  }
});

test('variables come from a file and from options, which win; no value is repeated in a failure', async () => {
  await using server = await fullServer();
  const file = join(server.folder, 'variables');
  writeFileSync(file, '# comment\nA=from file\r\n\nB="as it stands"\n');
  const result = await berth(['create', 'new', '--env-from', file, '--env', 'A=option'], { server });
  assert.equal(result.exitCode, 0, result.stderr);
  const { env_vars } = JSON.parse(server.asked.at(-1)?.body ?? '') as { env_vars: object };
  assert.deepEqual(env_vars, { A: 'option', B: '"as it stands"' });
  writeFileSync(file, 'A=1\nexport B=topsecret\n');
  const wrong = await berth(['create', 'new', '--env-from', file], { server });
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /variables line 2 is no variable \(its name is "export B"\)/);
  assert.doesNotMatch(wrong.stderr, /topsecret/);
});

test('a request whose connection breaks is sent again with the same key, until the first one is answered', async () => {
  await using server = await fullServer();
  const keys: unknown[] = [];
  server.answers.set('POST /api/environments', (response, asked) => {
    keys.push(asked.headers['idempotency-key']);
    if (keys.length === 1) response.destroy();
    else if (keys.length === 2) problem('request_underway', 'It is being answered.')(response, asked);
    else json({ ...makeEnvironment('new', 'creating'), ssh_password: 'Secret-Enough-1' })(response, asked);
  });
  const result = await berth(['create', 'new'], { server });
  assert.equal(result.exitCode, 0, result.stderr);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  server.answers.set('POST /api/environments', (response) => response.destroy());
  const before = server.asked.length;
  assert.equal((await berth(['create', 'new'], { server })).exitCode, 3);
  assert.equal(server.asked.length, before + 2);
});

test('--limit asks for no more than that, over as many pages as it takes', async () => {
  await using server = await ServerDouble.start();
  server.answers.set('GET /api/environments', (response, asked) => {
    const first = Number(asked.query.get('cursor') ?? 0);
    const count = Math.min(Number(asked.query.get('limit')), 2);
    const items = Array.from({ length: count }, (_, index) =>
      makeEnvironment(`e${first + index}`, 'running'),
    );
    json({ items, next_cursor: String(first + count) })(response, asked);
  });
  const result = await berth(['list', '--limit', '5', '-o', 'json'], { server });
  const { items, next_cursor } = JSON.parse(result.stdout) as {
    items: { name: string }[];
    next_cursor: string;
  };
  assert.deepEqual([items.map(({ name }) => name), next_cursor], [['e0', 'e1', 'e2', 'e3', 'e4'], '5']);
  assert.deepEqual(
    server.asked.map(({ query }) => query.get('limit')),
    ['5', '3', '1'],
  );
  const names = await berth(['list', '--limit', '2', '-o', 'name'], { server });
  assert.equal(names.stdout, 'e0-7f3k\ne1-7f3k\n');
});

test('each format is what it says, and colours are for terminals that have them', async () => {
  await using server = await fullServer();
  server.hold({ ...demo, name: 'no' });
  const yaml = await berth(['-o', 'yaml', 'list'], { server });
  assert.match(yaml.stdout, /^items:\n {2}- env_id: demo-7f3k\n {4}name: "no"\n/);
  const failed = await berth(['show', 'none', '-o', 'yaml'], { server });
  assert.match(failed.stdout, /^error:\n {2}code: not_found\n/);
  const lines = await berth(['audit', 'list', '-o', 'jsonl'], { server });
  assert.equal((JSON.parse(lines.stdout) as { action: string }).action, 'customer.create');
  const coloured = await berth(['list'], { server, environment: { FORCE_COLOR: '1' } });
  assert.ok(coloured.stdout.includes('\x1b[32mrunning\x1b[39m'));
  for (const environment of [{ FORCE_COLOR: undefined }, { NO_COLOR: '1' }]) {
    assert.ok(!(await berth(['list'], { server, environment })).stdout.includes('\x1b'));
  }
});
