/** Programs that run beside a test: tunnels, agents, listeners in other network namespaces. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './ssh.ts';

export class Background {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #program: string;

  constructor(
    program: string,
    commandLine: string[],
    options: { environment?: Record<string, string>; input?: string } = {},
  ) {
    this.#program = program;
    this.#child = spawn(program, commandLine, {
      env: { ...process.env, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.on('error', (error) => (this.stderr += error.message));
    this.#child.stdin?.on('error', () => undefined);
    if (options.input !== undefined) this.#child.stdin?.write(options.input);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits until what it has printed, on either stream, matches; throws when it ends first. */
  async says(pattern: RegExp, withinMs = 10_000): Promise<RegExpExecArray> {
    const found = await eventually(
      () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr),
      (match) => match !== null || this.ended,
      withinMs,
      20,
    );
    if (found === null)
      throw new Error(
        `${this.#program} ended without saying ${String(pattern)}: ${this.stdout}${this.stderr}`,
      );
    return found;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Closes its standard input and ends it, by force when it does not go. */
  async stop(): Promise<void> {
    if (this.ended) return;
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await exit;
    clearTimeout(force);
  }
}
