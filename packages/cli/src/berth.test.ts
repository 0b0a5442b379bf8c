/** The command as a whole, in a process of its own, against a server that answers as the contract says. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { errorCatalogue } from '@berth/contract';
import type { ErrorCode } from '@berth/contract';
import { demo, fullServer, key } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import {
  json,
  makeEnvironment,
  makeEvent,
  problem,
  sendEvent,
  ServerDouble,
} from './testing/server-double.ts';

const commands = [
  ['create', 'new'],
  ['list'],
  ['show', 'demo'],
  ['start', 'demo'],
  ['stop', 'demo'],
  ['restart', 'demo-7f3k'],
  ['delete', 'demo', '--yes'],
  ['ssh-info', 'demo'],
  ['reset-password', 'demo'],
  ['events', 'demo'],
  ['logs', 'demo'],
  ['keys', 'add', 'laptop', '-'],
  ['keys', 'list'],
  ['keys', 'remove', 'laptop'],
  ['set', 'demo', '--cpu', '4'],
  ['ssh-command', 'demo'],
  ['known-hosts'],
  ['authorities', 'list'],
  ['authorities', 'add', 'company', '-'],
  ['authorities', 'remove', 'company'],
  ['revocations', 'show'],
  ['revocations', 'set', '-'],
  ['revocations', 'clear'],
  ['lockouts', 'list', '--all'],
  ['lockouts', 'clear', '--environment', 'demo'],
  ['bans', 'list'],
  ['bans', 'clear', '6'],
  ['ports', 'list'],
  ['allowlist', 'list'],
  ['allowlist', 'list', '--environment', 'demo'],
  ['allowlist', 'add', '203.0.113.0/24', '--note', 'office'],
  ['allowlist', 'remove', '4'],
  ['allowlist', 'remove', '203.0.113.0/24'],
  ['firewall', 'print', '--source', '203.0.113.0/24'],
  ['storage', 'list'],
  ['storage', 'remove', 'old-1234', '--yes'],
  ['customers', 'list'],
  ['customers', 'show', 'main'],
  ['customers', 'add', 'acme'],
  ['customers', 'rename', 'main', 'acme'],
  ['customers', 'set', 'main', '--password-login', 'off'],
  ['customers', 'remove', 'main', '--yes'],
  ['accounts', 'list'],
  ['accounts', 'show', 'alice'],
  ['accounts', 'add', 'alice', '--customer', 'main'],
  ['accounts', 'set', 'alice', '--role', 'admin'],
  ['accounts', 'password', 'alice'],
  ['accounts', 'remove', 'alice', '--yes'],
  ['tokens', 'list'],
  ['tokens', 'add', 'ci', '--scope', 'read', '--expires', 'never'],
  ['tokens', 'remove', 'ci', '--yes'],
  ['quotas', 'list'],
  ['quotas', 'show'],
  ['quotas', 'set', 'main', '--cpu', '16', '--gpu', 'none'],
  ['images', 'list'],
  ['images', 'show', 'default'],
  ['images', 'add', 'mine', 'example.com/mine:1'],
  ['images', 'set', 'default', '--memory', '8G'],
  ['images', 'check', 'default'],
  ['images', 'remove', 'default', '--yes'],
  ['datasets', 'list'],
  ['datasets', 'show', 'faces'],
  ['datasets', 'add', 'faces', '/srv/faces'],
  ['datasets', 'set', 'faces', '--writable'],
  ['datasets', 'remove', 'faces', '--yes'],
  ['audit', 'list', '--since', '7d'],
  ['audit', 'verify'],
  ['status'],
  ['settings'],
  ['whoami'],
];

test(
  'every command answers people with plain text and programs with one JSON document',
  { concurrency: 4 },
  async (t) => {
    await using server = await fullServer();
    const answersBoth = (command: string[]) =>
      t.test(command.join(' '), async () => {
        const stdin = 'ssh-ed25519 AAAA me@laptop';
        const forPeople = await berth(command, { server, stdin });
        assert.deepEqual([forPeople.exitCode, forPeople.stderr], [0, '']);
        assert.doesNotMatch(forPeople.stdout, /[^\P{Cc}\n]/u);
        assert.notEqual(forPeople.stdout.trim(), '');
        const forPrograms = await berth([...command, '--json'], { server, stdin });
        assert.equal(forPrograms.exitCode, 0);
        assert.doesNotThrow(() => JSON.parse(forPrograms.stdout), forPrograms.stdout);
      });
    await Promise.all(commands.map(answersBoth));
    const { stdout } = await berth(['--json', 'list'], { server });
    assert.doesNotThrow(() => JSON.parse(stdout), stdout);
  },
);

test('each problem has its exit code, one line for people and one document for programs', async (t) => {
  const expected: Partial<Record<ErrorCode, number>> = {
    bad_request: 2,
    unauthorized: 5,
    forbidden: 5,
    not_found: 4,
    name_taken: 6,
    wrong_state: 6,
    unknown_image: 2,
    rate_limited: 7,
    internal: 1,
    ports_exhausted: 7,
    runtime_unavailable: 7,
  };
  await using server = await ServerDouble.start();
  for (const [code, exitCode] of Object.entries(expected) as [ErrorCode, number][]) {
    await t.test(code, async () => {
      server.answers.set('POST /api/environments', problem(code, 'name: "a\x1b[0m" will not do.'));
      const result = await berth(['create', 'a', '--json'], { server });
      assert.equal(result.exitCode, exitCode);
      assert.match(result.stderr, /^berth: name: "a\\x1b\[0m" will not do\. [^\n]+\n$/);
      if (code !== 'unauthorized') assert.ok(result.stderr.includes(errorCatalogue[code].cure));
      const { error } = JSON.parse(result.stdout) as { error: { code: string; exit_code: number } };
      assert.deepEqual([error.code, error.exit_code], [code, exitCode]);
    });
  }
});

test("a proxy's error page is reported without being shown", async () => {
  await using server = await ServerDouble.start();
  server.answers.set('GET /api/whoami', (response) => response.writeHead(502).end('<html>nginx</html>'));
  const result = await berth(['whoami'], { server });
  assert.equal(result.exitCode, 1);
  assert.match(result.stderr, /answered GET \/api\/whoami with 502 Bad Gateway/);
  assert.doesNotMatch(result.stderr, /nginx/);
});

test('no server is exit code 3 and names the cure', async () => {
  const result = await berth(['list'], { environment: { BERTH_DATA_DIR: '/nonexistent' } });
  assert.deepEqual(result, {
    exitCode: 3,
    stdout: '',
    stderr:
      'berth: Berth is not running here (no answer at /nonexistent/berth.sock). Start it with: npx berth up\n',
  });
});

test('BERTH_URL is asked with the token, unless a data folder is named', async () => {
  await using remote = await ServerDouble.start('port');
  remote.hold(demo);
  const environment = { BERTH_URL: `${remote.url}/`, BERTH_TOKEN: 'token-1' };
  assert.equal((await berth(['show', 'demo'], { environment })).exitCode, 0);
  assert.equal(remote.asked[0]?.headers.authorization, 'Bearer token-1');

  await using local = await ServerDouble.start();
  local.hold();
  assert.equal((await berth(['list', '--data-dir', local.folder], { environment })).exitCode, 0);
  assert.deepEqual([local.asked.length, remote.asked.length], [1, 1]);

  const wrong = await berth(['list'], { environment: { BERTH_URL: 'berth.example.com' } });
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /BERTH_URL is "berth.example.com"/);
});

test('the data folder comes from the settings file where nothing else names it', async () => {
  await using server = await ServerDouble.start();
  server.hold();
  const file = join(server.folder, 'my.yaml');
  writeFileSync(file, `dataDir: ${server.folder}\n`);
  const found = await berth(['list'], { environment: { BERTH_DATA_DIR: undefined, BERTH_CONFIG: file } });
  assert.equal(found.exitCode, 0);
  writeFileSync(file, 'dataDir: [\n');
  const broken = await berth(['list'], { environment: { BERTH_DATA_DIR: undefined, BERTH_CONFIG: file } });
  assert.equal(broken.exitCode, 2);
  assert.ok(broken.stderr.includes(file));
});

test('create sends what was asked for in the units of the API', async () => {
  await using server = await fullServer();
  const options =
    '--image big --cpu 500m --memory 512Mi --gpu 1 --storage 16G --own-port yes --no-sudo'.split(' ');
  const result = await berth(['create', 'new', ...options], { server });
  assert.equal(result.exitCode, 0);
  assert.deepEqual(JSON.parse(server.asked[0]?.body ?? ''), {
    name: 'new',
    image: 'big',
    resources: { cpu: 0.5, memory: 0.5, gpu: 1, storage: 16 },
    own_port: 'yes',
    sudo: false,
  });
  assert.match(result.stdout, /ssh developer@ssh\.example\.com -p 30001[^]*Secret-Enough-1/);
});

test('how an environment may be reached and used is sent as the options say, the later one last', async () => {
  await using server = await fullServer();
  const sent = async (...args: string[]) => {
    const { exitCode, stderr } = await berth(args, { server });
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(server.asked.findLast(({ body }) => body !== '')?.body ?? '') as object;
  };
  const off = { local: false, remote: false, agent: false, x11: false, sftp: false };
  assert.deepEqual(
    await sent('create', 'new', ...'--exposure gateway --forwarding local,sftp --wake off'.split(' ')),
    { name: 'new', exposure: 'gateway', forwarding: { ...off, local: true, sftp: true }, wake: false },
  );
  assert.deepEqual(await sent('set', 'demo', '--no-forwarding', 'x11,agent', '--password-login', 'off'), {
    forwarding: { x11: false, agent: false },
    password_login: false,
  });
  assert.deepEqual(await sent('set', 'demo', '--no-forwarding', 'x11', '--no-forwarding', 'sftp'), {
    forwarding: { x11: false, sftp: false },
  });
  assert.deepEqual(await sent('set', 'demo', '--forwarding', 'none', '--password-login', 'on'), {
    forwarding: off,
    password_login: true,
  });
  assert.deepEqual(await sent('set', 'demo', '--forwarding', 'local,x11', '--no-forwarding', 'x11'), {
    forwarding: { ...off, local: true },
  });
  assert.deepEqual(await sent('customers', 'set', 'main', '--name', 'acme', '--password-login', 'off'), {
    name: 'acme',
    password_login: false,
  });
});

test('set says when what it changed takes effect', async () => {
  await using server = await fullServer();
  const said = async (...args: string[]) => (await berth(['set', 'demo', ...args], { server })).stdout;
  assert.match(await said('--wake', 'off'), /^demo is changed\.\n/);
  assert.match(await said('--exposure', 'gateway', '--wake', 'off'), /^demo is changed; .*next start\.\n/);
});

test('show says how an environment may be reached and used, and what holds from its next start', async () => {
  await using server = await fullServer();
  const fields = {
    exposure: 'gateway',
    running_exposure: 'direct',
    forwarding: { local: true, remote: false, agent: false, x11: false, sftp: true },
    password_login: false,
    notes: ['From the next start its own port is served by the gateway; port and host key stay.'],
  } as const;
  server.hold(makeEnvironment('demo', 'running', { ...fields, notes: [...fields.notes] }));
  const { stdout } = await berth(['show', 'demo'], { server });
  for (const line of [
    /exposure +direct; gateway from its next start\n/,
    /forwarding +local, sftp\n/,
    /passwords +off\n/,
    /wake +on\n/,
    /shared port +ssh demo-7f3k@ssh\.example\.com -p 2222\n/,
    /note +From the next start/,
  ])
    assert.match(stdout, line);
});

test('a wrong value names the option, the value and what is allowed', async (t) => {
  const wrong = [
    ['--memory', '16Q', '512Mi'],
    ['--cpu', 'two', '500m'],
    ['--gpu', '1.5', '0 to 64'],
    ['--own-port', 'maybe', 'auto, yes, no'],
  ] as const;
  for (const [option, value, allowed] of wrong) {
    await t.test(option, async () => {
      const { exitCode, stdout, stderr } = await berth(['create', 'a', option, value]);
      assert.deepEqual([exitCode, stdout], [2, '']);
      for (const part of [option, value, allowed]) assert.ok(stderr.includes(part), stderr);
      assert.equal(stderr.trimEnd().split('\n').length, 1);
    });
  }
  assert.equal((await berth(['create'])).exitCode, 2);
  assert.equal((await berth([])).exitCode, 2);
  assert.match((await berth(['lst'])).stderr, /unknown command 'lst' \(Did you mean list\?\)/);
  const help = await berth(['--help']);
  assert.equal(help.exitCode, 0);
  assert.match(help.stdout, /Exit codes:/);
});

test('a name that is not there is answered with the names that are', async () => {
  await using server = await ServerDouble.start();
  server.hold(demo, makeEnvironment('a\x1bb', 'stopped'));
  const result = await berth(['show', 'dem'], { server });
  assert.equal(result.exitCode, 4);
  assert.equal(
    result.stderr,
    'berth: not found: there is no environment called dem; there are: demo, a\\x1bb.\n',
  );
});

test('a list is read to its last page', async () => {
  await using server = await ServerDouble.start();
  server.answers.set('GET /api/environments', (response, { query }) => {
    const first = query.get('cursor') === null;
    const items = [makeEnvironment(first ? 'one' : 'two', 'running')];
    response.end(JSON.stringify({ items, next_cursor: first ? 'next' : null }));
  });
  const { stdout } = await berth(['list'], { server });
  assert.match(stdout, /^NAME[^]*\none [^]*\ntwo /);
});

test('delete without a terminal and without --yes deletes nothing', async () => {
  await using server = await fullServer();
  const result = await berth(['delete', 'demo'], { server, stdin: 'demo\n' });
  assert.equal(result.exitCode, 2);
  assert.match(result.stderr, /demo was not deleted[^\n]+berth delete demo-7f3k --yes\n$/);
  assert.ok(server.asked.every(({ method }) => method === 'GET'));
});

test('delete --wait ends when the environment is gone', async () => {
  await using server = await fullServer();
  server.answers.set('DELETE /api/environments/demo-7f3k', (response) => {
    server.answers.delete('GET /api/environments/demo-7f3k');
    response.writeHead(202).end(JSON.stringify({ ...demo, status: 'deleting' }));
  });
  const result = await berth(['delete', 'demo', '--yes', '--wait', '--json'], { server });
  assert.equal(result.exitCode, 0, result.stderr);
  assert.deepEqual(JSON.parse(result.stdout), { env_id: 'demo-7f3k', name: 'demo', status: 'deleted' });
});

test('create --wait shows each step once, over a broken stream, until it runs', async () => {
  await using server = await fullServer();
  server.hold(makeEnvironment('new', 'creating'));
  server.answers.set('GET /api/environments/new-7f3k/events', (response, { headers }) => {
    if (headers['last-event-id'] === '0') {
      sendEvent(response, makeEvent(1, 'Making volumes'));
      response.write('', () => response.destroy());
      return;
    }
    sendEvent(response, makeEvent(1, 'Making volumes'));
    sendEvent(response, makeEvent(2, 'The registry is slow', { kind: 'retry' }));
    sendEvent(response, makeEvent(3, 'Starting\x1b[2J'));
    server.hold(makeEnvironment('new', 'running'));
    sendEvent(response, makeEvent(4, 'It runs', { kind: 'status', status: 'running' }));
  });
  const result = await berth(['create', 'new', '--wait'], { server });
  assert.equal(result.exitCode, 0, result.stderr);
  const steps = result.stderr
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^ +\d+\.\d s  /, ''));
  assert.deepEqual(steps, ['Making volumes', 'The registry is slow', 'Starting\\x1b[2J']);
  assert.match(
    result.stdout,
    /^new is running\.\n[^]*ssh developer@ssh\.example\.com -p 30001[^]*Secret-Enough-1/,
  );
});

test('create --wait that ends in failed is exit code 1 with cause and cure', async () => {
  await using server = await fullServer();
  const failure = { code: 'image_gone', cause: 'The image is gone.', cure: 'Build it again.' };
  server.hold(makeEnvironment('new', 'failed', { failure }));
  server.answers.set('GET /api/environments/new-7f3k/events', (response) =>
    sendEvent(response, makeEvent(1, 'It failed', { kind: 'status', status: 'failed' })),
  );
  const forPeople = await berth(['create', 'new', '--wait'], { server });
  assert.deepEqual(forPeople, {
    exitCode: 1,
    stdout: '',
    stderr: 'berth: new failed: The image is gone. Build it again.\n',
  });
  const forPrograms = await berth(['create', 'new', '--wait', '--json'], { server });
  assert.equal(forPrograms.exitCode, 1);
  const document = JSON.parse(forPrograms.stdout) as {
    status: string;
    failure: object;
    ssh_password: string;
  };
  assert.deepEqual(
    [document.status, document.failure, document.ssh_password],
    ['failed', failure, 'Secret-Enough-1'],
  );
});

test('Ctrl-C ends the waiting, and says what goes on', async () => {
  await using server = await fullServer();
  server.hold(makeEnvironment('new', 'creating'));
  server.answers.set('GET /api/environments/new-7f3k/events', (response) =>
    sendEvent(response, makeEvent(1, 'Making volumes')),
  );
  const result = await berth(['create', 'new', '--wait'], { server, signalAfter: ['Making', 'SIGINT'] });
  assert.deepEqual([result.exitCode, result.stdout], [130, '']);
  assert.match(result.stderr, /Berth goes on with new; see: npx berth show new-7f3k\n/);
});

test('a change with --wait looks only at what happens after it', async () => {
  await using server = await fullServer();
  const events = '/api/environments/demo-7f3k/events';
  server.answers.set(`GET ${events}`, (response, { headers, query }) => {
    const past = makeEvent(9, 'Old step');
    if (headers.accept !== 'text/event-stream') {
      response.end(JSON.stringify({ items: query.get('after') === '0' ? [past] : [], next_cursor: null }));
      return;
    }
    assert.equal(query.get('after'), '9');
    sendEvent(response, makeEvent(10, 'Stopping it'));
    server.hold({ ...demo, status: 'stopped' });
    sendEvent(response, makeEvent(11, 'It is stopped', { kind: 'status', status: 'stopped' }));
  });
  server.hold({ ...demo, status: 'stopping' });
  const result = await berth(['stop', 'demo', '--wait'], { server });
  assert.deepEqual([result.exitCode, result.stdout], [0, 'demo is stopped.\n']);
  assert.match(result.stderr, /^ +\d+\.\d s  Stopping it\n$/);
});

test('events --follow --json is one document a line, over a broken stream', async () => {
  await using server = await fullServer();
  server.answers.set('GET /api/environments/demo-7f3k/events', (response, { query }) => {
    const id = Number(query.get('after')) + 1;
    sendEvent(response, makeEvent(id, `number ${id}`));
    response.end(id === 3 ? 'event: gone\ndata: {}\n\n' : '');
  });
  const result = await berth(['events', 'demo', '--follow', '--json'], { server });
  assert.equal(result.exitCode, 0);
  const ids = result.stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: number }).id);
  assert.deepEqual(ids, [1, 2, 3]);
});

test('logs are escaped for people and whole for programs', async () => {
  await using server = await fullServer();
  assert.equal((await berth(['logs', 'demo', '--tail', '5'], { server })).stdout, 'one\\x1b[2J\ntwo\n');
  assert.equal(server.asked.at(-1)?.query.get('tail'), '5');
  const { stdout } = await berth(['logs', 'demo', '--json'], { server });
  assert.deepEqual(JSON.parse(stdout), { lines: ['one\x1b[2J', 'two'] });
});

test('a private key never leaves the machine', async () => {
  await using server = await fullServer();
  const stdin = '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n';
  const result = await berth(['keys', 'add', 'laptop', '-'], { server, stdin });
  assert.equal(result.exitCode, 2);
  assert.match(result.stderr, /private key; it was not sent/);
  assert.equal(server.asked.length, 0);
  assert.equal((await berth(['keys', 'add', 'laptop', '/nonexistent.pub'], { server })).exitCode, 2);
});

test('a key is removed by id, name or fingerprint, and never by guessing', async () => {
  await using server = await fullServer();
  for (const named of ['3', 'laptop', 'SHA256:abc']) {
    assert.equal((await berth(['keys', 'remove', named], { server })).exitCode, 0);
    assert.equal(server.asked.at(-1)?.path, '/api/ssh-keys/3');
  }
  assert.equal((await berth(['keys', 'remove', 'phone'], { server })).exitCode, 4);
  server.answers.set(
    'GET /api/ssh-keys',
    json({ items: [key, { ...key, id: 4, fingerprint: 'SHA256:d' }], next_cursor: null }),
  );
  const twice = await berth(['keys', 'remove', 'laptop'], { server });
  assert.equal(twice.exitCode, 6);
  assert.match(twice.stderr, /by its id: 3, 4/);
});

/** A program called ssh that writes down how it was called, asks its askpass program, and ends with 42. */
function sshDouble(server: ServerDouble): { PATH: string; log: string } {
  const folder = join(server.folder, 'bin');
  const log = join(server.folder, 'ssh.log');
  mkdirSync(folder);
  const script = `#!/bin/sh
for each in "$@"; do printf '%s\\n' "$each" >> '${log}'; done
[ -z "$SSH_ASKPASS" ] || "$SSH_ASKPASS" 'password:' >> '${log}'
exit 42
`;
  writeFileSync(join(folder, 'ssh'), script);
  chmodSync(join(folder, 'ssh'), 0o755);
  return { PATH: [folder, process.env['PATH']].join(delimiter), log };
}

test("ssh runs the stock client with the environment's host key pinned, and ends as it ends", async () => {
  await using server = await fullServer();
  const { PATH, log } = sshDouble(server);
  const result = await berth(['ssh', 'demo', '--', 'ls', '-l', '--json'], { server, environment: { PATH } });
  assert.deepEqual(result, { exitCode: 42, stdout: '', stderr: '' });
  const knownHosts = join(server.folder, 'berth', 'known_hosts', 'demo-7f3k');
  assert.deepEqual(readFileSync(log, 'utf8').trimEnd().split('\n'), [
    '-p',
    '30001',
    '-o',
    `UserKnownHostsFile="${knownHosts}"`,
    '-o',
    'GlobalKnownHostsFile=/dev/null',
    '-o',
    'StrictHostKeyChecking=yes',
    '-o',
    'UpdateHostKeys=no',
    '--',
    'developer@ssh.example.com',
    'ls',
    '-l',
    '--json',
  ]);
  assert.equal(statSync(knownHosts).mode & 0o777, 0o600);
  assert.equal(readFileSync(knownHosts, 'utf8'), '[ssh.example.com]:30001 ssh-ed25519 AAAAC3Nz\n');
});

test('ssh --password hands the password to ssh alone', async () => {
  await using server = await fullServer();
  const { PATH, log } = sshDouble(server);
  const result = await berth(['--data-dir', server.folder, 'ssh', '-v', '--password', 'demo'], {
    server,
    environment: { PATH, BERTH_URL: 'http://127.0.0.1:1', BERTH_DATA_DIR: '/nonexistent' },
  });
  assert.equal(result.exitCode, 42, result.stderr);
  const words = readFileSync(log, 'utf8').trimEnd().split('\n');
  assert.equal(words.pop(), 'Secret-Enough-1');
  assert.ok(!words.includes('Secret-Enough-1'));
  assert.doesNotMatch(result.stdout + result.stderr, /Secret/);
  assert.match(result.stderr, /^berth: ssh -p 30001 /);
});

test('ssh to an environment that does not run says how to start it', async () => {
  await using server = await fullServer();
  server.hold({ ...demo, status: 'stopped' });
  const result = await berth(['ssh', 'demo'], { server });
  assert.equal(result.exitCode, 6);
  assert.equal(result.stderr, 'berth: demo is stopped. Start it with: npx berth start demo-7f3k --wait\n');
});

test('up refuses a second server on the same data folder', async () => {
  await using server = await ServerDouble.start();
  server.answers.set('GET /healthz', json({ status: 'ok' }));
  const result = await berth(['up'], { server });
  assert.equal(result.exitCode, 6);
  assert.match(result.stderr, /running here already/);
});

test('up names the engine that does not answer', async () => {
  await using server = await ServerDouble.start();
  const environment = {
    BERTH_DATA_DIR: join(server.folder, 'none'),
    DOCKER_HOST: `unix://${server.folder}/docker.sock`,
  };
  const result = await berth(['up', '--install'], { environment });
  assert.equal(result.exitCode, 1);
  assert.match(
    result.stderr,
    /^berth: No Docker engine answers at unix:[^ ]+, which DOCKER_HOST names \(ENOENT\)\. [^\n]+\n$/,
  );
});
