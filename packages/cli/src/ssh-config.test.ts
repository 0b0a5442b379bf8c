/** Environments in a person's own ssh configuration, read by the ssh of this machine. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fullServer } from './testing/full-server.ts';
import { berth } from './testing/run.ts';
import { json, makeEnvironment, makeSharedAccess, makeSshAccess } from './testing/server-double.ts';
import { unifiedDiff } from './ssh-config.ts';

const mine =
  'Host *.example.org\n\tUser me\r\n# caf\xe9 in Latin-1, no line feed at the end\nHost last\n  Port 2200';

async function machine(content?: string) {
  const server = await fullServer();
  const folder = join(server.folder, 'my ssh');
  mkdirSync(folder);
  const file = join(folder, 'config');
  if (content !== undefined) writeFileSync(file, content, { encoding: 'latin1', mode: 0o640 });
  return {
    server,
    folder,
    file,
    run: (...args: string[]) => berth(['config-ssh', '--config', file, ...args], { server }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What ssh makes of a host. */
function seenBySsh(file: string, host: string): Map<string, string> {
  const lines = execFileSync('ssh', ['-F', file, '-G', host], { encoding: 'utf8' }).trim().split('\n');
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

test('ssh finds an environment by its id with its pinned key, and everything else as before', async () => {
  await using here = await machine(mine);
  const before = seenBySsh(here.file, 'last');
  const result = await here.run();
  assert.equal(result.exitCode, 0, result.stderr);
  assert.match(result.stdout, /^1 environment is in .+\n\nGet in with: ssh demo-7f3k\.berth\n$/);
  for (const host of ['demo-7f3k', 'demo-7f3k.berth']) {
    const seen = seenBySsh(here.file, host);
    const keys = join(here.folder, 'berth.d', 'local.known_hosts');
    assert.deepEqual(
      [
        'hostname',
        'port',
        'user',
        'hostkeyalias',
        'stricthostkeychecking',
        'userknownhostsfile',
        'proxycommand',
      ].map((each) => seen.get(each)),
      ['ssh.example.com', '30001', 'developer', 'demo-7f3k.berth', 'true', keys, undefined],
    );
    assert.equal(readFileSync(keys, 'utf8'), 'demo-7f3k.berth ssh-ed25519 AAAAC3Nz\n');
  }
  assert.deepEqual(seenBySsh(here.file, 'last'), before);
  assert.equal(statSync(here.file).mode & 0o777, 0o640);
  assert.ok(readFileSync(here.file, 'latin1').endsWith(mine));
});

test('a second run changes nothing, and --remove leaves every byte as it was', async (t) => {
  for (const content of [mine, '', 'Host a\n', undefined]) {
    await t.test(JSON.stringify(content?.slice(0, 10)), async () => {
      await using here = await machine(content);
      await here.run();
      const written = readFileSync(here.file);
      assert.match((await here.run()).stdout, /nothing had changed/);
      assert.deepEqual(readFileSync(here.file), written);
      const removed = await here.run('--remove');
      assert.equal(removed.exitCode, 0, removed.stderr);
      assert.equal(existsSync(here.file) ? readFileSync(here.file, 'latin1') : undefined, content);
      assert.deepEqual(readdirSync(here.folder), content === undefined ? [] : ['config']);
      assert.match((await here.run('--remove')).stdout, /There was nothing of Berth/);
    });
  }
});

test('what somebody added below stays when Berth leaves', async () => {
  await using here = await machine();
  await here.run();
  writeFileSync(here.file, `${readFileSync(here.file, 'utf8')}Host mine\n`);
  await here.run('--remove');
  assert.equal(readFileSync(here.file, 'utf8'), 'Host mine\n');
});

test('--dry-run writes nothing, and shows what patch would make the files of', async (t) => {
  await using here = await machine('Host a\n  Port 1\n');
  const shown = await here.run('--dry-run');
  assert.equal(shown.exitCode, 0);
  assert.deepEqual(readdirSync(here.folder), ['config']);
  assert.match(
    shown.stdout,
    /^--- \/dev\/null\n\+\+\+ .+local\.known_hosts\t?\n@@ -0,0 \+1,1 @@\n\+demo-7f3k\.berth /,
  );
  assert.match(shown.stdout, /\n\+Include [^\n]+\n Host a\n {3}Port 1\n$/);
  if (spawnSync('patch', ['--version']).error !== undefined) {
    t.skip('there is no patch');
    return;
  }
  execFileSync('patch', ['-p1', '--quiet', '-d', '/'], { input: shown.stdout });
  const patched = readFileSync(here.file, 'utf8');
  assert.match((await here.run()).stdout, /nothing had changed/);
  assert.equal(readFileSync(here.file, 'utf8'), patched);
});

test('a symbolic link stays one, and its target keeps its mode', async () => {
  await using here = await machine();
  const target = join(here.server.folder, 'dotfiles-config');
  writeFileSync(target, 'Host a\n');
  chmodSync(target, 0o644);
  symlinkSync('../dotfiles-config', here.file);
  await here.run();
  assert.ok(lstatSync(here.file).isSymbolicLink());
  assert.match(readFileSync(target, 'utf8'), /^# Environments of Berth[^]+\nHost a\n$/);
  assert.equal(statSync(target).mode & 0o777, 0o644);
});

test('an environment that is gone leaves the file at the next run; those of another Berth stay', async () => {
  await using here = await machine('Host a\n');
  await here.run();
  const other = join(here.folder, 'berth.d', 'work.conf');
  writeFileSync(other, 'Host other-1234\n');
  here.server.hold(
    makeEnvironment('new', 'stopped'),
    makeEnvironment('portless', 'running', { ssh_port: null, shared_port: null }),
  );
  here.server.answers.set(
    'GET /api/environments/new-7f3k/ssh',
    json({ ...makeSshAccess(makeEnvironment('new', 'stopped')), ssh_port: 30002 }),
  );
  await here.run();
  assert.equal(seenBySsh(here.file, 'demo-7f3k').get('hostname'), 'demo-7f3k');
  assert.equal(seenBySsh(here.file, 'new-7f3k').get('port'), '30002');
  assert.ok(existsSync(other));
});

test('one without an own port is reached through the shared port, by the key of that', async () => {
  await using here = await machine('Host a\n');
  const shared = makeEnvironment('shared', 'running', { ssh_port: null });
  here.server.hold(makeEnvironment('demo', 'running'), shared);
  here.server.answers.set('GET /api/environments/shared-7f3k/ssh', json(makeSharedAccess(shared)));
  assert.match((await here.run()).stdout, /^2 environments are in /);
  const seen = seenBySsh(here.file, 'shared-7f3k');
  assert.deepEqual(
    ['hostname', 'port', 'user', 'hostkeyalias'].map((each) => seen.get(each)),
    ['ssh.example.com', '2222', 'shared-7f3k', 'shared-7f3k.berth'],
  );
  assert.match(
    readFileSync(join(here.folder, 'berth.d', 'local.known_hosts'), 'utf8'),
    /^shared-7f3k\.berth ssh-ed25519 AAAAC3Sh$/m,
  );
});

test('a server cannot write lines of its own into the configuration', async (t) => {
  const bad = {
    ssh_host: 'a\n  ProxyCommand sh',
    ssh_username: '-oProxyCommand=sh',
    env_id: '*',
    known_hosts: 'h ssh-ed25519 AAAA|x',
    ssh_port: '22\nProxyCommand sh',
  };
  for (const [field, value] of Object.entries(bad)) {
    await t.test(field, async () => {
      await using here = await machine('Host a\n');
      const access = { ...makeSshAccess(makeEnvironment('demo', 'running')), [field]: value };
      here.server.answers.set('GET /api/environments/demo-7f3k/ssh', json(access));
      const result = await here.run();
      assert.equal(result.exitCode, 1);
      assert.match(result.stderr, /The server named .+; nothing was written/);
      assert.deepEqual(readdirSync(here.folder), ['config']);
    });
  }
});

test('open vscode names the alias, once it is in the configuration', async () => {
  await using here = await machine('Host a\n');
  const open = () =>
    berth(['open', 'vscode', 'demo', '--print', '--config', here.file], { server: here.server });
  const before = await open();
  assert.equal(before.exitCode, 1);
  assert.match(before.stderr, /Put it there with: berth config-ssh\n$/);
  await here.run();
  assert.equal((await open()).stdout, 'vscode://vscode-remote/ssh-remote+demo-7f3k.berth/gemini/code\n');
});

test('a difference in the middle is shown with three lines around it', () => {
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
  const changed = lines.with(9, 'another');
  const [before, after] = [lines, changed].map((each) => Buffer.from(`${each.join('\n')}\n`));
  assert.equal(
    unifiedDiff({ file: 'f', before: before ?? null, after: after ?? null }),
    [
      '--- f',
      '+++ f',
      '@@ -7,7 +7,7 @@',
      ' line 7',
      ' line 8',
      ' line 9',
      '-line 10',
      '+another',
      ' line 11',
      ' line 12',
      ' line 13',
    ].join('\n'),
  );
});
