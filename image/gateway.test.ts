/**
 * The environment image behind the gateway, where only certificates get in: without root, and with sudo as root.
 * image.test.ts has what holds for every environment.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  cleanUp,
  create,
  environment,
  folder,
  hashOf,
  log,
  makeSecrets,
  maskIn,
  optionsFor,
  password,
  prepare,
  publicKeyOf,
  put,
  refused,
  rootlessPort,
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

const capabilitySets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];

const withCertificate = (to: Environment, command: string) => withKey(to, 'certified', command);

describe('the environment image behind the gateway', { skip: skipWithoutDocker }, () => {
  let rootless: Environment;
  let withSudo: Environment;

  before(async () => {
    await prepare();
    [rootless, withSudo] = await Promise.all([
      start({ exposure: 'gateway' }),
      start({ exposure: 'gateway', sudo: true }),
    ]);
  });
  after(cleanUp);

  for (const [how, which] of [
    ['without root', () => rootless],
    ['with sudo', () => withSudo],
  ] as const) {
    describe(how, () => {
      it('takes a certificate for this environment and names its key ID in the log', async () => {
        assert.equal((await withCertificate(which(), 'id -un')).stdout, 'developer\n');
        assert.match(await log(which().container), /Accepted publickey for developer .*CERT .*ID certified /);
      });

      it('refuses the password and people’s keys, though their files are there', async () => {
        refused(await withPassword(which(), password));
        refused(await withKey(which(), 'user', 'true'));
      });

      it('refuses a certificate for another environment, one of another authority, and root', async () => {
        refused(await withKey(which(), 'misdirected', 'true'));
        refused(await withKey(which(), 'forged', 'true'));
        refused(await withKey(which(), 'certified', 'true', 'root'));
      });

      it('does not take over a password or a key that is written later', async () => {
        put(which().secrets, 'password_hash', hashOf('battery-staple-2'));
        put(which().secrets, 'authorized_keys', publicKeyOf('spare'));
        // What comes after has been seen, so these have been passed over.
        put(which().secrets, 'principals', 'other-9xyz\n');
        await until(
          'other principal',
          async () => (await withKey(which(), 'misdirected', 'true')).status === 0,
          2_000,
        );
        refused(await withKey(which(), 'certified', 'true'));
        refused(await withPassword(which(), 'battery-staple-2'));
        refused(await withKey(which(), 'spare', 'true'));
        put(which().secrets, 'principals', `${environment}\n`);
        await until(
          'first principal',
          async () => (await withCertificate(which(), 'true')).status === 0,
          2_000,
        );
      });

      it('tells sessions what the gateway says of where the person is', async () => {
        const command = [...optionsFor(which(), 'certified'), '-o', 'SetEnv=BERTH_CLIENT=203.0.113.9'];
        const { stdout } = await run('ssh', [
          ...command,
          `developer@${which().address}`,
          'printenv BERTH_CLIENT',
        ]);
        assert.equal(stdout, '203.0.113.9\n');
      });

      it('is not kept out by others who have not said yet who they are', async () => {
        const sockets: Socket[] = [];
        try {
          for (let count = 0; count < 150; count += 1) {
            const socket = connect(which().port, which().address);
            sockets.push(socket);
            const [greeting] = (await once(socket, 'data')) as [Buffer];
            assert.match(greeting.toString(), /^SSH-2\.0-/, `connection ${count}`);
          }
          const results = await Promise.all(
            Array.from({ length: 5 }, () => withCertificate(which(), 'echo in')),
          );
          for (const { stdout } of results) assert.equal(stdout, 'in\n');
        } finally {
          for (const socket of sockets) socket.destroy();
        }
      });

      it('becomes healthy', async () => {
        await until(
          'healthy',
          async () => (await which().container.inspect()).State.Health?.Status === 'healthy',
        );
      });
    });
  }

  it('does not believe a person’s own client where there is no gateway', async () => {
    const direct = await start();
    const command = [...optionsFor(direct, 'user'), '-o', 'SetEnv=BERTH_CLIENT=203.0.113.9'];
    const { status, stdout } = await run('ssh', [
      ...command,
      `developer@${direct.address}`,
      'printenv BERTH_CLIENT',
    ]);
    assert.deepEqual([status, stdout], [1, '']);
  });

  it('with sudo: sudo makes root', async () => {
    assert.equal((await withCertificate(withSudo, 'sudo -n id -u')).stdout, '0\n');
  });

  describe('without root', () => {
    it('runs as the user alone, without a capability to have or to gain', async () => {
      const { stdout } = await withCertificate(
        rootless,
        'id -u; id -g; id -G; cat /proc/self/status; for each in /proc/[0-9]*/status; do echo; grep -E "^(Name|Uid|Gid|Cap|NoNew)" $each; done 2>/dev/null',
      );
      const [user, group, groups] = stdout.split('\n');
      assert.deepEqual([user, group, groups], ['1000', '1000', '1000']);
      const processes = stdout.split('\n\n');
      assert.ok(processes.some((each) => each.includes('Name:\ttini')));
      assert.ok(processes.some((each) => /Name:\tsshd/.test(each)));
      for (const each of processes.slice(1)) {
        assert.match(each, /^Uid:\t1000\t1000\t1000\t1000$/m);
        assert.match(each, /^Gid:\t1000\t1000\t1000\t1000$/m);
        assert.match(each, /^NoNewPrivs:\t1$/m);
        for (const set of capabilitySets) assert.equal(maskIn(each, set), 0n, `${set} in ${each}`);
      }
    });

    it('gains nothing from programs that belong to root and run as their owner', async () => {
      const { stdout } = await withCertificate(rootless, 'find /usr -xdev -perm -4000 -user root');
      assert.match(stdout, /bin\/su$/m);
      for (const refusedCommand of [
        'sudo -n id',
        'su -c id < /dev/null',
        'cat /etc/shadow',
        'touch /etc/passwd',
      ]) {
        const result = await withCertificate(rootless, refusedCommand);
        assert.notEqual(result.status, 0, refusedCommand);
        assert.equal(result.stdout, '', refusedCommand);
      }
      // A program that stays root while it runs would show it here.
      const asOwner = await withCertificate(
        rootless,
        'cp /usr/bin/id ~/own-id && chmod 4755 ~/own-id && ~/own-id -u; python3 -c "import os; os.setuid(0)" 2>&1 | tail -1',
      );
      assert.match(asOwner.stdout, /^1000\n.*Operation not permitted/);
    });

    it('serves a terminal, its size, exit statuses and signals', async () => {
      const target = `developer@${rootless.address}`;
      const terminal = await run('ssh', [
        '-tt',
        ...optionsFor(rootless, 'certified'),
        target,
        'tty; stat -c "%U %a" $(tty); exit 7',
      ]);
      assert.equal(terminal.status, 7, terminal.stderr);
      assert.match(terminal.stdout, /^\/dev\/pts\/\d+\r\ndeveloper 6[02]0\r\n$/);
      const login = await run(
        'ssh',
        ['-tt', ...optionsFor(rootless, 'certified'), target],
        'stty size; exit 3\n',
      );
      assert.equal(login.status, 3);
      assert.match(login.stdout, /\/gemini\/code.*last/);
      assert.equal((await withCertificate(rootless, 'cat > /dev/null; exit 42')).status, 42);
      const killed = await withCertificate(rootless, 'kill -TERM $$');
      assert.equal(killed.status, 255);
    });

    it('moves files by sftp and scp, byte for byte', async () => {
      const data = join(folder, 'data');
      writeFileSync(data, Buffer.alloc(3_000_000, 'Berth\0\xff'));
      const options = optionsFor(rootless, 'certified');
      const target = `developer@${rootless.address}`;
      const sftp = await run(
        'sftp',
        ['-b', '-', ...options, target],
        `put ${data} /gemini/code/sftp\nget /gemini/code/sftp ${data}.back\n`,
      );
      assert.equal(sftp.status, 0, sftp.stderr);
      assert.deepEqual(readFileSync(`${data}.back`), readFileSync(data));
      const scp = await run('scp', [...options, data, `${target}:/gemini/output/scp`]);
      assert.deepEqual([scp.status, scp.stderr], [0, '']);
      const { stdout } = await withCertificate(
        rootless,
        'cat /gemini/code/sftp /gemini/output/scp | sha256sum',
      );
      const expected = execFileSync('sh', ['-c', `cat ${data} ${data} | sha256sum`], { encoding: 'utf8' });
      assert.equal(stdout, expected);
    });

    it('forwards ports both ways, sockets and X11', async () => {
      const target = `developer@${rootless.address}`;
      const options = optionsFor(rootless, 'certified');
      const local = join(folder, 'local.sock');
      const forwarding = spawn('ssh', [
        '-N',
        '-o',
        'ExitOnForwardFailure=yes',
        '-L',
        `${local}:127.0.0.1:${rootlessPort}`,
        ...options,
        target,
      ]);
      try {
        const greeting = await until('the forward', async () => {
          const socket = connect(local);
          return Promise.race([
            once(socket, 'data').then(([chunk]) => String(chunk)),
            once(socket, 'close').then(() => undefined),
          ])
            .catch(() => undefined)
            .finally(() => socket.destroy());
        });
        assert.match(greeting, /^SSH-2\.0-OpenSSH_10/);
      } finally {
        forwarding.kill();
        await once(forwarding, 'close');
      }
      const remote = await run('ssh', [
        ...options,
        ...['-R', `/tmp/berth.sock:${rootless.address}:${rootlessPort}`, target],
        'python3 -c "import socket; s=socket.socket(socket.AF_UNIX); s.connect(\'/tmp/berth.sock\'); print(s.recv(20))"',
      ]);
      assert.match(remote.stdout, /SSH-2\.0-OpenSSH_10/);
      const x11 = execFile(
        'ssh',
        ['-Y', ...options, '-o', 'XAuthLocation=/bin/true', target, 'echo $DISPLAY'],
        {
          env: { ...process.env, DISPLAY: ':99' },
        },
      );
      let display = '';
      x11.stdout?.on('data', (chunk: string) => (display += chunk));
      await once(x11, 'close');
      assert.match(display, /^localhost:1\d\.0/);
    });

    it('gives sessions their variables, byte for byte', async () => {
      const variables = { PLAIN: 'a value', QUOTES: `it's "quoted" $HOME \\`, LINES: 'first\nsecond\n' };
      const secrets = makeSecrets(true);
      writeVariables(secrets, variables);
      const varied = await start({ exposure: 'gateway', secrets });
      const { stdout } = await withCertificate(varied, 'bash -lc "env -0"');
      for (const [name, value] of Object.entries(variables))
        assert.ok(stdout.split('\0').includes(`${name}=${value}`), name);
      assert.ok(stdout.split('\0').includes(`BERTH_ENVIRONMENT=${environment}`));
    });

    it('fills an empty home', async () => {
      const mounts = [volumeAt('/home/developer', 'rootless-home')];
      const first = await start({ exposure: 'gateway', mounts });
      await withCertificate(first, 'rm -rf ~/.[a-z]*');
      const second = await start({ exposure: 'gateway', mounts });
      const { stdout } = await withCertificate(second, 'stat -c "%U %n" ~/.bashrc ~/.profile');
      assert.equal(stdout, 'developer /home/developer/.bashrc\ndeveloper /home/developer/.profile\n');
    });

    it('says so of a folder that does not belong to the user, and starts', async () => {
      const mounts = [volumeAt('/gemini/code', 'rootless-foreign', { NoCopy: true })];
      const foreign = await start({ exposure: 'gateway', mounts });
      assert.match(await log(foreign.container), /berth: \/gemini\/code could not be given to the user/);
      assert.equal((await withCertificate(foreign, 'id -un')).stdout, 'developer\n');
    });

    it('says in one line why it does not start', async () => {
      const cases: [Partial<Parameters<typeof create>[0]>, (secrets: string) => void, RegExp][] = [
        [
          { exposure: 'direct' },
          () => undefined,
          /berth: with BERTH_EXPOSURE=direct it must be started as root/,
        ],
        [{ sudo: true }, () => undefined, /berth: with BERTH_SUDO=true it must be started as root/],
        [
          { user: '1234:1234' },
          () => undefined,
          /berth: it must be started as root or as the user with the id 1000, not 1234/,
        ],
        [
          { environment: ['BERTH_USER=anna'] },
          () => undefined,
          /berth: \/etc\/passwd calls the user with the id 1000 'developer'/,
        ],
        [
          { environment: ['BERTH_EXPOSURE=both'] },
          () => undefined,
          /berth: BERTH_EXPOSURE must be gateway or direct, not 'both'/,
        ],
        [
          {},
          (secrets) => rmSync(join(secrets, 'ssh_host_ed25519_key')),
          /berth: .*ssh_host_ed25519_key is missing or cannot be read/,
        ],
      ];
      await Promise.all(
        cases.map(async ([options, spoil, sentence]) => {
          const secrets = makeSecrets(true);
          spoil(secrets);
          const container = await create({ exposure: 'gateway', user: '1000:1000', ...options, secrets });
          await container.start();
          const { StatusCode } = (await container.wait()) as { StatusCode: number };
          assert.match(await log(container), sentence);
          assert.equal(StatusCode, 1);
        }),
      );
    });

    it('gives processes their TERM, passes their exit status on and stops in time with status 0', async () => {
      const stopped = await start({ exposure: 'gateway' });
      const command =
        'trap "echo saving; sleep 0.5; echo saved; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
      const session = spawn('ssh', [
        ...optionsFor(stopped, 'certified'),
        `developer@${stopped.address}`,
        command,
      ]);
      let output = '';
      session.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const ended = once(session, 'close');
      await until('the process runs', async () => output.includes('ready'));
      const startedMs = Date.now();
      await stopped.container.stop({ t: 10 });
      assert.ok(Date.now() - startedMs < 4_000, `took ${Date.now() - startedMs} ms`);
      assert.equal((await stopped.container.inspect()).State.ExitCode, 0);
      assert.deepEqual(await ended, [3, null]);
      assert.match(output, /saving\nsaved\n/);
    });

    it('ends with a sentence and a failure when sshd dies', async () => {
      const doomed = await start({ exposure: 'gateway' });
      await withCertificate(doomed, 'pkill -9 -o -x sshd');
      const { StatusCode } = (await doomed.container.wait()) as { StatusCode: number };
      assert.equal(StatusCode, 1);
      assert.match(await log(doomed.container), /berth: sshd ended with status 137/);
    });
  });

  it('keeps host key, files and their owners from one kind of environment to the next', async () => {
    const mounts = [
      volumeAt('/home/developer', 'switched-home'),
      volumeAt('/gemini/code', 'switched-code'),
      volumeAt('/gemini/output', 'switched-output'),
    ];
    const kinds = [
      { exposure: 'direct' },
      { exposure: 'gateway' },
      { exposure: 'gateway', sudo: true },
      { exposure: 'gateway' },
      { exposure: 'direct', sudo: true },
    ] as const;
    const seen = new Set<string>();
    const owners: string[] = [];
    for (const [index, kind] of kinds.entries()) {
      const switched = await start({ ...kind, mounts });
      const scan = await run('ssh-keyscan', ['-p', String(switched.port), '-t', 'ed25519', switched.address]);
      seen.add(/ssh-ed25519 (\S+)/.exec(scan.stdout)?.[1] ?? 'none');
      const { stdout, stderr } = await withCertificate(
        switched,
        `echo ${index} > ~/file-${index} && echo ${index} > /gemini/code/file-${index} && stat -c "%u:%g %a %n" ~ ~/.bashrc ~/file-* /gemini/code /gemini/code/file-* /gemini/output`,
      );
      assert.equal(stderr, '');
      owners.push(...stdout.trim().split('\n'));
      await switched.container.stop({ t: 5 });
    }
    assert.deepEqual([...seen], [publicKeyOf('host').split(' ')[1]]);
    const last = owners.slice(-14);
    assert.ok(last.some((line) => line.endsWith('/home/developer/file-0')));
    for (const line of owners) assert.match(line, /^1000:1000 /);
    for (const line of owners.filter((each) => each.endsWith(' /home/developer')))
      assert.match(line, / 700 /);
  });
});
