/** Runs the command as people do: bin/berth.mjs in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { ServerDouble } from './server-double.ts';

const entry = fileURLToPath(new URL('../../bin/berth.mjs', import.meta.url));

interface Result {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

export async function berth(
  args: string[],
  options: {
    server?: ServerDouble;
    environment?: NodeJS.ProcessEnv;
    stdin?: string;
    /** A signal that is sent as soon as this stands on stderr. */
    signalAfter?: [text: string, signal: NodeJS.Signals];
  } = {},
): Promise<Result> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(BERTH_|XDG_|DOCKER_|NODE_TEST|FORCE_COLOR)/.test(name),
  );
  const folder = options.server?.folder ?? '/nonexistent';
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: 'pipe',
    cwd: '/',
    env: {
      ...Object.fromEntries(inherited),
      BERTH_DATA_DIR: folder,
      XDG_STATE_HOME: folder,
      XDG_CACHE_HOME: folder,
      ...options.environment,
    },
  });
  const [awaited, signal] = options.signalAfter ?? [];
  if (awaited !== undefined) {
    let seen = '';
    child.stderr.on('data', (chunk: Buffer) => {
      if (seen.includes(awaited)) return;
      seen += chunk.toString();
      if (seen.includes(awaited)) child.kill(signal);
    });
  }
  child.stdin.end(options.stdin ?? '');
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { exitCode, stdout, stderr };
}

/** Another program, such as a shell, while servers in this process go on answering. */
export async function runProgram(
  program: string,
  args: string[],
  environment: NodeJS.ProcessEnv,
): Promise<Result> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { exitCode, stdout, stderr };
}
