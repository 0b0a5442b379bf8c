/** Dropbear: its client dbclient, and its server. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../packages/ssh/src/testing/sshd.ts';
import { eventually } from '../../harness/ssh.ts';
import { makeKeyFile } from '../keys.ts';
import { makeAccount, missingAccount, whereAccountIs } from './account.ts';
import type { Ability, ClientPeer, Connection, KeyFile, Place, ServerPeer, Session } from './peer.ts';
import { type Invocation, runProgram, startProgram } from './program.ts';
import { clientProposal, serverProposal } from './proposal.ts';

const server = '/usr/sbin/dropbear';
const missing: string | false = existsSync('/usr/bin/dbclient')
  ? false
  : 'needs Dropbear (package dropbear-bin)';

export const dropbearClient: ClientPeer = {
  name: 'Dropbear',
  abilities: new Set<Ability>([
    ...(['password', 'keyboard-interactive', 'sequence', 'pty', 'subsystem', 'connect'] as const),
    ...(['local-forward', 'remote-forward', 'half-close', 'agent', 'choose-cipher'] as const),
  ]),
  missing: async () => missing,
  algorithms: async () => {
    const proposal = await clientProposal((port) =>
      runProgram({ program: 'dbclient', parameters: ['-y', '-p', String(port), 'peer@127.0.0.1', 'true'] }),
    );
    return { ...proposal, publicKeys: proposal.hostKeys };
  },
  run: (connection, session, streams) =>
    session.pty !== undefined && streams === undefined
      ? // The end of its input is a zero character to `script`, which would be typed into the terminal.
        startProgram(dbclient(connection, session), {}, { keepsInput: true }).ended
      : runProgram(dbclient(connection, session), streams),
  start: (connection, session) => startProgram(dbclient(connection, session), {}, { keepsInput: true }),
  connect: (connection, to, streams) => runProgram(dbclient(connection, {}, '-B', placeWord(to)), streams),
  transfer: () => Promise.reject(new Error('Dropbear has no SFTP client')),
  forward: (connection, forwards) =>
    startProgram(
      dbclient(
        connection,
        {},
        '-N',
        ...forwards.flatMap(({ kind, listen, to }) => [
          kind === 'local' ? '-L' : '-R',
          `${placeWord(listen)}:${to === undefined ? '' : placeWord(to)}`,
        ]),
      ),
    ),
  parallel: () => Promise.reject(new Error('Dropbear has one session a connection')),
};

export const dropbearServer: ServerPeer = {
  name: 'Dropbear',
  abilities: new Set<Ability>([
    ...([
      'password',
      'sequence',
      'pty',
      'subsystem',
      'sftp',
      'parallel',
      'connect',
      'local-forward',
    ] as const),
    ...([
      'dynamic-forward',
      'remote-forward',
      'half-close',
      'agent',
      'choose-key-exchange',
      'choose-host-key',
    ] as const),
    'choose-cipher',
  ]),
  missing: async () => missingAccount || missing,
  algorithms: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dropbear-'));
    const kinds = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'] as const;
    const hostKeys = kinds.map((kind) => makeKeyFile(folder, kind, kind));
    const running = await dropbearServer.start({ hostKeys, password: 'unused', authorizedKeys: [] });
    try {
      const proposal = await serverProposal(running.port);
      const { publicKeys } = await dropbearClient.algorithms();
      return { ...proposal, publicKeys };
    } finally {
      await running.stop();
      rmSync(folder, { recursive: true });
    }
  },
  start: async (options) => {
    const account = makeAccount(options);
    const folder = mkdtempSync(join(tmpdir(), 'dropbear-'));
    const port = await freePort();
    const [program, ...words] = whereAccountIs(account, server);
    const parameters = [
      ...['-F', '-E', '-p', `127.0.0.1:${port}`, '-P', join(folder, 'pid'), '-W', '200000'],
      ...options.hostKeys
        .filter(({ publicLine }) => !isRefused(publicLine))
        .flatMap((key, index) => ['-r', convertKey(key, join(folder, String(index)))]),
      ...(options.methods === undefined ? [] : ['-t']),
    ];
    const running = startProgram({ program, parameters: [...words, ...parameters] });
    let log = '';
    running.child.stderr?.on('data', (text: string) => (log += text));
    const stop = async (): Promise<void> => {
      await running.stop();
      rmSync(folder, { recursive: true });
      account.remove();
    };
    try {
      await eventually(
        () => answers(port),
        (yes) => yes,
      );
    } catch (error) {
      await stop();
      throw new Error(`dropbear did not start: ${log}`, { cause: error });
    }
    return { host: '127.0.0.1', port, user: account.user, home: account.home, log: () => log, stop };
  },
};

function dbclient(connection: Connection, session: Session, ...flags: string[]): Invocation {
  const { host, port, user, hostKeys, login, algorithms = {}, agent, folder } = connection;
  const home = mkdtempSync(join(folder, 'dropbear-'));
  mkdirSync(join(home, '.ssh'));
  writeFileSync(join(home, '.ssh', 'known_hosts'), hostKeys.map((line) => `${host} ${line}\n`).join(''));
  const { command, subsystem, pty } = session;
  const words = login.flatMap((step) =>
    step.method === 'password' ? [step.password] : step.method === 'publickey' ? [] : [step.answer],
  );
  const keys = login.flatMap((step, index) =>
    step.method === 'publickey' ? ['-i', convertKey(step.key, join(home, `key-${index}`))] : [],
  );
  const parameters = [
    ...['-p', String(port), '-l', user, pty === undefined ? '-T' : '-t', ...keys, ...flags],
    ...(algorithms.cipher === undefined ? [] : ['-c', algorithms.cipher]),
    ...(algorithms.mac === undefined ? [] : ['-m', algorithms.mac]),
    ...(agent === undefined ? [] : ['-A']),
    ...(subsystem === undefined ? [] : ['-s']),
    host,
    ...[command ?? subsystem].filter((word) => word !== undefined),
  ];
  // It wants a terminal on its own side for one on the other.
  const typed = ['dbclient', ...parameters].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return {
    ...(pty === undefined
      ? { program: 'dbclient', parameters }
      : { program: 'script', parameters: ['-qec', typed, '/dev/null'] }),
    environment: {
      HOME: home,
      ...(words[0] === undefined ? {} : { DROPBEAR_PASSWORD: words[0] }),
      ...(pty === undefined ? {} : { TERM: pty }),
      ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent }),
    },
  };
}

/** It takes four host keys at most, and one of the three sizes of ECDSA. */
function isRefused(publicLine: string): boolean {
  return /^ecdsa-sha2-nistp(384|521)/.test(publicLine);
}

/** Dropbear has a format of its own. @returns the new file */
function convertKey({ file }: KeyFile, converted: string): string {
  execFileSync('dropbearconvert', ['openssh', 'dropbear', file, converted], { stdio: 'ignore' });
  return converted;
}

function placeWord(place: Place): string {
  if ('path' in place) throw new Error('Dropbear forwards no Unix sockets');
  return `${place.host}:${place.port}`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
