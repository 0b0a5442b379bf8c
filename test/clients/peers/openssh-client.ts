/** OpenSSH's own clients (ssh, sftp): those of this machine, and the later ones of the environment image. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../harness/ssh.ts';
import { imagePrograms } from './environment-image.ts';
import type { Ability, Algorithms, ClientPeer, Connection, Forward, Place, Result, Session } from './peer.ts';
import { type Invocation, printed, runProgram, startProgram } from './program.ts';

const abilities: ReadonlySet<Ability> = new Set<Ability>([
  ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
  ...(['subsystem', 'sftp', 'parallel', 'connect', 'local-forward', 'local-socket-forward'] as const),
  ...([
    'dynamic-forward',
    'remote-forward',
    'remote-socket-forward',
    'half-close',
    'agent',
    'x11',
    'rekey-up',
    'rekey-down',
  ] as const),
  ...(['choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
]);

/** The clients of this machine. */
export const openSshClient = client('OpenSSH', async () =>
  (await printed('ssh', '-Q', 'kex')) === undefined
    ? 'needs ssh (package openssh-client)'
    : { ssh: 'ssh', sftp: 'sftp' },
);

/** The clients of the environment image, on this machine's kernel and network. */
export const imageOpenSshClient = client('OpenSSH of the environment image', imagePrograms);

interface Programs {
  readonly ssh: string;
  readonly sftp: string;
}

function client(name: string, find: () => Promise<string | Programs>): ClientPeer {
  let found: Promise<string | Programs> | undefined;
  let programs: Programs = { ssh: 'ssh', sftp: 'sftp' };
  const ssh = (connection: Connection, ...parameters: string[]): Invocation => ({
    program: programs.ssh,
    parameters: [...settings(connection), ...parameters],
    environment: environmentOf(connection),
  });
  const sessionOf = (connection: Connection, session: Session): Invocation => {
    const { program, parameters, environment } = ssh(connection, ...sessionParameters(connection, session));
    // ssh passes on what it finds in its own environment.
    const variables = session.pty === undefined ? {} : { TERM: session.pty };
    return { program, parameters, environment: { ...environment, ...session.environment, ...variables } };
  };
  return {
    name,
    abilities,
    missing: async () => {
      found ??= find();
      const result = await found;
      if (typeof result === 'string') return result;
      programs = result;
      return false;
    },
    algorithms: () => algorithmsOf(programs.ssh),
    run: (connection, session, streams) => runProgram(sessionOf(connection, session), streams),
    start: (connection, session) => startProgram(sessionOf(connection, session), {}, { keepsInput: true }),
    connect: (connection, to, streams) =>
      runProgram(ssh(connection, '-W', placeWord(to), connection.host), streams),
    transfer: (connection, transfers) => {
      const commands = transfers.map(({ kind, local, remote }) =>
        kind === 'put' ? `put ${local} ${remote}` : `get ${remote} ${local}`,
      );
      const parameters = [
        ...['-S', programs.ssh, ...settings(connection, 'BatchMode=no'), '-b', '-'],
        `sftp://${connection.host}`,
      ];
      return runProgram(
        { program: programs.sftp, parameters, environment: environmentOf(connection) },
        { stdin: `${commands.join('\n')}\n` },
      );
    },
    forward: (connection, forwards) =>
      startProgram(ssh(connection, '-N', ...forwards.flatMap(forwardParameters), connection.host)),
    parallel: async (connection, commands) => {
      const control = ['-S', join(mkdtempSync(join(connection.folder, 'c-')), 's')];
      const master = startProgram(ssh(connection, '-M', '-N', ...control, connection.host));
      const isOver = master.ended.then((): Result | undefined => undefined);
      try {
        await eventually(
          () =>
            Promise.race([isOver, runProgram(ssh(connection, ...control, '-O', 'check', connection.host))]),
          (check) => check === undefined || check.code === 0,
        );
        return await Promise.all(
          commands.map((command) => runProgram(ssh(connection, ...control, connection.host, command))),
        );
      } finally {
        await master.stop();
      }
    },
  };
}

async function algorithmsOf(program: string): Promise<Algorithms> {
  const [kex, hostKeys, ciphers, macs, publicKeys] = await Promise.all(
    ['kex', 'HostKeyAlgorithms', 'cipher', 'mac', 'PubkeyAcceptedAlgorithms'].map(
      async (kind) => (await printed(program, '-Q', kind))?.trim().split('\n') ?? [],
    ),
  );
  return {
    kex: kex ?? [],
    hostKeys: hostKeys ?? [],
    ciphers: ciphers ?? [],
    macs: macs ?? [],
    publicKeys: publicKeys ?? [],
  };
}

/** What ssh and sftp both take; nothing of this machine's configuration has a part in it. */
function settings(connection: Connection, ...more: string[]): string[] {
  const { host, port, user, hostKeys, login, algorithms = {}, folder } = connection;
  const own = mkdtempSync(join(folder, 'ssh-'));
  const knownHosts = join(own, 'known_hosts');
  writeFileSync(knownHosts, hostKeys.map((line) => `[${host}]:${port} ${line}\n`).join(''));
  const keys = login.filter((step) => step.method === 'publickey');
  const signatures = keys.flatMap(({ signature, certificate }) =>
    signature === undefined
      ? []
      : [certificate === undefined ? signature : `${signature}-cert-v01@openssh.com`],
  );
  const lines = [
    ...more,
    `Port=${port}`,
    `User=${user}`,
    `UserKnownHostsFile=${knownHosts}`,
    'GlobalKnownHostsFile=none',
    'StrictHostKeyChecking=yes',
    'UpdateHostKeys=no',
    'CheckHostIP=no',
    'IdentitiesOnly=yes',
    'NumberOfPasswordPrompts=1',
    'ConnectTimeout=20',
    'ExitOnForwardFailure=yes',
    `PreferredAuthentications=${[...new Set(login.map(({ method }) => method))].join(',')}`,
    ...(keys.length === 0 ? ['PubkeyAuthentication=no'] : keys.map(({ key }) => `IdentityFile=${key.file}`)),
    ...keys.flatMap(({ certificate }) =>
      certificate === undefined ? [] : [`CertificateFile=${certificate}`],
    ),
    ...(signatures.length === 0 ? [] : [`PubkeyAcceptedAlgorithms=${signatures.join(',')}`]),
    ...(algorithms.kex === undefined ? [] : [`KexAlgorithms=${algorithms.kex}`]),
    ...(algorithms.hostKey === undefined ? [] : [`HostKeyAlgorithms=${algorithms.hostKey}`]),
    ...(algorithms.cipher === undefined ? [] : [`Ciphers=${algorithms.cipher}`]),
    ...(algorithms.mac === undefined ? [] : [`MACs=${algorithms.mac}`]),
    ...(connection.rekeyBytes === undefined ? [] : [`RekeyLimit=${connection.rekeyBytes}`]),
    // IdentitiesOnly keeps the agent that is forwarded from being asked for the login.
    ...(connection.agent === undefined ? ['IdentityAgent=none'] : ['ForwardAgent=yes']),
    ...(connection.x11 === undefined ? [] : ['ForwardX11=yes', 'ForwardX11Trusted=yes']),
  ];
  return ['-F', 'none', ...lines.flatMap((line) => ['-o', line])];
}

function environmentOf({ login, agent, x11, folder }: Connection): Record<string, string> {
  const words = login.flatMap((step) =>
    step.method === 'password' ? [step.password] : step.method === 'publickey' ? [] : [step.answer],
  );
  const askPass = join(folder, 'ask-pass');
  writeFileSync(askPass, '#!/bin/sh\nprintf "%s\\n" "$PEER_PASSWORD"\n', { mode: 0o700 });
  return {
    SSH_ASKPASS: askPass,
    SSH_ASKPASS_REQUIRE: 'force',
    PEER_PASSWORD: words[0] ?? '',
    ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent }),
    ...(x11 === undefined ? {} : { DISPLAY: x11 }),
  };
}

function sessionParameters({ host }: Connection, session: Session): string[] {
  const { command, subsystem, pty, environment = {} } = session;
  return [
    ...(pty === undefined ? ['-T'] : ['-tt']),
    ...Object.keys(environment).flatMap((name) => ['-o', `SendEnv=${name}`]),
    ...(subsystem === undefined ? [] : ['-s']),
    host,
    ...[command ?? subsystem].filter((word) => word !== undefined),
  ];
}

function forwardParameters({ kind, listen, to }: Forward): string[] {
  const flag = { local: '-L', remote: '-R', dynamic: '-D' }[kind];
  return [flag, to === undefined ? placeWord(listen) : `${placeWord(listen)}:${placeWord(to)}`];
}

function placeWord(place: Place): string {
  return 'path' in place ? place.path : `${place.host}:${place.port}`;
}
