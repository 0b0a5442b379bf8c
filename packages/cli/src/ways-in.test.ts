/** The OpenSSH clients that the command runs, with programs in their place that write down how they were called. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json, makeEnvironment, makeSshAccess } from './testing/server-double.ts';
import type { ServerDouble } from './testing/server-double.ts';

/** @param script what the program does after it wrote its arguments down */
function programDouble(server: ServerDouble, name: string, script: string) {
  const folder = join(server.folder, 'bin');
  const log = join(server.folder, `${name}.log`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, name),
    `#!/bin/sh\nfor each in "$@"; do printf '%s\\n' "$each" >> '${log}'; done\n${script}\n`,
  );
  chmodSync(join(folder, name), 0o755);
  return {
    environment: { PATH: [folder, process.env['PATH']].join(delimiter) },
    words: () => readFileSync(log, 'utf8').trimEnd().split('\n'),
  };
}

const pinned = (server: ServerDouble) =>
  [
    `UserKnownHostsFile="${server.folder}/berth/known_hosts/demo-7f3k"`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'UpdateHostKeys=no',
  ].flatMap((each) => ['-o', each]);

test('cp runs scp with the pinned host key, in both directions', async () => {
  await using server = await fullServer();
  const { environment, words } = programDouble(server, 'scp', 'exit 0');
  const result = await berth(['cp', '-r', './a:b', 'c', 'demo:/gemini/code/'], { server, environment });
  assert.deepEqual(result, { exitCode: 0, stdout: '', stderr: '' });
  const remote = 'developer@ssh.example.com';
  assert.deepEqual(words(), [
    '-P',
    '30001',
    ...pinned(server),
    '-r',
    '--',
    './a:b',
    'c',
    `${remote}:/gemini/code/`,
  ]);
  assert.equal((await berth(['cp', 'demo:x y', '.'], { server, environment })).exitCode, 0);
  assert.deepEqual(words().slice(-3), ['--', `${remote}:x y`, '.']);
});

test('cp puts an IPv6 address in brackets, and ends as scp ends', async () => {
  await using server = await fullServer();
  const access = { ...makeSshAccess(makeEnvironment('demo', 'running')), ssh_host: '2001:db8::1' };
  server.answers.set('GET /api/environments/demo-7f3k/ssh', json(access));
  const { environment, words } = programDouble(server, 'scp', 'exit 7');
  assert.equal((await berth(['cp', 'a', 'demo:'], { server, environment })).exitCode, 7);
  assert.equal(words().at(-1), 'developer@[2001:db8::1]:');
});

test('port-forward says where it listens once ssh does, and ends well on Ctrl-C', async () => {
  await using server = await fullServer();
  const { environment, words } = programDouble(
    server,
    'ssh',
    'echo berth-listens; echo other >&2; exec sleep 60',
  );
  const result = await berth(['port-forward', 'demo', '8888', '9000:80', '-o', 'json'], {
    server,
    environment,
    signalAfter: ['other', 'SIGINT'],
  });
  assert.deepEqual([result.exitCode, result.stderr], [0, 'other\n']);
  const lines = result.stdout.trim().split('\n');
  assert.deepEqual(
    lines.map((line) => {
      const { local_port, remote_port } = JSON.parse(line) as { local_port: number; remote_port: number };
      return [local_port, remote_port];
    }),
    [
      [8888, 8888],
      [9000, 80],
    ],
  );
  const asked = words();
  for (const each of [
    '-N',
    'ExitOnForwardFailure=yes',
    '127.0.0.1:8888:localhost:8888',
    '127.0.0.1:9000:localhost:80',
  ]) {
    assert.ok(asked.includes(each), each);
  }
});

test('port-forward that cannot listen ends as ssh ends, and says nothing of listening', async () => {
  await using server = await fullServer();
  const { environment } = programDouble(server, 'ssh', 'exit 255');
  const result = await berth(['port-forward', 'demo', ':80'], { server, environment });
  assert.deepEqual([result.exitCode, result.stdout], [255, '']);
});

test('a password given by a profile or a data folder is asked of the same Berth', async () => {
  await using server = await fullServer();
  const { environment, words } = programDouble(
    server,
    'scp',
    `"$SSH_ASKPASS" 'password:' >> '${server.folder}/scp.log'`,
  );
  const result = await berth(['--data-dir', server.folder, 'cp', '--password', 'a', 'demo:'], {
    server,
    environment: { ...environment, BERTH_URL: 'http://127.0.0.1:1', BERTH_DATA_DIR: '/nonexistent' },
  });
  assert.equal(result.exitCode, 0, result.stderr);
  assert.equal(words().at(-1), 'Secret-Enough-1');
});

test('a client that is not there is named, with how to get it', async () => {
  await using server = await fullServer();
  const result = await berth(['cp', 'a', 'demo:'], { server, environment: { PATH: '/nonexistent' } });
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /^berth: The client scp cannot be run .+ apt-get install openssh-client\n$/);
});
