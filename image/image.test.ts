/**
 * The environment image as people meet it: real containers with the capabilities that Berth gives them, reached by
 * the stock OpenSSH client of this machine. gateway.test.ts has what is different behind the gateway.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sshdCapabilities, sudoCapabilities } from './capabilities.ts';
import {
  addressOf,
  cleanUp,
  create,
  docker,
  folder,
  hashOf,
  imageReference,
  keyFile,
  keyOptions,
  log,
  makeSecrets,
  maskIn,
  password,
  prepare,
  publicKeyOf,
  put,
  refused,
  run,
  skipWithoutDocker,
  start,
  until,
  volumeAt,
  withKey,
  withPassword,
  writeVariables,
} from './testing/environment.ts';
import type { Environment } from './testing/environment.ts';

/** Bits of capabilities(7) by name; only those that the image uses. */
const capabilityBits: Record<string, number> = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  FSETID: 4,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  NET_BIND_SERVICE: 10,
  SYS_CHROOT: 18,
  AUDIT_WRITE: 29,
  SETFCAP: 31,
};

describe('the environment image', { skip: skipWithoutDocker }, () => {
  let shared: Environment;

  before(async () => {
    await prepare();
    shared = await start();
  });

  after(cleanUp);

  describe('lets in and refuses', () => {
    it('takes the right password and refuses a wrong one', async () => {
      assert.equal((await withPassword(shared, password)).stdout, 'developer\n');
      refused(await withPassword(shared, 'wrong'));
    });

    it('takes a key that Berth wrote and refuses a stranger', async () => {
      assert.equal((await withKey(shared, 'user', 'id -un')).stdout, 'developer\n');
      refused(await withKey(shared, 'stranger', 'true'));
    });

    it('takes a certificate for this environment, names its key ID in the log', async () => {
      assert.equal((await withKey(shared, 'certified', 'id -un')).stdout, 'developer\n');
      assert.match(await log(shared.container), /Accepted publickey .*ID certified/);
    });

    it('refuses a certificate for another environment and one of another authority', async () => {
      refused(await withKey(shared, 'misdirected', 'true'));
      refused(await withKey(shared, 'forged', 'true'));
    });

    it('refuses root and system accounts, whatever they bring', async () => {
      for (const user of ['root', 'backup', '_apt']) {
        for (const key of ['user', 'certified']) refused(await withKey(shared, key, 'true', user));
      }
      refused(await withPassword(shared, password, 'root'));
    });

    it('does not read ~/.ssh/authorized_keys', async () => {
      const publicKey = publicKeyOf('spare').trim();
      const command = `install -d -m 700 ~/.ssh && echo '${publicKey}' > ~/.ssh/authorized_keys && chmod 600 ~/.ssh/*`;
      assert.equal((await withKey(shared, 'user', command)).status, 0);
      refused(await withKey(shared, 'spare', 'true'));
    });

    it('lets a key in while the password is off', async () => {
      const secrets = makeSecrets();
      rmSync(join(secrets, 'password_hash'));
      const environmentWithout = await start({ secrets });
      refused(await withPassword(environmentWithout, password));
      refused(await withPassword(environmentWithout, ''));
      assert.equal((await withKey(environmentWithout, 'user', 'true')).status, 0);
    });

    it('renames the user and gives it a home of that name', async () => {
      const renamed = await start({ environment: ['BERTH_USER=anna'] });
      const { stdout } = await withKey(
        renamed,
        'user',
        'id -un; id -gn; pwd; echo $HOME; stat -c %U:%G ~/.bashrc; touch ~/x && echo written',
        'anna',
      );
      assert.equal(stdout, 'anna\nanna\n/home/anna\n/home/anna\nanna:anna\nwritten\n');
      refused(await withKey(renamed, 'user', 'true', 'developer'));
      await renamed.container.restart();
      renamed.address = await addressOf(renamed.container);
      await until('a second start', async () => (await withPassword(renamed, password, 'anna')).status === 0);
    });
  });

  describe('takes a change over within two seconds and without a restart', () => {
    let changed: Environment;
    before(async () => {
      changed = await start();
    });

    it('a new password, and refuses the old one', async () => {
      put(changed.secrets, 'password_hash', hashOf('battery-staple-2'));
      await until(
        'new password',
        async () => (await withPassword(changed, 'battery-staple-2')).status === 0,
        2_000,
      );
      refused(await withPassword(changed, password));
    });

    it('a new key, and refuses the one that was removed', async () => {
      put(changed.secrets, 'authorized_keys', publicKeyOf('spare'));
      await until('new key', async () => (await withKey(changed, 'spare', 'true')).status === 0, 2_000);
      refused(await withKey(changed, 'user', 'true'));
    });

    it('an empty key file: no key gets in', async () => {
      put(changed.secrets, 'authorized_keys', '');
      await until('no key', async () => (await withKey(changed, 'spare', 'true')).status !== 0, 2_000);
    });

    it('a withdrawn principal', async () => {
      assert.equal((await withKey(changed, 'certified', 'true')).status, 0);
      put(changed.secrets, 'principals', 'other-9xyz\n');
      await until(
        'other principal',
        async () => (await withKey(changed, 'misdirected', 'true')).status === 0,
        2_000,
      );
      refused(await withKey(changed, 'certified', 'true'));
    });

    it('keeps what works when a file holds nothing of its kind', async () => {
      put(changed.secrets, 'password_hash', 'half a ha');
      await until('the sentence', async () =>
        (await log(changed.container)).includes('/etc/berth/password_hash holds nothing of its kind'),
      );
      assert.equal((await withPassword(changed, 'battery-staple-2')).status, 0);
    });

    it('also after its watcher was killed', async () => {
      const exec = await changed.container.exec({ Cmd: ['pkill', '-9', '-n', '-f', 'lib/berth/entrypoint'] });
      await exec.start({});
      await until('new watcher', async () => (await log(changed.container)).includes('starts again'));
      put(changed.secrets, 'password_hash', hashOf('battery-staple-3'));
      await until(
        'new password',
        async () => (await withPassword(changed, 'battery-staple-3')).status === 0,
        4_000,
      );
    });
  });

  describe('starts and ends', () => {
    it('says in one line why it does not start', async () => {
      const cases: [string[], (secrets: string) => void, RegExp][] = [
        [
          [],
          (secrets) => rmSync(join(secrets, 'ssh_host_ed25519_key')),
          /^.*berth: .*ssh_host_ed25519_key is missing.*$/m,
        ],
        [
          [],
          (secrets) => put(secrets, 'ssh_host_ed25519_key', 'x'),
          /berth: .* is not an OpenSSH private key/,
        ],
        [['BERTH_USER=root'], () => undefined, /berth: BERTH_USER=root is the name of a system account/],
        [['BERTH_SUDO=maybe'], () => undefined, /berth: BERTH_SUDO must be true or false, not 'maybe'/],
        [
          ['BERTH_EXEMPT_SOURCES=10.0.0.0/99'],
          () => undefined,
          /berth: sshd did not start .*PerSourcePenaltyExemptList/,
        ],
      ];
      await Promise.all(
        cases.map(async ([variables, spoil, sentence]) => {
          const secrets = makeSecrets();
          spoil(secrets);
          const container = await create({ secrets, environment: variables });
          await container.start();
          const { StatusCode } = (await container.wait()) as { StatusCode: number };
          assert.equal(StatusCode, 1);
          assert.match(await log(container), sentence);
        }),
      );
    });

    it('gives processes their TERM, passes their exit status on and stops in time with status 0', async () => {
      const stopped = await start();
      const command =
        'trap "echo saving; sleep 0.5; echo saved; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
      const session = spawn('ssh', [...keyOptions('user'), `developer@${stopped.address}`, command]);
      let output = '';
      session.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const ended = new Promise((resolve) => session.on('close', resolve));
      await until('the process runs', async () => output.includes('ready'));
      // An idle login shell ignores TERM; it must not cost the five seconds.
      const idle = spawn('ssh', ['-tt', ...keyOptions('user'), `developer@${stopped.address}`]);
      let prompt = '';
      idle.stdout.on('data', (chunk: Buffer) => (prompt += chunk.toString()));
      await until('a prompt', async () => prompt.includes('$ '));
      assert.match(prompt, /\/gemini\/code.*last/, 'an interactive login says which folders last');

      const startedMs = Date.now();
      await stopped.container.stop({ t: 10 });
      assert.ok(Date.now() - startedMs < 4_000, `took ${Date.now() - startedMs} ms`);
      assert.equal((await stopped.container.inspect()).State.ExitCode, 0);
      assert.equal(await ended, 3);
      assert.match(output, /saving\nsaved\n/);
    });

    it('ends with a sentence and a failure when sshd dies', async () => {
      const doomed = await start();
      await (await doomed.container.exec({ Cmd: ['pkill', '-9', '-o', '-x', 'sshd'] })).start({});
      const { StatusCode } = (await doomed.container.wait()) as { StatusCode: number };
      assert.equal(StatusCode, 1);
      assert.match(await log(doomed.container), /berth: sshd ended with status 137/);
    });

    it('becomes healthy without a word in the log', async () => {
      await until(
        'healthy',
        async () => (await shared.container.inspect()).State.Health?.Status === 'healthy',
      );
      assert.doesNotMatch(await log(shared.container), /Connection (reset|closed) by 127\.0\.0\.1/);
    });

    it('reaps orphans', async () => {
      const started = await withKey(shared, 'user', 'setsid sh -c "sleep 0.3" >/dev/null 2>&1 & echo $!');
      const pid = started.stdout.trim();
      assert.match(pid, /^\d+$/);
      await until('the orphan is gone', async () => {
        const { stdout } = await withKey(shared, 'user', 'ps -eo stat=,comm=');
        return !/^Z|sleep/m.test(stdout) || undefined;
      });
    });

    it('fills an empty volume at home and gives the folders to the user', async () => {
      const mounts = ['/home/developer', '/gemini/code', '/gemini/output'].map((target, index) =>
        volumeAt(target, `${index}`, { NoCopy: true }),
      );
      const fresh = await start({ mounts });
      const { stdout } = await withKey(
        fresh,
        'user',
        'stat -c "%U %n" ~ ~/.bashrc ~/.profile /gemini/*; touch /gemini/code/x && echo written',
      );
      assert.deepEqual(stdout.trim().split('\n'), [
        'developer /home/developer',
        'developer /home/developer/.bashrc',
        'developer /home/developer/.profile',
        'developer /gemini/code',
        'developer /gemini/output',
        'written',
      ]);
    });
  });

  describe('gives sessions the variables that Berth mounts', () => {
    const variables: Record<string, string> = {
      PLAIN: 'a value',
      EMPTY: '',
      SPACES: '  around  ',
      QUOTES: `it's "quoted" \\" \\' \\\\ \`not run\``,
      DOLLARS: '$HOME ${HOME} $(id) %h & # ; | * ~ !',
      SEVERAL_LINES: "first\nsecond's\n\n",
      RETURN: 'a\rb\r',
      UNICODE: '数据 Ünïcödé 🚀',
      LONG: 'x'.repeat(8192),
      PATH: '/opt/own/bin:/usr/local/bin:/usr/bin:/bin',
    };
    let varied: Environment;
    before(async () => {
      const secrets = makeSecrets();
      writeVariables(secrets, variables);
      varied = await start({ secrets });
    });

    const seenBy = (stdout: string) => {
      const pairs = stdout.split('\0').map((pair) => /^([^=]*)=([^]*)$/.exec(pair)?.slice(1) ?? ['', '']);
      const seen = Object.fromEntries(pairs) as Record<string, string>;
      return Object.fromEntries(Object.keys(variables).map((name) => [name, seen[name]]));
    };

    it('byte for byte: to a command, a login shell, an interactive one and JupyterLab’s Python', async () => {
      const python = `import os; print('\\0'.join(f'{k}={v}' for k, v in os.environ.items()), end='')`;
      for (const command of [
        'env -0',
        'bash -lc "env -0"',
        'bash -ic "env -0" 2>/dev/null',
        'sh -lc "env -0"',
        `/opt/jupyter/bin/python -c "${python}"`,
      ]) {
        const { stdout, stderr } = await withKey(varied, 'user', command);
        assert.deepEqual(seenBy(stdout), variables, `${command}: ${stderr}`);
        assert.equal(stderr, '');
      }
    });

    it('in a terminal, where a person logs in', async () => {
      const command = `env -0 > ~/seen; exit`;
      const options = [...keyOptions('user'), '-tt', `developer@${varied.address}`];
      await run('ssh', options, `${command}\n`);
      const { stdout } = await withKey(varied, 'user', 'cat ~/seen');
      assert.deepEqual(seenBy(stdout), variables);
    });

    it('without a shell of its own making, but for those with line breaks', async () => {
      const { stdout } = await withKey(varied, 'user', 'cat /proc/$$/environ');
      const { SEVERAL_LINES: _lines, RETURN: _return, ...others } = variables;
      const seen = seenBy(stdout);
      for (const [name, value] of Object.entries(others)) assert.equal(seen[name], value, name);
    });

    it('and leaves those alone that a person has changed since', async () => {
      const { stdout } = await withKey(
        varied,
        'user',
        'export PLAIN=mine; bash -ic "printenv PLAIN" 2>/dev/null',
      );
      assert.equal(stdout, 'mine\n');
    });

    it('from the next start, with none of the old ones left', async () => {
      writeVariables(varied.secrets, { OTHER: 'new' });
      await varied.container.restart();
      varied.address = await addressOf(varied.container);
      await until('a second start', async () => (await withKey(varied, 'user', 'true')).status === 0);
      const { stdout } = await withKey(varied, 'user', 'bash -lc "env"');
      assert.match(stdout, /^OTHER=new$/m);
      assert.doesNotMatch(stdout, /^PLAIN=/m);
    });

    it('and shows them to nobody else', async () => {
      const secret = 'a secret of a person';
      writeVariables(varied.secrets, { SECRET: secret });
      await varied.container.restart();
      varied.address = await addressOf(varied.container);
      await until('another start', async () => (await withKey(varied, 'user', 'true')).status === 0);
      const seen = [
        JSON.stringify(await varied.container.inspect()),
        await log(varied.container),
        JSON.stringify(await varied.container.top()),
      ];
      for (const each of seen) assert.ok(!each.includes(secret));
      const { stdout } = await withKey(
        varied,
        'user',
        'stat -c "%U %a" /run/berth/variables /run/berth/sshd_config',
      );
      assert.equal(stdout, 'developer 600\nroot 600\n');
    });
  });

  describe('holds its powers and secrets', () => {
    const maskOf = (names: readonly string[]) =>
      names.reduce((mask, name) => {
        const bit = capabilityBits[name];
        assert.ok(bit !== undefined, `${name} is expected nowhere`);
        return mask | (1n << BigInt(bit));
      }, 0n);
    it('with sudo off: no capability in a session, none to be gained', async () => {
      const { stdout } = await withKey(shared, 'user', 'cat /proc/self/status');
      assert.equal(maskIn(stdout, 'CapEff'), 0n);
      assert.equal(maskIn(stdout, 'CapBnd'), maskOf(sshdCapabilities));
      assert.match(stdout, /NoNewPrivs:\s+1/);
      const sudo = await withKey(shared, 'user', 'sudo -n true');
      assert.notEqual(sudo.status, 0);
    });

    it('with sudo on: installs a package whose program has a group of its own', async () => {
      const powerful = await start({ sudo: true });
      const { stdout } = await withKey(powerful, 'user', 'sudo -n cat /proc/self/status');
      assert.equal(maskIn(stdout, 'CapEff'), maskOf(sudoCapabilities));
      const script = [
        'set -e; cd $(mktemp -d); mkdir -p p/DEBIAN p/usr/bin; cp /bin/true p/usr/bin/berth-test',
        'printf "Package: berth-test\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.com>\\nDescription: x\\n" > p/DEBIAN/control',
        'sudo chown -R root:root p; sudo chgrp shadow p/usr/bin/berth-test; sudo chmod 2755 p/usr/bin/berth-test',
        'sudo dpkg-deb -b p p.deb >/dev/null; sudo dpkg -i p.deb >/dev/null; stat -c "%a %G" /usr/bin/berth-test',
      ].join('\n');
      const installed = await withKey(powerful, 'user', script);
      assert.equal(installed.stdout, '2755 shadow\n', installed.stderr);
    });

    it('shows no secret in docker inspect, in the log or in the process list', async () => {
      const host = readFileSync(keyFile('host'), 'utf8').split('\n')[2] ?? '';
      const hash = readFileSync(join(shared.secrets, 'password_hash'), 'utf8').trim();
      const seen = [
        JSON.stringify(await shared.container.inspect()),
        JSON.stringify(await docker.getImage(imageReference()).inspect()),
        await log(shared.container),
        JSON.stringify(await shared.container.top()),
      ].join('\n');
      for (const secret of [host, hash, password]) {
        assert.ok(secret.length > 10);
        assert.ok(!seen.includes(secret));
      }
      const { stdout } = await withKey(
        shared,
        'user',
        'env; cat /run/berth/ssh_host_ed25519_key /run/berth/password_hash /etc/shadow /etc/berth/password_hash 2>/dev/null',
      );
      for (const secret of [host, hash]) assert.ok(!stdout.includes(secret));
    });

    it('carries no host key', async () => {
      const { stdout } = await run('docker', [
        'run',
        '--rm',
        '--entrypoint',
        'find',
        imageReference(),
        '/etc/ssh',
        '/run/berth',
        '-type',
        'f',
      ]);
      assert.match(stdout, /sshd_config/);
      assert.doesNotMatch(stdout, /ssh_host/);
    });
  });

  describe('serves what SSH clients do', () => {
    it('moves files by sftp, scp and rsync, byte for byte', async () => {
      const data = join(folder, 'data');
      writeFileSync(data, Buffer.alloc(3_000_000, 'Berth\0\xff'));
      const options = keyOptions('user');
      const target = `developer@${shared.address}`;
      const sftp = await run('sftp', ['-b', '-', ...options, target], `put ${data} /gemini/code/sftp\n`);
      assert.equal(sftp.status, 0, sftp.stderr);
      const scp = await run('scp', [...options, data, `${target}:/gemini/code/scp`]);
      assert.deepEqual([scp.status, scp.stderr], [0, '']);
      const rsync = await run('rsync', [
        '-e',
        `ssh ${options.join(' ')}`,
        data,
        `${target}:/gemini/code/rsync`,
      ]);
      assert.equal(rsync.status, 0, rsync.stderr);
      const { stdout } = await withKey(
        shared,
        'user',
        'cd /gemini/code; sha256sum sftp scp rsync | cut -d" " -f1',
      );
      const expected = execFileSync('sha256sum', [data], { encoding: 'utf8' }).split(' ')[0];
      assert.deepEqual(stdout.trim().split('\n'), [expected, expected, expected]);
    });

    it('gives a terminal that belongs to the user', async () => {
      const result = await run('ssh', [
        ...['-tt', ...keyOptions('user'), `developer@${shared.address}`],
        'stat -c %U $(tty)',
      ]);
      assert.equal(result.stdout.trim(), 'developer', result.stderr);
    });

    it('forwards ports, sockets and X11', async () => {
      const target = `developer@${shared.address}`;
      const direct = await run('ssh', [...keyOptions('user'), '-W', '127.0.0.1:22', target]);
      assert.match(direct.stdout, /^SSH-2\.0-OpenSSH_10/);
      const remote = await run('ssh', [
        ...[...keyOptions('user'), '-R', `/tmp/berth.sock:${shared.address}:22`, target],
        'python3 -c "import socket; s=socket.socket(socket.AF_UNIX); s.connect(\'/tmp/berth.sock\'); print(s.recv(20))"',
      ]);
      assert.match(remote.stdout, /SSH-2\.0-OpenSSH_10/);
      const x11 = execFile(
        'ssh',
        ['-Y', ...keyOptions('user'), '-o', 'XAuthLocation=/bin/true', target, 'echo $DISPLAY'],
        { env: { ...process.env, DISPLAY: ':99' } },
      );
      let display = '';
      x11.stdout?.on('data', (chunk: string) => (display += chunk));
      await new Promise((resolve) => x11.on('close', resolve));
      assert.match(display, /^localhost:1\d\.0/);
    });

    it('says nothing but the command’s own output to a session without a terminal', async () => {
      const result = await run('ssh', [...keyOptions('user'), `developer@${shared.address}`], 'echo ours\n');
      assert.deepEqual([result.stdout, result.stderr], ['ours\n', '']);
    });

    it('offers post-quantum key exchange first and no SHA-1', async () => {
      const { stdout, stderr } = await run('docker', [
        ...['run', '--rm', '--entrypoint', 'ssh', imageReference(), '-vv', '-o', 'StrictHostKeyChecking=no'],
        ...['-o', 'BatchMode=yes', `developer@${shared.address}`],
      ]);
      const seen = stdout + stderr;
      assert.match(seen, /kex: algorithm: mlkem768x25519-sha256/);
      const offered = /peer server KEXINIT proposal[\s\S]*/.exec(seen)?.[0] ?? '';
      assert.match(offered, /KEX algorithms: mlkem768x25519-sha256,sntrup761x25519-sha512,/);
      assert.doesNotMatch(offered.split('MACs stoc')[0] ?? '', /sha1|-cbc/);
    });
  });
});
