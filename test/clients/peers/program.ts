/** Starting the programs of peers: to an end with a result, or to be stopped by the test. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Result, Running, Streams } from './peer.ts';

/** How to start a peer for one task. */
export interface Invocation {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const longestMs = 120_000;
/** So long a client may take to end when it is asked to. */
const graceMs = 2_000;

/** Nothing of this machine's agent, display or terminal reaches a peer. */
const inherited = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'SSL_CERT_FILE', 'JAVA_HOME'];

/** A test that is cut off leaves none of them running. */
const running = new Set<() => void>();
process.once('exit', () => {
  for (const kill of running) kill();
});

/** Its input ends at once, unless it is given or `keepsInput`. */
export function startProgram(
  invocation: Invocation,
  { stdin, stdout }: Streams = {},
  { keepsInput = false } = {},
): Running {
  const files: number[] = [];
  const open = (file: string, flags: string): number => {
    const descriptor = openSync(file, flags);
    files.push(descriptor);
    return descriptor;
  };
  const child = spawn(invocation.program, invocation.parameters, {
    env: {
      ...Object.fromEntries(
        inherited.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
      ),
      ...invocation.environment,
    },
    // A session of its own: no terminal to ask for a password on.
    detached: true,
    stdio: [
      typeof stdin === 'object' ? open(stdin.file, 'r') : 'pipe',
      stdout === undefined ? 'pipe' : open(stdout.file, 'w'),
      'pipe',
    ],
  });
  for (const descriptor of files) closeSync(descriptor);
  const kill = (signal: NodeJS.Signals): void => {
    // The group, since a shell or a master process may be in front of the client.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, signal);
    }
  };
  const killAtExit = (): void => kill('SIGKILL');
  running.add(killAtExit);
  const timer = setTimeout(killAtExit, longestMs);
  const ended = new Promise<Result>((resolve, reject) => {
    let printed = '';
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      running.delete(killAtExit);
      resolve({ code, stdout: printed, stderr: said });
    });
  });
  child.stdin?.on('error', () => undefined);
  if (!keepsInput) child.stdin?.end(stdin);
  return {
    child,
    ended,
    stop: async () => {
      kill('SIGTERM');
      const force = setTimeout(killAtExit, graceMs);
      const result = await ended;
      clearTimeout(force);
      return result;
    },
  };
}

export function runProgram(invocation: Invocation, streams?: Streams): Promise<Result> {
  return startProgram(invocation, streams).ended;
}

/** What a program printed, or undefined when it is not there or failed. */
export async function printed(program: string, ...parameters: string[]): Promise<string | undefined> {
  const result = await runProgram({ program, parameters }).catch(() => undefined);
  return result?.code === 0 ? result.stdout : undefined;
}
