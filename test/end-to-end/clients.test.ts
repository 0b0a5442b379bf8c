/** The clients that people have, through an environment's published port. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { NewPassword, SshKey } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { Background } from '../harness/background.ts';
import { TestBerth, freePortRange, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually, execute, makeKey } from '../harness/ssh.ts';

/** Serves the text "inside" on a port of the environment's choice, and prints the port. */
const serveInside = `python3 -uc '
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"inside " + os.uname().nodename.encode())
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("serving on", server.server_port)
server.serve_forever()'`;

const mebibyte = 1024 ** 2;
const inForceMs = 2000;

describe('an environment behind its published port', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  let id: string;
  let folder: string;
  let key: string;
  let byPassword: Login;
  let byKey: Login;
  const background: Background[] = [];
  const logins: Login[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-clients-'));
    key = await makeKey(folder);
    berth = await TestBerth.start();
    await addKey('of the test', key);
    id = (await berth.createRunning({ name: 'clients' })).env_id;
    byPassword = await login();
    byKey = await login(key);
  });

  after(async () => {
    await Promise.all(background.map((each) => each.stop()));
    for (const each of logins) each.remove();
    await berth?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function login(privateKey?: string): Promise<Login> {
    const made = new Login(await berth.ssh(id), privateKey);
    logins.push(made);
    return made;
  }

  function start(
    program: string,
    commandLine: string[],
    options?: ConstructorParameters<typeof Background>[2],
  ) {
    const started = new Background(program, commandLine, options);
    background.push(started);
    return started;
  }

  async function addKey(name: string, file: string): Promise<SshKey> {
    const public_key = readFileSync(`${file}.pub`, 'utf8').trim();
    const answer = await berth.call<SshKey>('POST', routes.sshKeys, { name, public_key });
    assert.equal(answer.status, 201);
    return answer.body;
  }

  /** A program's `ssh -e ...` in one string: what git and rsync are given. */
  const sshProgram = () => ['ssh', ...byKey.options, '-p', byKey.port].join(' ');

  async function serviceInside(): Promise<{ port: string; stop(): Promise<void> }> {
    const service = start('ssh', [...byKey.options, '-tt', '-p', byKey.port, byKey.target, serveInside]);
    const [, port = ''] = await service.says(/serving on (\d+)/);
    return { port, stop: () => service.stop() };
  }

  async function freePort(): Promise<number> {
    return (await freePortRange(1)).first;
  }

  it('runs a command with standard input, output, error and exit status', async () => {
    const result = await byPassword.ssh('cat; echo heard "$USER" on "$(hostname)" >&2; exit 42', {
      input: 'said\n'.repeat(3),
    });
    assert.equal(result.code, 42, result.stderr);
    assert.equal(result.stdout, 'said\n'.repeat(3));
    assert.match(result.stderr, new RegExp(`^heard developer on ${id}$`, 'm'));
  });

  it('hands binary input and output through unchanged', async () => {
    const sent = join(folder, 'binary');
    writeFileSync(sent, randomBytes(mebibyte));
    const result = await byKey.ssh('sha256sum', { input: readFileSync(sent) });
    assert.equal(result.stdout.split(' ')[0], sha256(sent), result.stderr);
  });

  it('gives a terminal', async () => {
    const result = await byKey.ssh('tty; stty size; test -t 0 && test -t 1 && echo both; echo $TERM', {
      flags: ['-tt'],
      environment: { TERM: 'xterm-256color' },
    });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /^\/dev\/pts\/\d+\r\n\d+ \d+\r\nboth\r\nxterm-256color\r\n/);
  });

  it('starts a login shell in which a person types', async () => {
    const shell = start('ssh', [...byKey.options, '-tt', '-p', byKey.port, byKey.target], {
      input: 'echo typed-$((6 * 7)); exit 3\n',
    });
    await shell.says(/typed-42/);
    await eventually(() => shell.ended, Boolean);
    assert.match(shell.stdout, /\/gemini\/code/, 'the message of the day names the folders that last');
  });

  for (const { protocol, flags } of [
    { protocol: 'SFTP', flags: [] },
    { protocol: 'the old protocol', flags: ['-O'] },
  ]) {
    it(`copies with scp over ${protocol}, both ways`, async () => {
      const [there, back] = [join(folder, 'scp-there'), join(folder, 'scp-back')];
      writeFileSync(there, randomBytes(mebibyte));
      const common = [...flags, ...byPassword.options, '-P', byPassword.port];
      const remote = `${byPassword.target}:/gemini/output/scp${flags.join('')}`;
      const put = await byPassword.run('scp', [...common, there, remote]);
      assert.equal(put.code, 0, put.stderr);
      const get = await byPassword.run('scp', [...common, remote, back]);
      assert.equal(get.code, 0, get.stderr);
      assert.equal(sha256(back), sha256(there));
    });
  }

  it('puts and gets 16 MiB with sftp', async () => {
    const [there, back] = [join(folder, 'sftp-there'), join(folder, 'sftp-back')];
    writeFileSync(there, randomBytes(16 * mebibyte));
    const { code, stderr } = await byPassword.run(
      'sftp',
      // -b would forbid the password; commands on standard input do not.
      [...byPassword.options, '-P', byPassword.port, byPassword.target],
      { input: `put ${there} /gemini/output/sftp\nget /gemini/output/sftp ${back}\n` },
    );
    assert.equal(code, 0, stderr);
    const inside = await byKey.ssh('sha256sum /gemini/output/sftp');
    assert.equal(inside.stdout.split(' ')[0], sha256(there));
    assert.equal(sha256(back), sha256(there));
  });

  it('mirrors a folder with rsync, both ways', async () => {
    const [there, back] = [join(folder, 'rsync-there'), join(folder, 'rsync-back')];
    mkdirSync(join(there, 'deep', 'er'), { recursive: true });
    writeFileSync(join(there, 'deep', 'er', 'ümläut 文件.txt'), 'text\n');
    writeFileSync(join(there, 'script'), '#!/bin/sh\n', { mode: 0o755 });
    for (const [from, to] of [
      [`${there}/`, `${byKey.target}:/gemini/code/mirror/`],
      [`${byKey.target}:/gemini/code/mirror/`, `${back}/`],
    ]) {
      const { code, stderr } = await execute('rsync', ['-a', '-e', sshProgram(), from ?? '', to ?? '']);
      assert.equal(code, 0, stderr);
    }
    // The owner differs: the files inside belong to the environment's user.
    const compare = ['-ainc', '--no-owner', '--no-group', '--delete', `${there}/`, `${back}/`];
    const difference = await execute('rsync', compare);
    assert.deepEqual([difference.code, difference.stdout], [0, '']);
    assert.equal((await byKey.ssh('stat -c %a /gemini/code/mirror/script')).stdout, '755\n');
  });

  it('forwards a local port to a service inside', async () => {
    const service = await serviceInside();
    const port = await freePort();
    const tunnel = start('ssh', [
      ...byKey.options,
      ...['-N', '-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${port}:127.0.0.1:${service.port}`],
      ...['-p', byKey.port, byKey.target],
    ]);
    const { stdout } = await eventually(
      () => execute('curl', ['-sS', '--max-time', '5', `http://127.0.0.1:${port}/`]),
      ({ code }) => code === 0 || tunnel.ended,
    );
    assert.equal(stdout, `inside ${id}`, tunnel.stderr);
    await Promise.all([tunnel.stop(), service.stop()]);
  });

  it('forwards a port inside to a service at home', async () => {
    const home = createServer((_request, response) => response.end('at home'));
    await new Promise<void>((resolve) => home.listen(0, '127.0.0.1', resolve));
    try {
      const tunnel = start('ssh', [
        ...byKey.options,
        ...['-N', '-R', `127.0.0.1:0:127.0.0.1:${(home.address() as AddressInfo).port}`],
        ...['-p', byKey.port, byKey.target],
      ]);
      const [, port = ''] = await tunnel.says(/Allocated port (\d+)/);
      const { stdout, stderr } = await byKey.ssh(`curl -sS --max-time 5 http://127.0.0.1:${port}/`);
      assert.equal(stdout, 'at home', stderr);
      await tunnel.stop();
    } finally {
      home.closeAllConnections();
      home.close();
    }
  });

  it('is a SOCKS proxy, after a script was piped to its shell, as VS Code does both', async () => {
    const port = await freePort();
    const code = start(
      'ssh',
      [...byKey.options, '-T', '-D', `127.0.0.1:${port}`, '-p', byKey.port, byKey.target, 'bash'],
      {
        input: `uname -sm\n[ -d ~/.vscode-test ] || mkdir -p ~/.vscode-test\n(${serveInside}) > ~/.vscode-test/log 2>&1 &
until grep -q serving ~/.vscode-test/log; do sleep 0.02; done\necho "listeningOn==$(cat ~/.vscode-test/log)=="\n`,
      },
    );
    const [, inside = ''] = await code.says(/listeningOn==serving on (\d+)==/);
    assert.match(code.stdout, /^Linux x86_64\n|^Linux aarch64\n/);
    const socks = ['--socks5-hostname', `127.0.0.1:${port}`];
    const { stdout, stderr } = await execute('curl', ['-sS', ...socks, `http://localhost:${inside}/`]);
    assert.equal(stdout, `inside ${id}`, stderr);
    await code.stop();
  });

  it('shows the keys of a forwarded agent, and none without forwarding', async () => {
    const socket = join(folder, 'agent');
    const environment = { SSH_AUTH_SOCK: socket };
    const agent = start('ssh-agent', ['-D', '-a', socket]);
    await eventually(
      () => execute('ssh-add', ['-q', key], { environment }),
      ({ code }) => code === 0,
    );
    const held = await execute('ssh-add', ['-l'], { environment });
    const forwarded = await byKey.ssh('ssh-add -l', { flags: ['-A'], environment });
    assert.equal(forwarded.stdout, held.stdout, forwarded.stderr);
    assert.match(forwarded.stdout, /ED25519/);
    assert.notEqual((await byKey.ssh('ssh-add -l', { flags: ['-a'], environment })).code, 0);
    await agent.stop();
  });

  it('is a place to push to and clone from with git', async () => {
    const environment = {
      GIT_SSH_COMMAND: sshProgram(),
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
    };
    const git = async (...commandLine: string[]) => {
      const { code, stdout, stderr } = await execute('git', commandLine, { environment });
      assert.equal(code, 0, `git ${commandLine.join(' ')}: ${stderr}`);
      return stdout;
    };
    const made = await byKey.ssh('git init -q --bare /gemini/code/project.git');
    assert.equal(made.code, 0, made.stderr);
    const remote = `${byKey.target}:/gemini/code/project.git`;
    const [work, clone] = [join(folder, 'work'), join(folder, 'clone')];
    await git('init', '-q', '-b', 'main', work);
    writeFileSync(join(work, 'file'), randomBytes(100_000).toString('hex'));
    await git('-C', work, 'add', '.');
    await git('-C', work, '-c', 'user.name=T', '-c', 'user.email=t@example.com', 'commit', '-qm', 'One');
    await git('-C', work, 'push', '-q', remote, 'main');
    await git('clone', '-q', '-b', 'main', remote, clone);
    assert.equal(sha256(join(clone, 'file')), sha256(join(work, 'file')));
  });

  it('keeps a detached tmux session for the next login', async () => {
    const first = await byKey.ssh('tmux new-session -d -s work "sleep 300"');
    assert.equal(first.code, 0, first.stderr);
    const second = await byPassword.ssh('tmux list-sessions');
    assert.match(second.stdout, /^work: 1 windows/, second.stderr);
    await byKey.ssh('tmux kill-server');
  });

  it('serves thirty sessions at once on one connection', async () => {
    const control = join(folder, 'control');
    const flags = ['-S', control];
    const master = start('ssh', [...byKey.options, '-N', '-M', ...flags, '-p', byKey.port, byKey.target]);
    await eventually(
      () => byKey.ssh('true', { flags: [...flags, '-O', 'check'] }),
      ({ code }) => code === 0 || master.ended,
    );
    // Each session stays until all thirty are there.
    const meet =
      'mkdir -p /tmp/meet; touch /tmp/meet/$$; until [ $(ls /tmp/meet | wc -l) = 30 ]; do sleep 0.1; done';
    const sessions = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        byKey.ssh(`${meet}; echo ${index}`, { flags, timeoutMs: 30_000 }),
      ),
    );
    assert.deepEqual(
      sessions.map(({ stdout }) => stdout),
      sessions.map((_, index) => `${index}\n`),
      JSON.stringify(sessions),
    );
    await master.stop();
  });

  it('lets an added key in within two seconds, and out after it was deleted', async () => {
    const added = await makeKey(folder, 'added');
    const withAdded = await login(added);
    const refused = await withAdded.ssh('true');
    assert.equal(refused.code, 255);
    assert.match(refused.stderr, /Permission denied/);

    const { id: keyId } = await addKey('added', added);
    await eventually(
      () => withAdded.ssh('true'),
      ({ code }) => code === 0,
      inForceMs,
    );
    const deleted = await berth.call('DELETE', pathOf(routes.sshKey, { id: String(keyId) }));
    assert.equal(deleted.status, 204);
    const after = await eventually(
      () => withAdded.ssh('true'),
      ({ code }) => code !== 0,
      inForceMs,
    );
    assert.match(after.stderr, /Permission denied/);
    assert.equal((await byKey.ssh('true')).code, 0, 'the other key still opens it');
  });

  it('takes a new password within two seconds, and the old one no more', async () => {
    const old = await login();
    assert.equal((await old.ssh('true')).code, 0);
    const answer = await berth.call<NewPassword>('POST', pathOf(routes.environmentResetPassword, { id }));
    assert.equal(answer.status, 200);
    assert.notEqual(answer.body.ssh_password, old.access.ssh_password);
    byPassword = await login();
    assert.equal(byPassword.access.ssh_password, answer.body.ssh_password);
    await eventually(
      () => byPassword.ssh('true'),
      ({ code }) => code === 0,
      inForceMs,
    );
    const refused = await old.ssh('true');
    assert.equal(refused.code, 255);
    assert.match(refused.stderr, /Permission denied/);
  });

  it('refuses a wrong password', async () => {
    const wrong = await login();
    writeFileSync(join(wrong.folder, 'password'), `${wrong.access.ssh_password}x\n`);
    const { code, stderr } = await wrong.ssh('true');
    assert.equal(code, 255);
    assert.match(stderr, /Permission denied/);
  });

  it('refuses root, with the password and with the key', async () => {
    for (const who of [byPassword, byKey]) {
      const { code, stdout, stderr } = await who.run('ssh', [
        ...who.options,
        ...['-p', who.port, '-l', 'root', who.access.ssh_host, 'id'],
      ]);
      assert.notEqual(code, 0, stderr);
      assert.equal(stdout, '');
    }
  });

  it('reads no keys that somebody wrote into ~/.ssh/authorized_keys', async () => {
    const own = await makeKey(folder, 'own');
    const written = await byKey.ssh(
      'umask 077; mkdir -p ~/.ssh; cat > ~/.ssh/authorized_keys; cp ~/.ssh/authorized_keys{,2}',
      { input: readFileSync(`${own}.pub`) },
    );
    assert.equal(written.code, 0, written.stderr);
    const { code, stderr } = await (await login(own)).ssh('true');
    assert.equal(code, 255);
    assert.match(stderr, /Permission denied/);
  });

  it('shows the host key that Berth named, and a client that pinned another one refuses it', async () => {
    const { access } = byKey;
    const scanned = await execute('ssh-keyscan', ['-p', byKey.port, access.ssh_host]);
    assert.equal(
      scanned.stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .join('\n'),
      access.known_hosts,
    );
    const shown = await execute('ssh-keygen', ['-l', '-f', '-'], { input: scanned.stdout });
    assert.equal(shown.stdout.split(' ')[1], access.host_keys[0]?.fingerprint);

    const stranger = await login(key);
    const [type, blob] = readFileSync(`${key}.pub`, 'utf8').split(' ');
    writeFileSync(
      join(stranger.folder, 'known_hosts'),
      `[${access.ssh_host}]:${access.ssh_port} ${type} ${blob}\n`,
    );
    const { code, stderr } = await stranger.ssh('true');
    assert.equal(code, 255);
    assert.match(stderr, /Host key verification failed/);
  });
});

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
