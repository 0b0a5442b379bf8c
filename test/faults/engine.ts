/**
 * A Docker engine of a test's own, to be killed: its data, sockets, mounts, processes and network are apart from the
 * machine's, in namespaces that end with the test process, however that ends. Needs root.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { docker as machineDocker } from '../harness/berth.ts';
import { eventually, execute } from '../harness/ssh.ts';

const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** Why such an engine cannot be had here; false when it can. */
export function engineIsMissing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, for a Docker engine of its own';
  for (const program of ['dockerd', 'ip', 'nsenter']) {
    const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
    if (error) return `needs ${program}, for a Docker engine of its own`;
  }
  const { status } = spawnSync('unshare', [...namespaces, 'ip', 'link', 'set', 'lo', 'up']);
  return status === 0 ? false : 'needs the right to make namespaces, for a Docker engine of its own';
}

export class TestEngine {
  readonly docker: Docker;
  readonly socket: string;
  log = '';
  readonly #folder: string;
  readonly #holder: ChildProcess;
  readonly #init: number;
  #engine: ChildProcess | null = null;

  private constructor(folder: string, holder: ChildProcess, init: number) {
    this.#folder = folder;
    this.#holder = holder;
    this.#init = init;
    this.socket = join(folder, 'docker.sock');
    this.docker = new Docker({ socketPath: this.socket });
  }

  /** @param image copied from the machine's engine */
  static async start(image: string): Promise<TestEngine> {
    const folder = mkdtempSync(join(tmpdir(), 'berth-engine-'));
    // Process 1 of the namespaces: lives until its standard input ends, and reaps.
    const script = 'ip link set lo up && echo ready && read -r _';
    const holder = spawn('unshare', [...namespaces, 'bash', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      const engine = new TestEngine(folder, holder, onlyChild(holder.pid));
      await engine.up();
      const stream = await machineDocker.getImage(image).get();
      const loading = await engine.docker.loadImage(stream as NodeJS.ReadableStream as unknown as string);
      await new Promise<void>((resolve, reject) => {
        engine.docker.modem.followProgress(loading, (error) => (error ? reject(error) : resolve()));
      });
      return engine;
    } catch (error) {
      await endAll(holder, folder);
      throw error;
    }
  }

  /** In front of a program: it runs in the engine's network, and reaches its environments. */
  get launcher(): string[] {
    return ['nsenter', '--target', String(this.#init), '--net', '--'];
  }

  /** Runs a script of bash as root in all of the engine's namespaces. @throws Error with what it printed */
  async run(script: string): Promise<void> {
    const { code, stderr } = await execute('nsenter', [...this.#namespaces, 'bash', '-ec', script]);
    if (code !== 0) throw new Error(`${script}: ${stderr}`);
  }

  get #namespaces(): string[] {
    return ['--target', String(this.#init), '--net', '--mount', '--pid', '--'];
  }

  /** Starts the engine and waits until it answers. */
  async up(): Promise<void> {
    const at = (name: string) => join(this.#folder, name);
    const engine = spawn('nsenter', [
      ...[...this.#namespaces, 'dockerd'],
      ...['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('dockerd.pid')],
      ...['--host', `unix://${this.socket}`, '--log-level', 'warn'],
    ]);
    this.#engine = engine;
    engine.stderr.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    const answers = () =>
      this.docker.ping().then(
        () => true,
        () => false,
      );
    await eventually(answers, (yes) => yes || engine.exitCode !== null, 30_000, 20);
    if (!(await answers())) throw new Error(`dockerd did not start\n${this.log.slice(-3000)}`);
  }

  /** Waits for the moment of a start at which containerd has made the container's process, but the engine not yet run it. */
  async shimOf(containerId: string): Promise<void> {
    const isShim = (pid: string) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`-id\0${containerId}`);
      } catch {
        return false;
      }
    };
    const numbers = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const before = new Set(numbers());
    await eventually(() => numbers().some((pid) => !before.has(pid) && isShim(pid)), Boolean, 10_000, 2);
  }

  /** What the kernel does to it when memory runs out. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** What an upgrade of its package does to it. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const engine = this.#engine;
    if (!engine || engine.exitCode !== null || engine.signalCode !== null) return;
    const exit = once(engine, 'exit');
    process.kill(onlyChild(engine.pid), signal);
    await exit;
  }

  async remove(): Promise<void> {
    await endAll(this.#holder, this.#folder);
  }
}

/** Everything in the namespaces dies with their process 1, and the mounts go with the last of it. */
async function endAll(holder: ChildProcess, folder: string): Promise<void> {
  if (holder.exitCode === null && holder.signalCode === null) {
    const exit = once(holder, 'exit');
    holder.stdin?.end();
    await exit;
  }
  await eventually(
    () => {
      try {
        rmSync(folder, { recursive: true, force: true });
        return true;
      } catch {
        return false;
      }
    },
    Boolean,
    10_000,
  );
}

function onlyChild(pid: number | undefined): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}
