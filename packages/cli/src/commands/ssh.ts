/** `berth ssh | ssh-info | ssh-command | known-hosts | cp | port-forward | reset-password`: the ways into an environment. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Command } from 'commander';
import { pathOf, routes, sshCommand } from '@berth/contract/paths';
import type { Environment, NewPassword } from '@berth/contract';
import { findEnvironment, knownHostsOf, mustHaveWay, sshAccessText } from '../environment.ts';
import { usageFailure } from '../failure.ts';
import { Session, addCommand, say, unnamed, withPlace } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { connectionTo, runClient, sayWhatIsRun, sshAccess } from '../ssh-client.ts';
import type { SshOptions } from '../ssh-client.ts';
import { labelled, printable, printableLines } from '../text.ts';
import { environmentArgument } from './environments.ts';

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

  addCommand(program, 'ssh-command', 'Show the line that opens an environment')
    .addArgument(environmentArgument())
    .action((name: string, _: object, command: Command) => sshCommandOf(name, command.optsWithGlobals()));

  addCommand(program, 'known-hosts', 'Show the lines for known_hosts, of one environment or of all', unnamed)
    .argument('[environment]', 'its name or id (default: all)')
    .action((name: string | undefined, _: object, command: Command) =>
      knownHosts(name, command.optsWithGlobals()),
    );

  withPlace(program.command('cp').description("Copy files with this machine's scp"))
    .argument('<paths...>', 'from where, and last to where; NAME:PATH is in an environment')
    .option('-r, --recursive', 'folders with all that is in them')
    .option('--password', 'log in with the password, without typing it')
    .option('-v, --verbose', 'say what is run')
    .addHelpText('after', '\nA path that does not begin with / counts from the home folder inside.')
    .action((paths: string[], _: object, command: Command) => copy(paths, command.optsWithGlobals()));

  addCommand(program, 'port-forward', "Make an environment's ports reachable on this machine", unnamed)
    .addArgument(environmentArgument())
    .argument('<ports...>', 'REMOTE or LOCAL:REMOTE; :REMOTE takes a free port here')
    .option('--password', 'log in with the password, without typing it')
    .option('-v, --verbose', 'say what is run')
    .addHelpText('after', '\nIt stays until Ctrl-C.')
    .action((name: string, ports: string[], _: object, command: Command) =>
      portForward(name, ports, command.optsWithGlobals()),
    );

  addCommand(program, 'reset-password', 'Give an environment a new password', unnamed)
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
  const connection = await connectionTo(new Session(options), name, options);
  const command = [
    '-p',
    String(connection.port),
    ...connection.settings,
    '--',
    `${connection.username}@${connection.host}`,
    ...(args[0] === '--' ? args.slice(1) : args),
  ];
  sayWhatIsRun('ssh', command, options, connection.environment.env_id);
  process.exitCode = await runClient('ssh', command, { variables: connection.variables });
}

async function sshCommandOf(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  const { env_id } = environment;
  const { username, host, port } = mustHaveWay(environment, name);
  const ssh_command = sshCommand(username, host, port);
  session.answer({ env_id, ssh_command }, () => printable(ssh_command));
}

async function knownHosts(name: string | undefined, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const environments =
    name === undefined
      ? await session.client.all<Environment>(routes.environments)
      : [await findEnvironment(session.client, name)];
  const items: { env_id: string; known_hosts: string }[] = [];
  for (const { env_id } of environments) {
    const known_hosts = knownHostsOf(await sshAccess(session, env_id));
    if (known_hosts !== '') items.push({ env_id, known_hosts });
  }
  session.answer({ items, next_cursor: null }, () => {
    // Those of the shared port are said once.
    const lines = new Set(items.flatMap(({ known_hosts }) => known_hosts.split('\n')));
    return printableLines([...lines].join('\n'));
  });
}

/** NAME:PATH; a colon after a slash is part of a local path, as scp takes it. */
function remotePart(path: string): { name: string; path: string } | undefined {
  const match = /^([^/:]+):(.*)$/s.exec(path);
  return match ? { name: match[1] ?? '', path: match[2] ?? '' } : undefined;
}

async function copy(paths: string[], options: SshOptions & { recursive?: true }): Promise<void> {
  const target = paths.at(-1) ?? '';
  const sources = paths.slice(0, -1);
  const remotes = [remotePart(target), ...sources.map(remotePart)];
  const fromHere = remotes[0] !== undefined;
  if (sources.length === 0 || sources.some((each) => (remotePart(each) === undefined) !== fromHere)) {
    throw usageFailure(
      `${paths.join(' ')} does not lead from this machine to an environment or back`,
      'Copy with: berth cp FILE NAME:PATH, or berth cp NAME:PATH FILE. A local path with a colon begins with ./',
    );
  }
  const names = new Set(remotes.flatMap((each) => (each === undefined ? [] : [each.name])));
  const [name = ''] = names;
  if (names.size > 1) {
    throw usageFailure('One copy is from or to one environment', `Named are: ${[...names].join(', ')}.`);
  }
  const connection = await connectionTo(new Session(options), name, options);
  const { host, port, username } = connection;
  const full = (path: string) => {
    const remote = remotePart(path);
    if (remote === undefined) return path.startsWith('-') ? `./${path}` : path;
    return `${username}@${host.includes(':') ? `[${host}]` : host}:${remote.path}`;
  };
  const command = [
    '-P',
    String(port),
    ...connection.settings,
    ...(options.recursive ? ['-r'] : []),
    '--',
    ...paths.map(full),
  ];
  sayWhatIsRun('scp', command, options, connection.environment.env_id);
  process.exitCode = await runClient('scp', command, { variables: connection.variables });
}

interface Forward {
  local: number;
  remote: number;
}

/** `8080`, `9000:8080`; `:8080` takes any free port here. */
async function forwardOf(given: string): Promise<Forward> {
  const match = /^(?:(\d{0,5}):)?(\d{1,5})$/.exec(given);
  const remote = Number(match?.[2]);
  const local = match?.[1] === '' ? await freePort() : Number(match?.[1] ?? remote);
  if (match && [local, remote].every((port) => port >= 1 && port <= 65_535)) return { local, remote };
  throw usageFailure(
    `The port is ${JSON.stringify(given)}`,
    'Allowed: REMOTE or LOCAL:REMOTE with ports from 1 to 65535, such as 8888 or 9000:8888; :REMOTE takes a free port here.',
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** What ssh writes on its stdout, by LocalCommand, once it listens. */
const listening = 'berth-listens';

async function portForward(name: string, ports: string[], options: SshOptions): Promise<void> {
  const forwards: Forward[] = [];
  for (const each of ports) forwards.push(await forwardOf(each));
  const session = new Session(options);
  const connection = await connectionTo(session, name, options);
  const { env_id, name: title } = connection.environment;
  const command = [
    '-N',
    '-p',
    String(connection.port),
    ...connection.settings,
    ...['ExitOnForwardFailure=yes', 'ServerAliveInterval=15', 'PermitLocalCommand=yes'].flatMap((each) => [
      '-o',
      each,
    ]),
    '-o',
    `LocalCommand=echo ${listening}`,
    ...forwards.flatMap(({ local, remote }) => ['-L', `127.0.0.1:${local}:localhost:${remote}`]),
    '--',
    `${connection.username}@${connection.host}`,
  ];
  sayWhatIsRun('ssh', command, options, env_id);
  let interrupted = false;
  const code = await runClient('ssh', command, {
    variables: connection.variables,
    onLine: (line) => {
      if (line !== listening) return;
      for (const { local, remote } of forwards) {
        session.line(
          { env_id, local_address: '127.0.0.1', local_port: local, remote_port: remote },
          () => `127.0.0.1:${local} leads to port ${remote} of ${printable(title)}.`,
        );
      }
      if (process.stderr.isTTY) say('Ctrl-C ends it.');
    },
    onInterrupt: () => {
      interrupted = true;
    },
  });
  process.exitCode = interrupted ? 0 : code;
}
