/**
 * The Docker engine of this machine: found, started or installed, in that order and as far as this account may.
 *
 * Without systemd, as in a container or a small virtual machine, dockerd is started by hand and outlives the
 * command, as the environments do.
 */
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { CommandFailure, exitCodes } from '../failure.ts';

const pingTimeoutMs = 2_000;
const startTimeoutMs = 30_000;
const startPollMs = 200;
const quotedLogLines = 5;

export interface EngineOptions {
  /** Whether packages may be installed where the engine is missing. */
  mayInstall: boolean;
  /** Where the log of an engine goes that is started by hand and may not write to /var/log. */
  dataDir: string;
  onProgress(step: string, detail?: string): void;
}

/** @throws CommandFailure with one sentence and its cure when no engine can be had */
export async function ensureDockerEngine(options: EngineOptions): Promise<Docker> {
  const docker = new Docker();
  const refusal = await ping(docker);
  if (refusal === undefined) return docker;
  const place = process.env['DOCKER_HOST'] || '/var/run/docker.sock';
  if (refusal === 'EACCES' || refusal === 'EPERM') {
    throw engineFailure(
      `The Docker engine's socket ${place} is not open to this account`,
      'Add it to the group docker (sudo usermod -aG docker "$USER"), sign in again and start Berth again.',
    );
  }
  if (process.env['DOCKER_HOST']) {
    throw engineFailure(
      `No Docker engine answers at ${place}, which DOCKER_HOST names (${refusal})`,
      'Start that engine, or unset DOCKER_HOST to use the one on this machine.',
    );
  }
  const isRoot = process.getuid?.() === 0;
  if (findProgram('dockerd') === undefined) {
    const aptGet = findProgram('apt-get');
    if (!isRoot || aptGet === undefined) {
      throw engineFailure(
        `No Docker engine answers at ${place}, and ${isRoot ? 'there is no apt-get to install one with' : 'this account may not install one'}`,
        'Install it (Debian and Ubuntu: sudo apt-get install docker.io; others: https://docs.docker.com/engine/install/) and start Berth again.',
      );
    }
    if (!options.mayInstall) {
      throw engineFailure(
        'No Docker engine is installed on this machine',
        'Let Berth install it with "npx berth up --install", or install it yourself (apt-get install docker.io).',
      );
    }
    await install(aptGet, options);
    if ((await ping(docker)) === undefined) return docker;
  } else if (!isRoot) {
    throw engineFailure(
      `The Docker engine is installed but does not answer at ${place}`,
      'Start it (sudo systemctl start docker, or sudo dockerd) and start Berth again.',
    );
  }
  await start(docker, options);
  return docker;
}

/** @returns undefined when the engine answers, else why not: an error code or a sentence */
async function ping(docker: Docker): Promise<string | undefined> {
  const bound = new AbortController();
  try {
    await Promise.race([
      docker.ping(),
      delay(pingTimeoutMs, undefined, { signal: bound.signal }).then(() => {
        throw new Error(`no answer within ${pingTimeoutMs / 1000} s`);
      }),
    ]);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) return String(error);
    return 'code' in error ? String(error.code) : error.message;
  } finally {
    bound.abort();
  }
}

async function install(aptGet: string, { onProgress }: EngineOptions): Promise<void> {
  const step = 'installing the Docker engine';
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    run(aptGet, args, { environment, onLine: (line) => onProgress(step, line) }).then(
      ({ code, lastLines }) => {
        if (code === 0) return;
        throw engineFailure(
          `The Docker engine could not be installed: "apt-get ${args[0]}" ended with ${code}: ${lastLines.join(' | ')}`,
          'Install it by hand (apt-get install docker.io) and start Berth again.',
        );
      },
    );
  onProgress(step);
  await apt('update');
  // From Debian 13 on, the client is a package of its own.
  const client =
    (await run('apt-cache', ['show', 'docker-cli'], { environment })).code === 0 ? ['docker-cli'] : [];
  await apt('install', '-y', '--no-install-recommends', 'docker.io', 'iptables', ...client);
}

async function start(docker: Docker, { onProgress, dataDir }: EngineOptions): Promise<void> {
  onProgress('starting the Docker engine');
  if (existsSync('/run/systemd/system')) {
    const { code, lastLines } = await run('systemctl', ['start', 'docker']);
    if (code === 0 && (await answersInTime(docker))) return;
    throw engineFailure(
      `The Docker engine did not start: ${lastLines.join(' | ') || 'it does not answer'}`,
      'See "journalctl -u docker", correct it and start Berth again.',
    );
  }
  const log = openLog(dataDir);
  const engine = spawn(findProgram('dockerd') ?? 'dockerd', [], {
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor],
  });
  closeSync(log.descriptor);
  engine.unref();
  const ended = new AbortController();
  let spawnFailure = '';
  engine.once('error', (error) => {
    spawnFailure = error.message;
    ended.abort();
  });
  engine.once('exit', () => ended.abort());
  if (await answersInTime(docker, ended.signal)) return;
  const lines = readFileSync(log.path, 'utf8').trimEnd().split('\n').slice(-quotedLogLines).join(' | ');
  throw engineFailure(
    `The Docker engine did not start; the last lines of its log ${log.path} are: ${spawnFailure || lines || 'none'}`,
    'Correct what they name and start Berth again.',
  );
}

async function answersInTime(docker: Docker, ended?: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline && !ended?.aborted) {
    if ((await ping(docker)) === undefined) return true;
    await delay(startPollMs);
  }
  return false;
}

function openLog(dataDir: string): { path: string; descriptor: number } {
  try {
    const path = '/var/log/dockerd.log';
    return { path, descriptor: openSync(path, 'a', 0o640) };
  } catch {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const path = join(dataDir, 'dockerd.log');
    return { path, descriptor: openSync(path, 'a', 0o640) };
  }
}

/** An executable file on the PATH, or where administrators' programs are, which some PATHs leave out. */
function findProgram(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '')
    .split(delimiter)
    .concat('/usr/local/sbin', '/usr/sbin', '/sbin');
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

interface RunOptions {
  environment?: NodeJS.ProcessEnv;
  onLine?(line: string): void;
}

function run(
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<{ code: number; lastLines: string[] }> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.environment ? { env: options.environment } : {}),
  });
  const lastLines: string[] = [];
  const take = (chunk: string) => {
    for (const line of chunk.split(/[\r\n]+/).filter((each) => each.trim() !== '')) {
      lastLines.push(line.trim());
      if (lastLines.length > quotedLogLines) lastLines.shift();
      options.onLine?.(line.trim());
    }
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, lastLines: [error.message] }));
    child.once('close', (code) => resolve({ code: code ?? 1, lastLines }));
  });
}

function engineFailure(detail: string, cure: string): CommandFailure {
  return new CommandFailure(exitCodes.failed, 'runtime_unavailable', detail, cure);
}
