/**
 * The stock OpenSSH clients of this machine, run so that they find an environment and know its host key. What
 * they are told stands in their arguments alone, so nothing of a person's own configuration changes.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pathOf, routes } from '@berth/contract/paths';
import type { Environment, SshAccess } from '@berth/contract';
import { findEnvironment, mustHaveWay, refuseFailed } from './environment.ts';
import { CommandFailure, exitCodes } from './failure.ts';
import { writeWhole } from './files.ts';
import { dataFolder, stateFolder } from './place.ts';
import { say } from './session.ts';
import type { CommonOptions, Session } from './session.ts';
import { printable } from './text.ts';

export interface SshOptions extends CommonOptions {
  password?: true;
  verbose?: true;
}

export interface Connection {
  environment: Environment;
  host: string;
  port: number;
  username: string;
  /** `-o NAME=VALUE`, which ssh, scp and sftp all take. */
  settings: string[];
  /** For `--password`: ssh asks bin/askpass.mjs, which asks the same Berth as this command. */
  variables: NodeJS.ProcessEnv;
}

export function sshAccess({ client }: Session, id: string): Promise<SshAccess> {
  return client.get<SshAccess>(pathOf(routes.environmentSsh, { id }));
}

/**
 * By its own port, or by the shared one where it has none.
 *
 * @throws CommandFailure when there is no such environment, it does not run and no login starts it, or no way leads to it
 */
export async function connectionTo(
  session: Session,
  nameOrId: string,
  options: SshOptions,
): Promise<Connection> {
  const environment = await findEnvironment(session.client, nameOrId);
  refuseClosed(environment);
  const access = await sshAccess(session, environment.env_id);
  const way = mustHaveWay(access, environment.name);
  if (access.known_hosts === null) {
    throw new CommandFailure(
      exitCodes.tryLater,
      'no_host_key',
      `The host key of the shared port is not known to Berth, so it cannot be told from a stranger's`,
      'The gateway gets its keys when it starts: see that it runs (berth doctor), and try again.',
    );
  }
  const knownHosts = writeKnownHosts(environment.env_id, access.known_hosts);
  const settings = [
    `UserKnownHostsFile=${quotedForSsh(knownHosts)}`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'UpdateHostKeys=no',
    // One wrong password is enough, and no passphrase of a key is asked for in its place.
    ...(options.password ? ['PubkeyAuthentication=no', 'NumberOfPasswordPrompts=1'] : []),
  ];
  return {
    environment,
    ...way,
    settings: settings.flatMap((setting) => ['-o', setting]),
    variables: options.password ? askpassVariables(environment.env_id, options) : {},
  };
}

function refuseClosed(environment: Environment): void {
  refuseFailed(environment);
  const { name, env_id: id, status, wake, exposure, ssh_port } = environment;
  if (status === 'running') return;
  // The gateway starts it, and keeps the client waiting.
  if (status === 'stopped' && wake && (exposure === 'gateway' || ssh_port === null)) return;
  const stopped = status === 'stopped' || status === 'stopping';
  throw new CommandFailure(
    exitCodes.conflict,
    'wrong_state',
    `${name} is ${status}`,
    stopped
      ? `Start it with: npx berth start ${id} --wait`
      : `Follow it with: npx berth events ${id} --follow`,
  );
}

/** The host keys that Berth made for this environment, in a file that only clients run from here read. */
function writeKnownHosts(id: string, lines: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(id)) {
    throw new CommandFailure(
      exitCodes.failed,
      'bad_id',
      `The server named an environment ${printable(id)}, which is no id`,
    );
  }
  const folder = join(stateFolder(), 'known_hosts');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, id);
  writeWhole(file, lines.endsWith('\n') ? lines : `${lines}\n`, 0o600);
  return file;
}

/** ssh_config(5) splits a value at spaces and expands `%` in it. */
function quotedForSsh(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

function askpassVariables(id: string, { dataDir, profile }: SshOptions): NodeJS.ProcessEnv {
  return {
    SSH_ASKPASS: fileURLToPath(new URL('../bin/askpass.mjs', import.meta.url)),
    SSH_ASKPASS_REQUIRE: 'force',
    BERTH_ASKPASS_ENVIRONMENT: id,
    ...(dataDir === undefined
      ? {}
      : { BERTH_DATA_DIR: dataFolder(dataDir), BERTH_URL: '', BERTH_PROFILE: '' }),
    ...(profile === undefined ? {} : { BERTH_PROFILE: profile, BERTH_URL: '' }),
  };
}

export function sayWhatIsRun(program: string, args: string[], options: SshOptions, id: string): void {
  if (!options.verbose) return;
  say(`berth: ${program} ${args.map(printable).join(' ')}`);
  if (!options.password) say(`berth: the password is shown by: berth ssh-info ${id}`);
}

interface RunOptions {
  variables: NodeJS.ProcessEnv;
  /** Called with each line on its stdout, which is else the command's own. */
  onLine?(line: string): void;
  /** What Ctrl-C does; without it, it is the business of the client, which is in the foreground group too. */
  onInterrupt?(): void;
}

/** @returns the exit code of the client; 128 and the number where a signal ended it */
export function runClient(program: string, args: string[], options: RunOptions): Promise<number> {
  const { onLine, onInterrupt } = options;
  const child = spawn(program, args, {
    stdio: ['inherit', onLine ? 'pipe' : 'inherit', 'inherit'],
    env: { ...process.env, ...options.variables },
  });
  process.on('SIGINT', () => {
    if (onInterrupt === undefined) return;
    onInterrupt();
    child.kill('SIGTERM');
  });
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  if (onLine) {
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(onLine);
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        new CommandFailure(
          exitCodes.failed,
          'no_ssh_client',
          `The client ${program} cannot be run (${error.message})`,
          'Install it; in Debian and Ubuntu: apt-get install openssh-client',
        ),
      );
    });
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
    );
  });
}
