/**
 * Peers that are libraries. For each there is a driver, a small program in `drivers/` that does one task and exits as
 * ssh does: standard input and output are the remote command's, the exit status is its own, or 255 with a sentence on
 * standard error. Every driver takes the same words, of the form `name=value`, in any order but the login's:
 *
 *     task=run|connect|transfer|forward|parallel|algorithms
 *     host= port= user= hostKey=LINE...
 *     password= | answer= | key=FILE [certificate=FILE] [signature=NAME]    a step of the login each
 *     kex= hostKeyAlgorithm= cipher= mac= rekeyBytes= agent=SOCKET x11=HOST:DISPLAY
 *     command= subsystem= pty=TERM environment=NAME=VALUE...                run; without the first two, a shell
 *     to=PLACE                                                              connect
 *     put=LOCAL:REMOTE... get=LOCAL:REMOTE...                               transfer
 *     local='PLACE PLACE'... remote='PLACE PLACE'... dynamic=PLACE...       forward: where to listen, and to what
 *     command=...                                                           parallel
 *
 * A place is `host:port` or a path. For `parallel` it prints a line for each command, with the exit status and the
 * output in hexadecimal; for `algorithms` lines such as `kex=NAME,NAME` with the fields of `Algorithms`.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute } from '../../harness/ssh.ts';
import type {
  Ability,
  Algorithms,
  ClientPeer,
  Connection,
  Forward,
  LoginStep,
  Place,
  Session,
} from './peer.ts';
import { type Invocation, runProgram, startProgram } from './program.ts';
import { clientProposal } from './proposal.ts';

/** A download and a build may take so long. */
const buildMs = 300_000;

export interface DriverOptions {
  readonly name: string;
  readonly abilities: readonly Ability[];
  /** Its lists name more than it can do: what it proposes is what counts. */
  readonly knowsWhatItProposes?: boolean;
  /** Sets the driver up. @returns how to start it, or what it lacks */
  readonly prepare: () => Promise<readonly [program: string, ...parameters: string[]] | string>;
}

export function driverClient({ name, abilities, knowsWhatItProposes, prepare }: DriverOptions): ClientPeer {
  let prepared: ReturnType<DriverOptions['prepare']> | undefined;
  let [program, ...parameters]: readonly string[] = [];
  const invoke = (...words: readonly string[]): Invocation => ({
    program: program ?? name,
    parameters: [...parameters, ...words],
  });
  const task = (name: string, connection: Connection, ...words: readonly string[]): Invocation =>
    invoke(...taskWords(name, connection), ...words);
  return {
    name,
    abilities: new Set(abilities),
    missing: async () => {
      prepared ??= prepare();
      const result = await prepared;
      if (typeof result === 'string') return result;
      [program, ...parameters] = result;
      return false;
    },
    algorithms: async () => {
      const { code, stdout, stderr } = await runProgram(invoke('task=algorithms'));
      if (code !== 0) throw new Error(`${name} does not say what it knows: ${stderr}`);
      const lines = stdout.trim().split('\n');
      const algorithms = Object.fromEntries(
        lines.map((line) => {
          const [kind = '', names = ''] = line.split('=');
          return [kind, names.split(',')];
        }),
      ) as unknown as Algorithms;
      if (knowsWhatItProposes !== true) return algorithms;
      const proposal = await clientProposal((port) =>
        runProgram(invoke('task=run', 'host=127.0.0.1', `port=${port}`, 'user=peer', 'password=none')),
      );
      return { ...algorithms, ...proposal };
    },
    run: (connection, session, streams) =>
      runProgram(task('run', connection, ...sessionWords(session)), streams),
    start: (connection, session) =>
      startProgram(task('run', connection, ...sessionWords(session)), {}, { keepsInput: true }),
    connect: (connection, to, streams) =>
      runProgram(task('connect', connection, `to=${placeWord(to)}`), streams),
    transfer: (connection, transfers) =>
      runProgram(
        task(
          'transfer',
          connection,
          ...transfers.map(({ kind, local, remote }) => `${kind}=${local}:${remote}`),
        ),
      ),
    forward: (connection, forwards) =>
      startProgram(task('forward', connection, ...forwards.map(forwardWord))),
    parallel: async (connection, commands) => {
      const words = commands.map((command) => `command=${command}`);
      const { code, stdout, stderr } = await runProgram(task('parallel', connection, ...words));
      if (code !== 0) throw new Error(`${name}: ${stderr}`);
      const lines = stdout.trim().split('\n');
      return lines.map((line) => {
        const [status, output = ''] = line.split(' ');
        return { code: Number(status), stdout: Buffer.from(output, 'hex').toString(), stderr };
      });
    },
  };
}

/**
 * A folder that `build` filled, now or in an earlier run with the same source and the same `versions`.
 *
 * @param source the folder in `drivers/`
 * @param build fills the folder; a sentence says what it lacks
 */
export async function built(
  source: string,
  versions: readonly string[],
  build: (folder: string, source: string) => Promise<string | undefined>,
): Promise<{ readonly folder: string } | string> {
  const from = fileURLToPath(new URL(`../drivers/${source}`, import.meta.url));
  const hash = createHash('sha256').update(versions.join('\n'));
  for (const file of globSync('*.*', { cwd: from }).sort()) hash.update(readFileSync(join(from, file)));
  const folder = join(tmpdir(), `berth-driver-${source}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return { folder };
  const made = mkdtempSync(`${folder}-`);
  const lacks = await build(made, from);
  // Another run may have been faster; its folder is as good.
  if (lacks === undefined && !existsSync(folder)) renameSync(made, folder);
  else rmSync(made, { recursive: true });
  return lacks ?? { folder };
}

/** Runs one step of a build. @returns what went wrong, if anything, after `sentence` */
export async function buildStep(
  sentence: string,
  [program, ...parameters]: [string, ...string[]],
): Promise<string | undefined> {
  try {
    // Registries are reached as this machine's environment says.
    const { code, stdout, stderr } = await execute(program, parameters, { timeoutMs: buildMs });
    return code === 0 ? undefined : `${sentence}; ${program} said: ${(stdout + stderr).trim().slice(-500)}`;
  } catch (error) {
    return `${sentence}; ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What a driver is told of its task and its connection. */
export function taskWords(task: string, connection: Connection): string[] {
  const { host, port, user, hostKeys, login, algorithms = {}, rekeyBytes, agent, x11 } = connection;
  const optional = {
    kex: algorithms.kex,
    hostKeyAlgorithm: algorithms.hostKey,
    cipher: algorithms.cipher,
    mac: algorithms.mac,
    rekeyBytes,
    agent,
    x11,
  };
  return [
    `task=${task}`,
    ...[`host=${host}`, `port=${port}`, `user=${user}`, ...hostKeys.map((line) => `hostKey=${line}`)],
    ...login.flatMap(stepWords),
    ...Object.entries(optional).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
  ];
}

function stepWords(step: LoginStep): string[] {
  if (step.method === 'password') return [`password=${step.password}`];
  if (step.method === 'keyboard-interactive') return [`answer=${step.answer}`];
  const words = [`key=${step.key.file}`];
  if (step.certificate !== undefined) words.push(`certificate=${step.certificate}`);
  if (step.signature !== undefined) words.push(`signature=${step.signature}`);
  return words;
}

function sessionWords({ command, subsystem, pty, environment = {} }: Session): string[] {
  return [
    ...(command === undefined ? [] : [`command=${command}`]),
    ...(subsystem === undefined ? [] : [`subsystem=${subsystem}`]),
    ...(pty === undefined ? [] : [`pty=${pty}`]),
    ...Object.entries(environment).map(([name, value]) => `environment=${name}=${value}`),
  ];
}

function forwardWord({ kind, listen, to }: Forward): string {
  return `${kind}=${[listen, ...(to === undefined ? [] : [to])].map(placeWord).join(' ')}`;
}

function placeWord(place: Place): string {
  return 'path' in place ? place.path : `${place.host}:${place.port}`;
}
