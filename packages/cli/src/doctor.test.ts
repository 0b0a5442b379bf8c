/** `berth doctor` and `berth support-bundle` against servers that are well and not well. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Check } from './doctor/check.ts';
import { certificate, greetsAsSsh } from './doctor/server.ts';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { ServerDouble, json, makeEnvironment, makeEvent, makeSshAccess } from './testing/server-double.ts';

interface Diagnosis {
  healthy: boolean;
  checks: Check[];
}

/** An engine that is not there is said the same on every machine. */
const noDocker = (server: ServerDouble) => ({ DOCKER_HOST: `unix://${server.folder}/docker.sock` });

test('each thing that fails has a cure, and makes the exit code 1', async () => {
  await using server = await fullServer();
  server.answers.set('GET /readyz', (response) =>
    response
      .writeHead(503)
      .end(JSON.stringify({ status: 'not_ready', checks: { database: 'does not answer', runtime: 'ok' } })),
  );
  chmodSync(server.folder, 0o755);
  const result = await berth(['doctor', '-o', 'json'], { server, environment: noDocker(server) });
  assert.equal(result.exitCode, 1, result.stderr);
  const { healthy, checks } = JSON.parse(result.stdout) as Diagnosis;
  assert.equal(healthy, false);
  const failing = checks.filter(({ result: each }) => each === 'failed');
  for (const name of ['docker', 'database', 'data folder']) {
    assert.ok(
      failing.some((each) => each.name === name),
      `${name} fails in ${result.stdout}`,
    );
  }
  for (const each of checks) {
    assert.equal(each.cure === null, each.result === 'ok' || each.result === 'skipped', JSON.stringify(each));
  }
  const forPeople = await berth(['doctor'], { server, environment: noDocker(server) });
  assert.match(
    forPeople.stdout,
    /\n✗ {2}docker +failed +no engine answers at unix:[^]+\n\nTo mend it:\n[^]*chmod 700/,
  );
});

test('without a server the machine is looked at all the same', async () => {
  const result = await berth(['doctor', '--json'], {
    environment: { DOCKER_HOST: 'unix:///nonexistent.sock' },
  });
  assert.equal(result.exitCode, 1);
  const { checks } = JSON.parse(result.stdout) as Diagnosis;
  const server = checks.find(({ name }) => name === 'server');
  assert.deepEqual([server?.result, server?.cure], ['failed', 'Start it with: npx berth up']);
  assert.equal(checks.find(({ name }) => name === 'node')?.result, 'ok');
});

test("a Berth elsewhere is looked at from here, without this machine's Docker", async () => {
  await using server = await ServerDouble.start('port');
  server.answers.set('GET /healthz', json({ status: 'ok' }));
  server.answers.set('GET /readyz', json({ status: 'ready', checks: { database: 'ok', runtime: 'ok' } }));
  const environment = { BERTH_URL: server.url, DOCKER_HOST: 'unix:///nonexistent.sock' };
  const result = await berth(['doctor', '-o', 'json'], { environment });
  assert.equal(result.exitCode, 0, result.stdout);
  const { checks } = JSON.parse(result.stdout) as Diagnosis;
  assert.ok(!checks.some(({ name }) => name === 'docker'));
  for (const name of ['server', 'clock', 'database', 'runtime', 'publicUrl']) {
    assert.equal(checks.find((each) => each.name === name)?.result, 'ok', name);
  }
});

test('the shared port is looked at as people reach it', async () => {
  let says = 'SSH-2.0-Berth\r\n';
  const listener = createTcpServer((socket) => socket.on('error', () => undefined).end(says));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const good = await greetsAsSsh('127.0.0.1', port);
  assert.deepEqual([good.result, good.detail], ['ok', `ssh ENVIRONMENT-ID@127.0.0.1 -p ${port}`]);
  says = 'HTTP/1.1 400 Bad Request\r\n';
  assert.match((await greetsAsSsh('127.0.0.1', port)).detail, /does not speak SSH/);
  says = '';
  assert.equal((await greetsAsSsh('127.0.0.1', port)).result, 'failed');
  listener.close();
  await once(listener, 'close');
  const gone = await greetsAsSsh('127.0.0.1', port);
  assert.match(gone.detail, /nothing answers at 127\.0\.0\.1, port \d+ \(ECONNREFUSED\)/);
  assert.match(gone.cure ?? '', /See that the gateway runs/);
});

const secrets = {
  password: 'Secret-Enough-1',
  word: 'swordfish',
  token: 'berth_x0cri9DlCS3m0WO6kZi2IUGoZDuvhh3HqZ56SxKRBq4',
  bearer: 'abc.def.ghi',
  database: 'hunter2',
  key: 'b3BlbnNzaC1rZXk',
  cloud: 'AKIAIOSFODNN7EXAMPLE',
};
const talkative =
  `It said ${secrets.password} and password=${secrets.word}, ${secrets.token}, "Authorization: Bearer ${secrets.bearer}", ` +
  `postgres://berth:${secrets.database}@db/berth, ${secrets.cloud}\n` +
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${secrets.key}\n-----END OPENSSH PRIVATE KEY-----\n`;

/** The document with secrets in each of its texts. */
function leaking(document: unknown): unknown {
  if (typeof document === 'string') return `${document} ${talkative}`;
  if (Array.isArray(document)) return document.map(leaking);
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(Object.entries(document).map(([name, value]) => [name, leaking(value)]));
}

test('a support bundle has what helps, and no secret however talkative the server is', async () => {
  await using server = await fullServer();
  const failed = makeEnvironment('broken', 'failed', {
    failure: { code: 'image_gone', cause: talkative, cure: talkative },
    notes: [talkative],
  });
  const events = Array.from({ length: 300 }, (_, index) =>
    makeEvent(index + 1, `step ${index + 1}: ${talkative}`),
  );
  const path = '/api/environments/broken-7f3k';
  server.answers.set('GET /api/environments', (response, asked) => {
    assert.equal(asked.query.get('status'), 'failed');
    json({ items: [failed], next_cursor: null })(response, asked);
  });
  server.answers.set(`GET ${path}/ssh`, json(makeSshAccess(failed)));
  server.answers.set(`GET ${path}/events`, (response, asked) =>
    json({ items: events.filter(({ id }) => id > Number(asked.query.get('after'))), next_cursor: null })(
      response,
      asked,
    ),
  );
  server.answers.set('GET /metrics', (response) => response.end(`berth_environments 1\n# ${talkative}`));
  server.answers.set(
    'GET /readyz',
    json(leaking({ status: 'ready', checks: { database: 'ok', runtime: 'ok' } })),
  );
  server.answers.set(
    'GET /api/platform',
    json({
      ...(leaking({
        version: '0.1.0',
        installation_id: 'abc',
        runtime: 'docker',
        database: 'pglite',
      }) as object),
      images: [leaking({ name: 'default', reference: 'berth/environment:1' })],
      settings: [leaking({ name: 'databaseUrl', value: 'x', source: 'file' })],
      notes: [talkative],
      unclaimed: [],
      ports: { used: 1, resting: 0, free: 1 },
    }),
  );
  const file = join(server.folder, 'bundle.tar.gz');
  const result = await berth(['support-bundle', file], {
    server,
    environment: { ...noDocker(server), BERTH_TOKEN: 'tok-from-the-variable' },
  });
  assert.equal(result.exitCode, 0, result.stderr);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const folder = join(server.folder, 'out');
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', file, '-C', folder]);
  const names = readdirSync(join(folder, 'berth-support'), { recursive: true }).map(String);
  for (const name of ['platform.json', 'settings.json', 'versions.json', 'doctor.json', 'metrics.txt']) {
    assert.ok(names.includes(name), name);
  }
  const texts = names
    .map((name) => join(folder, 'berth-support', name))
    .filter((each) => statSync(each).isFile())
    .map((each) => readFileSync(each, 'utf8'));
  for (const [kind, secret] of Object.entries({ ...secrets, variable: 'tok-from-the-variable' })) {
    assert.ok(!texts.some((each) => each.includes(secret)), `${kind} is in the bundle`);
  }
  const kept = readFileSync(join(folder, 'berth-support', 'events', 'broken-7f3k.json'), 'utf8');
  assert.equal((JSON.parse(kept) as unknown[]).length, 200);
  assert.match(kept, /step 300: It said/);
  assert.match(texts.join('\n'), /berth_environments 1/);
});

test('a support bundle overwrites nothing, and says what it could not get', async () => {
  await using server = await ServerDouble.start();
  const file = join(server.folder, 'bundle.tar.gz');
  const environment = noDocker(server);
  assert.equal((await berth(['support-bundle', file], { server, environment })).exitCode, 0);
  assert.match(
    execFileSync('tar', ['-xzOf', file, 'berth-support/missing.txt'], { encoding: 'utf8' }),
    /platform\.json: /,
  );
  const again = await berth(['support-bundle', file], { server, environment });
  assert.equal(again.exitCode, 2);
  assert.match(again.stderr, /is there already/);
  const nowhere = join(server.folder, 'none', 'a.tar.gz');
  assert.equal((await berth(['support-bundle', nowhere], { server, environment })).exitCode, 2);
  assert.ok(!existsSync(nowhere));
});

test('a certificate is looked at whether or not it is trusted here, and its end is announced', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-certificate-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -days 5 -subj /CN=localhost`;
  execFileSync('openssl', words.split(' '), { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const finding = await certificate(new URL(`https://127.0.0.1:${port}`));
    assert.equal(finding.result, 'warning');
    assert.match(
      finding.detail,
      /^valid for [45] days, but not trusted here \(DEPTH_ZERO_SELF_SIGNED_CERT\)$/,
    );
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
