/** Where secrets must not be: anywhere in plain text but in the two places that are documented. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { LoginToken, NewPassword } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, call, docker, skipWithoutDocker } from '../harness/berth.ts';
import { Login, eventually } from '../harness/ssh.ts';

const needsRoot = process.getuid?.() !== 0 && "needs root, to read other processes' environments";

describe('secrets', { skip: skipWithoutDocker || needsRoot }, () => {
  let berth: TestBerth;
  let id: string;
  let login: Login;
  /** Each must be found nowhere. */
  const secrets = new Map<string, string>();

  before(async () => {
    berth = await TestBerth.start({ settings: { BERTH_LOG_LEVEL: 'trace' } });
    const variable = 'Variable-of-a-person-9x';
    secrets.set('a variable', variable);
    const created = await berth.createRunning({ name: 'secrets', env_vars: { TOKEN: variable } });
    id = created.env_id;
    secrets.set("the environment's first password", created.ssh_password);

    const admin = readFileSync(join(berth.dataDir, 'admin-password'), 'utf8').trim();
    secrets.set("the admin's password", admin);
    const [, host = '', port = ''] = /"http":"([\d.]+):(\d+)"/.exec(berth.log) ?? [];
    const http = { host, port: Number(port) };
    const { body } = await call<LoginToken>(http, 'POST', routes.login, {
      account: 'admin',
      password: admin,
    });
    secrets.set('a token', body.token);
    const authorization = `Bearer ${body.token}`;
    assert.equal((await call(http, 'GET', routes.whoami, undefined, { authorization })).status, 200);

    const wrong = 'Wrong-Password-7q';
    secrets.set('a password that somebody mistyped', wrong);
    assert.equal((await call(http, 'POST', routes.login, { account: 'admin', password: wrong })).status, 401);
    const unknown = `berth_${'x'.repeat(43)}`;
    secrets.set('a token that is not one', unknown);
    const refused = await call(http, 'GET', routes.whoami, undefined, { authorization: `Bearer ${unknown}` });
    assert.equal(refused.status, 401);

    const reset = await berth.call<NewPassword>('POST', pathOf(routes.environmentResetPassword, { id }));
    secrets.set("the environment's new password", reset.body.ssh_password);
    login = new Login(await berth.ssh(id));
    await eventually(
      () => login.ssh('true'),
      ({ code }) => code === 0,
    );
    // Restarted, so that what is only written at the end or read at a start is written and read.
    await berth.kill('SIGTERM');
    assert.equal(await berth.up(), true);
    await berth.until(id, 'running');
  });

  after(async () => {
    login?.remove();
    await berth?.remove();
  });

  function mustHoldNone(text: string | Buffer, where: string, except: string[] = []): void {
    for (const [what, secret] of secrets) {
      if (!except.includes(what)) assert.equal(text.includes(secret), false, `${what} stands in ${where}`);
    }
  }

  it("are not in the container's configuration or log", async () => {
    const container = docker.getContainer(id);
    mustHoldNone(JSON.stringify(await container.inspect()), 'docker inspect');
    const log = await container.logs({ stdout: true, stderr: true });
    assert.match(log.toString('utf8'), /Accepted password for developer/);
    mustHoldNone(log, "the container's log");
  });

  it("are not in the data folder's files, but for the admin's first password and what is mounted", () => {
    const files = allFiles(berth.dataDir);
    assert.ok(files.length > 20, 'the embedded database is among them');
    for (const file of files) {
      const name = relative(berth.dataDir, file);
      const known = new Map([
        ['admin-password', "the admin's password"],
        [join('environments', id, 'variables'), 'a variable'],
      ]);
      mustHoldNone(readFileSync(file), name, [known.get(name) ?? '']);
    }
  });

  it("are not in the server's log, at its most talkative level", () => {
    assert.match(berth.log, /Berth is up/);
    mustHoldNone(berth.log, "the server's log");
  });

  it('are not in the command line or the environment of a process', async () => {
    const { Processes } = (await docker.getContainer(id).top({ ps_args: '-eo pid' })) as {
      Processes: string[][];
    };
    const processes = [berth.pid, ...Processes.map(([pid]) => Number(pid))];
    assert.ok(processes.length >= 3, 'the server, process 1 and sshd');
    for (const pid of processes)
      mustHoldNone(read(`/proc/${pid}/environ`), `the environment of process ${pid}`);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      mustHoldNone(read(`/proc/${pid}/cmdline`), `the command line of process ${pid}`);
    const hashes = read(join(berth.dataDir, 'environments', id, 'password_hash'));
    for (const pid of processes) {
      assert.equal(read(`/proc/${pid}/environ`).includes(hashes.toString('utf8').trim()), false);
    }
  });

  it('are not in the timeline, the settings in force or the answers that need none', async () => {
    const timeline = await berth.events(id);
    assert.ok(timeline.some(({ message }) => /new password/.test(message)));
    mustHoldNone(JSON.stringify(timeline), 'the timeline');
    for (const path of [
      pathOf(routes.environment, { id }),
      routes.environments,
      routes.platform,
      routes.ports,
      routes.openapi,
    ]) {
      mustHoldNone(JSON.stringify((await berth.call('GET', path)).body), path);
    }
    const log = await berth.call<string>('GET', pathOf(routes.environmentLogs, { id }));
    mustHoldNone(log.body, routes.environmentLogs);
  });

  it('stand in files and folders that only their owner can open', () => {
    const mode = (...path: string[]) => (statSync(join(berth.dataDir, ...path)).mode & 0o777).toString(8);
    for (const folder of ['', 'environments', join('environments', id)])
      assert.equal(mode(folder), '700', folder);
    for (const file of ['secret.key', 'admin-password', 'berth.sock']) assert.equal(mode(file), '600', file);
    const mounted = readdirSync(join(berth.dataDir, 'environments', id)).sort();
    assert.deepEqual(mounted, [
      'authorized_keys',
      'password_hash',
      'principals',
      'ssh_host_ed25519_key',
      'trusted_user_ca.pub',
      'variables',
    ]);
    for (const file of mounted) assert.equal(mode('environments', id, file), '600', file);
  });

  it('reach the container as a hash, which its user cannot read either', async () => {
    const { stdout } = await login.ssh(
      `for file in /etc/berth /etc/berth/ssh_host_ed25519_key /etc/berth/password_hash /etc/shadow \
         /run/berth/ssh_host_ed25519_key /proc/1/environ; do
         if cat $file >/dev/null 2>&1 || ls $file/ >/dev/null 2>&1; then echo "$file can be read"; fi
       done; echo looked`,
    );
    assert.equal(stdout, 'looked\n');
    const asRoot = await login.ssh('sudo sh -c "cat /etc/berth/* /etc/shadow"');
    assert.match(asRoot.stdout, /BEGIN OPENSSH PRIVATE KEY/);
    mustHoldNone(asRoot.stdout, '/etc/berth and /etc/shadow', ['a variable']);
  });

  it('are not in the image: no host key, no authorized key, no password', async () => {
    const image = (await docker.getContainer(id).inspect()).Image;
    const container = await docker.createContainer({
      Image: image,
      Entrypoint: [
        '/bin/bash',
        '-c',
        `find / -xdev \\( -name 'ssh_host_*' -o -name authorized_keys -o -name '*.pem.key' \\) -print;
         grep -rl --include='*' 'BEGIN OPENSSH PRIVATE KEY' /etc /root /home /run; cut -d: -f2 /etc/shadow | sort -u; echo end`,
      ],
      Labels: { 'berth.installation': berth.installationId },
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    await container.wait();
    const log = (await container.logs({ stdout: true })).toString('utf8').replace(/[^\x20-\x7e\n]/g, '');
    const lines = log.split('\n').map((line) => line.trim());
    assert.deepEqual(
      lines.filter((line) => !/^[*!]*$/.test(line)),
      ['end'],
    );
  });
});

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0); // The process has ended meanwhile.
  }
}

function allFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
