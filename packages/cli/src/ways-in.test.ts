/** The OpenSSH clients that the command runs, with programs in their place that write down how they were called. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json, makeEnvironment, makeSharedAccess, makeSshAccess } from './testing/server-double.ts';
import type { Environment, SshAccess } from '@berth/contract';
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

/** The environment `shared`, which has no own port. */
function holdShared(
  server: ServerDouble,
  fields: Partial<Environment> = {},
  access: Partial<SshAccess> = {},
): Environment {
  const shared = makeEnvironment('shared', 'running', { ssh_port: null, own_port: 'no', ...fields });
  server.hold(makeEnvironment('demo', 'running'), shared);
  server.answers.set(
    'GET /api/environments/shared-7f3k/ssh',
    json({ ...makeSharedAccess(shared), ...access }),
  );
  return shared;
}

test('an environment without an own port is reached through the shared one, whose key is pinned', async () => {
  await using server = await fullServer();
  holdShared(server);
  const { environment, words } = programDouble(server, 'ssh', 'exit 0');
  const result = await berth(['ssh', 'shared', '-t', 'ls'], { server, environment });
  assert.deepEqual(result, { exitCode: 0, stdout: '', stderr: '' });
  const known = join(server.folder, 'berth', 'known_hosts', 'shared-7f3k');
  const asked = words();
  assert.deepEqual(asked.slice(0, 2), ['-p', '2222']);
  assert.ok(asked.includes(`UserKnownHostsFile="${known}"`));
  assert.deepEqual(asked.slice(-4), ['--', 'shared-7f3k@ssh.example.com', '-t', 'ls']);
  assert.equal(readFileSync(known, 'utf8'), '[ssh.example.com]:2222 ssh-ed25519 AAAAC3Sh\n');

  const line = await berth(['ssh-command', 'shared', '--json'], { server });
  assert.deepEqual(JSON.parse(line.stdout), {
    env_id: 'shared-7f3k',
    ssh_command: 'ssh shared-7f3k@ssh.example.com -p 2222',
  });
  const editor = await berth(['open', 'jetbrains', 'shared', '--print'], { server });
  assert.match(editor.stdout, /host=ssh\.example\.com&port=2222&user=shared-7f3k&/);
});

test('without a way in, or a host key to know it by, nothing is run', async () => {
  await using server = await fullServer();
  const { environment } = programDouble(server, 'ssh', 'exit 0');
  holdShared(server, { shared_port: null }, { shared_port: null, known_hosts: null });
  const none = await berth(['ssh', 'shared'], { server, environment });
  assert.equal(none.exitCode, 1);
  assert.match(none.stderr, /no own port and this Berth no shared one.*Set sharedPort/);
  holdShared(server, {}, { known_hosts: null });
  const strange = await berth(['ssh', 'shared'], { server, environment });
  assert.equal(strange.exitCode, 7);
  assert.match(strange.stderr, /cannot be told from a stranger's/);
});

test('a stopped environment that a login starts is connected to, another is not', async (t) => {
  const cases: [name: string, fields: Partial<Environment>, exitCode: number][] = [
    ['through the shared port', {}, 0],
    ['without wake', { wake: false }, 6],
    ['through an own port of the gateway', { ssh_port: 30_001, exposure: 'gateway' }, 0],
    ['through an own port of the container', { ssh_port: 30_001, exposure: 'direct' }, 6],
  ];
  for (const [name, fields, exitCode] of cases) {
    await t.test(name, async () => {
      await using server = await fullServer();
      const { environment } = programDouble(server, 'ssh', 'exit 0');
      holdShared(server, { status: 'stopped', ...fields });
      assert.equal((await berth(['ssh', 'shared'], { server, environment })).exitCode, exitCode);
    });
  }
});

test('known-hosts shows the lines of every way in, those of the shared port once', async () => {
  await using server = await fullServer();
  holdShared(server, {}, { jump_known_hosts: 'shared-7f3k ssh-ed25519 AAAAC3Wz' });
  const { stdout } = await berth(['known-hosts'], { server });
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    '[ssh.example.com]:30001 ssh-ed25519 AAAAC3Nz',
    'demo-7f3k ssh-ed25519 AAAAC3Nz',
    '[ssh.example.com]:2222 ssh-ed25519 AAAAC3Sh',
    'shared-7f3k ssh-ed25519 AAAAC3Wz',
  ]);
});

test('ssh-info and show name every way in', async () => {
  await using server = await fullServer();
  holdShared(server);
  const info = await berth(['ssh-info', 'demo'], { server });
  assert.match(info.stdout, /ssh +ssh developer@ssh\.example\.com -p 30001\n/);
  assert.match(info.stdout, /shared port +ssh demo-7f3k@ssh\.example\.com -p 2222\n/);
  assert.match(info.stdout, /jump +ssh -J admin@ssh\.example\.com:2222 developer@demo-7f3k\n/);
  const shown = await berth(['show', 'shared'], { server });
  assert.match(shown.stdout, /ssh +ssh shared-7f3k@ssh\.example\.com -p 2222\n/);
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
