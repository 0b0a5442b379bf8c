/** `berth ssh | ssh-info | reset-password`: the way into an environment. */
import { spawn } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { Environment, NewPassword, SshAccess } from '@berth/contract';
import { findEnvironment, refuseFailed, sshAccessText } from '../environment.ts';
import { CommandFailure, exitCodes } from '../failure.ts';
import { dataFolder, stateFolder } from '../place.ts';
import { Session, addCommand, say, withPlace } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable } from '../text.ts';
import { environmentArgument } from './environments.ts';

interface SshOptions extends CommonOptions {
  password?: true;
  verbose?: true;
}

export function addSshCommands(program: Command): void {
  withPlace(program.command('ssh').description("Open an environment with this machine's ssh"))
    .addArgument(environmentArgument())
    .argument('[args...]', 'passed on to ssh: options, or a command to run')
    .option('--password', 'log in with the password, without typing it')
    .option('-v, --verbose', 'say what is run')
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nssh checks the host key that Berth gave the environment, and its exit code is the answer.',
    )
    .action((name: string, args: string[], _: object, command: Command) =>
      ssh(name, args, command.optsWithGlobals()),
    );

  addCommand(
    program,
    'ssh-info',
    'Show all that a client needs: address, password, fingerprints, VS Code block',
  )
    .addArgument(environmentArgument())
    .action((name: string, _: object, command: Command) => sshInfo(name, command.optsWithGlobals()));

  addCommand(program, 'reset-password', 'Give an environment a new password')
    .addArgument(environmentArgument())
    .action((name: string, _: object, command: Command) => resetPassword(name, command.optsWithGlobals()));

  // bin/askpass.mjs runs this.
  withPlace(program.command('ssh-password', { hidden: true }).argument('<id>')).action(
    async (id: string, _: object, command: Command) => {
      const access = await sshAccess(new Session(command.optsWithGlobals()), id);
      process.stdout.write(`${access.ssh_password}\n`);
    },
  );
}

function sshAccess({ client }: Session, id: string): Promise<SshAccess> {
  return client.get<SshAccess>(pathOf(routes.environmentSsh, { id }));
}

async function sshInfo(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const { env_id: id } = await findEnvironment(session.client, name);
  const access = await sshAccess(session, id);
  session.answer(access, () => sshAccessText(access));
}

async function resetPassword(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const { env_id: id, name: title } = await findEnvironment(session.client, name);
  const answer = await session.client.post<NewPassword>(pathOf(routes.environmentResetPassword, { id }));
  session.answer(
    answer,
    () =>
      `${printable(title)} has a new password; the old one opens nothing any more.\n\n${labelled([['password', answer.ssh_password]])}`,
  );
}

async function ssh(name: string, args: string[], options: SshOptions): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  refuseClosed(environment);
  const access = await sshAccess(session, environment.env_id);
  if (access.ssh_port === null || access.known_hosts === null) {
    throw new CommandFailure(
      exitCodes.failed,
      'no_own_port',
      `${environment.name} has no own port, so ssh has no address to go to`,
      'Create an environment with --own-port yes.',
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
  const command = [
    '-p',
    String(access.ssh_port),
    ...settings.flatMap((setting) => ['-o', setting]),
    '--',
    `${access.ssh_username}@${access.ssh_host}`,
    ...(args[0] === '--' ? args.slice(1) : args),
  ];
  if (options.verbose) {
    say(`berth: ssh ${command.map(printable).join(' ')}`);
    if (!options.password) say(`berth: the password is shown by: berth ssh-info ${environment.env_id}`);
  }
  process.exitCode = await run(
    command,
    options.password ? askpassVariables(environment.env_id, options) : {},
  );
}

function refuseClosed(environment: Environment): void {
  refuseFailed(environment);
  if (environment.status === 'running') return;
  const { name, env_id: id, status } = environment;
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

/** The host keys that Berth made for this environment, in a file that only ssh run from here reads. */
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
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, lines.endsWith('\n') ? lines : `${lines}\n`, { mode: 0o600 });
  renameSync(unfinished, file);
  return file;
}

/** ssh_config(5) splits a value at spaces and expands `%` in it. */
function quotedForSsh(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

/** ssh asks bin/askpass.mjs, which asks the same Berth as this command. */
function askpassVariables(id: string, { dataDir }: SshOptions): NodeJS.ProcessEnv {
  return {
    SSH_ASKPASS: fileURLToPath(new URL('../../bin/askpass.mjs', import.meta.url)),
    SSH_ASKPASS_REQUIRE: 'force',
    BERTH_ASKPASS_ENVIRONMENT: id,
    ...(dataDir === undefined ? {} : { BERTH_DATA_DIR: dataFolder(dataDir), BERTH_URL: '' }),
  };
}

/** @returns the exit code of ssh */
function run(args: string[], variables: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn('ssh', args, { stdio: 'inherit', env: { ...process.env, ...variables } });
  // Ctrl-C in a session is the session's; ssh is in the foreground group and gets it by itself.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        new CommandFailure(
          exitCodes.failed,
          'no_ssh_client',
          `The ssh client cannot be run (${error.message})`,
          'Install it; in Debian and Ubuntu: apt-get install openssh-client',
        ),
      );
    });
    child.once('exit', (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
    );
  });
}
