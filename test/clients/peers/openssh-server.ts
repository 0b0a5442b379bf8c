/** OpenSSH's own sshd: this machine's, and the later one of the environment image. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { missingSshd, startSshd } from '../../../packages/ssh/src/testing/sshd.ts';
import { docker, environmentImage, skipWithoutDocker } from '../../harness/berth.ts';
import { eventually } from '../../harness/ssh.ts';
import { makeKeyFile } from '../keys.ts';
import { type Account, makeAccount, missingAccount, whereAccountIs } from './account.ts';
import type { Ability, Algorithms, RunningServer, ServerOptions, ServerPeer } from './peer.ts';

const program = '/usr/sbin/sshd';
const abilities: ReadonlySet<Ability> = new Set<Ability>([
  ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
  ...(['subsystem', 'sftp', 'parallel', 'connect', 'connect-socket', 'local-forward'] as const),
  ...(['local-socket-forward', 'dynamic-forward', 'remote-forward', 'remote-socket-forward'] as const),
  ...([
    'half-close',
    'agent',
    'x11',
    'rekey-up',
    'rekey-down',
    'choose-key-exchange',
    'choose-host-key',
    'choose-cipher',
  ] as const),
]);

/** The server of this machine. */
export const openSshServer: ServerPeer = {
  name: 'OpenSSH',
  abilities,
  missing: async () => missingAccount || missingSshd,
  algorithms: async () => algorithmsOf(program),
  start: async (options) => {
    const account = makeAccount(options);
    return start(options, account, whereAccountIs(account, program), async () => account.remove());
  },
};

/** The server of the environment image, in a container that has this machine's network. */
export const imageOpenSshServer: ServerPeer = {
  name: 'OpenSSH of the environment image',
  abilities,
  missing: async () => missingAccount || skipWithoutDocker,
  algorithms: async () => {
    const { command, remove } = await startContainer('true');
    try {
      return algorithmsOf(...command);
    } finally {
      await remove();
    }
  },
  start: async (options) => {
    const account = makeAccount(options);
    const { files, pam } = account;
    const addAccount = [
      ...Object.entries(files).map(([name, added]) => `cat ${added} >> /etc/${name}`),
      `cat ${pam} > /etc/pam.d/sshd`,
    ];
    const container = await startContainer(addAccount.join(' && '));
    return start(options, account, container.command, async () => {
      await container.remove();
      account.remove();
    });
  },
};

async function start(
  options: ServerOptions,
  account: Account,
  command: readonly [string, ...string[]],
  remove: () => Promise<void>,
): Promise<RunningServer> {
  const [first, ...others] = options.hostKeys;
  if (first === undefined) throw new RangeError('a server needs a host key');
  const authority = join(dirname(account.home), 'authority.pub');
  writeFileSync(authority, `${options.authority ?? ''}\n`);
  const settings = [
    ...others.map(({ file }) => `HostKey ${file}`),
    `AuthorizedKeysFile ${account.home}/.ssh/authorized_keys`,
    ...(options.authority === undefined ? [] : [`TrustedUserCAKeys ${authority}`]),
    ...(options.methods === undefined ? [] : [`AuthenticationMethods ${options.methods}`]),
    ...(options.rekeyBytes === undefined ? [] : [`RekeyLimit ${options.rekeyBytes}`]),
    'UsePAM yes',
    'StrictModes no',
    'PasswordAuthentication yes',
    'KbdInteractiveAuthentication yes',
    'X11Forwarding yes',
    'MaxSessions 100',
    'AcceptEnv PEER_*',
    'Subsystem sftp internal-sftp',
    // Each exchange of keys is in the log.
    'LogLevel DEBUG1',
  ];
  try {
    const sshd = await startSshd(readFileSync(first.file, 'utf8'), settings, { command });
    return {
      ...{ host: sshd.host, port: sshd.port, log: sshd.log, user: account.user, home: account.home },
      // sshd says so each time that it has read the client's proposal.
      exchanges: () => sshd.log().match(/SSH2_MSG_KEXINIT received/g)?.length ?? 0,
      stop: async () => {
        await sshd.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A container of the environment image that runs `script` and then sleeps; `command` starts its sshd. */
async function startContainer(
  script: string,
): Promise<{ command: readonly [string, ...string[]]; remove: () => Promise<void> }> {
  const sign = join(tmpdir(), `ssh-container-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const container = await docker.createContainer({
    Image: await environmentImage(),
    Entrypoint: ['/bin/sh', '-c', `mkdir -p /run/sshd && ${script} && touch ${sign} && exec sleep infinity`],
    User: 'root',
    HostConfig: { NetworkMode: 'host', Binds: [`${tmpdir()}:${tmpdir()}`], Init: true },
  });
  const remove = async (): Promise<void> => {
    await container.remove({ force: true });
    rmSync(sign, { force: true });
  };
  try {
    await container.start();
    const { State } = await eventually(
      () => container.inspect(),
      ({ State }) => existsSync(sign) || !State.Running,
    );
    if (!State.Running) throw new Error('the container of the environment image ended at once');
    return { command: ['nsenter', '--mount', '--target', String(State.Pid), program], remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What is in force without any configuration. */
function algorithmsOf(...command: readonly [string, ...string[]]): Algorithms {
  const [starter, ...words] = command;
  const folder = mkdtempSync(join(tmpdir(), 'sshd-'));
  const hostKey = makeKeyFile(folder, 'key', 'ssh-ed25519').file;
  const parameters = [...words, '-T', '-f', '/dev/null', '-h', hostKey];
  const { stdout } = spawnSync(starter, parameters, { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  const list = (name: string): string[] =>
    new RegExp(`^${name} (.*)$`, 'm').exec(stdout)?.[1]?.split(',') ?? [];
  return {
    kex: list('kexalgorithms'),
    hostKeys: list('hostkeyalgorithms'),
    ciphers: list('ciphers'),
    macs: list('macs'),
    publicKeys: list('pubkeyacceptedalgorithms'),
  };
}
