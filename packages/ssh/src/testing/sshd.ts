// OpenSSH's own sshd for tests, on a port that was free a moment ago, with a folder of its own and nothing
// of the machine's configuration. Without root it still shakes hands, which is all that is asked of it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = '/usr/sbin/sshd';

export const missingSshd = existsSync(program)
  ? false
  : `${program} is not there; install it with: apt-get install openssh-server`;

export interface Sshd {
  readonly host: string;
  readonly port: number;
  /** Of the listener, whose children serve the connections. */
  readonly pid: number;
  /** What sshd wrote so far. */
  readonly log: () => string;
  /** Resolves when the log holds `count` matches. */
  readonly logged: (pattern: RegExp, count: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface SshdOptions {
  /**
   * What sshd sees as /etc/shadow, in a mount namespace of its own, so that a test can have passwords; only root can
   * make that.
   */
  readonly shadow?: string;
  /** What starts sshd, where that needs more words than its path; they must become it, as `nsenter` does. */
  readonly command?: readonly [string, ...string[]];
}

/** `hostKey` is the content of a private key file; `settings` are further lines of sshd_config. */
export async function startSshd(
  hostKey: string,
  settings: readonly string[] = [],
  { shadow, command = [program] }: SshdOptions = {},
): Promise<Sshd> {
  const [starter, ...words] = command;
  const folder = mkdtempSync(join(tmpdir(), 'sshd-test-'));
  const keyFile = join(folder, 'host_key');
  writeFileSync(keyFile, hostKey, { mode: 0o600 });
  // sshd insists on its privilege separation folder when it is root.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  // Between choosing the port and sshd's taking it, another program may.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const port = await freePort();
    const configFile = join(folder, 'sshd_config');
    const lines = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${keyFile}`,
      'PidFile none',
      // The first value of a setting is the one that counts.
      ...settings,
      'MaxStartups 1000',
      'LogLevel VERBOSE',
    ];
    writeFileSync(configFile, `${lines.join('\n')}\n`);
    // Since 9.8 sshd shuts out addresses that connect often without logging in.
    const withoutPenalties = ['-o', 'PerSourcePenalties=no'];
    const knowsPenalties =
      spawnSync(starter, [...words, '-t', '-f', configFile, ...withoutPenalties]).status === 0;
    const extra = knowsPenalties ? withoutPenalties : [];
    const whole = [...command, '-D', '-e', '-f', configFile, ...extra];
    if (shadow !== undefined) {
      const shadowFile = join(folder, 'shadow');
      writeFileSync(shadowFile, shadow, { mode: 0o600 });
      const mounted = 'mount --bind "$0" /etc/shadow && exec "$@"';
      whole.unshift('unshare', '--mount', 'sh', '-c', mounted, shadowFile);
    }
    const [file = program, ...parameters] = whole;
    const child = spawn(file, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
    const sshd = watch(child, port, folder);
    const isListening = sshd.logged(/Server listening/g, 1).then(() => true);
    const exited = new Promise<false>((resolve) => child.on('exit', () => resolve(false)));
    if (await Promise.race([isListening, exited])) return sshd;
    if (!/Address already in use/.test(sshd.log())) {
      rmSync(folder, { recursive: true });
      throw new Error(`sshd did not start: ${sshd.log()}`);
    }
  }
  rmSync(folder, { recursive: true });
  throw new Error('sshd found no free port');
}

function watch(child: ChildProcess, port: number, folder: string): Sshd {
  let log = '';
  const waiting = new Set<() => void>();
  // A test that is cut off must leave neither its server running nor its keys.
  const cleanUp = (): void => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', cleanUp);
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
    for (const check of waiting) check();
  });
  return {
    host: '127.0.0.1',
    port,
    pid: child.pid ?? 0,
    log: () => log,
    logged: (pattern, count) =>
      new Promise((resolve) => {
        const check = (): void => {
          if ((log.match(pattern)?.length ?? 0) < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    stop: async () => {
      const exited = new Promise((resolve) => child.on('exit', resolve));
      child.kill();
      await exited;
      process.off('exit', cleanUp);
      rmSync(folder, { recursive: true });
    },
  };
}

/** A port of the loopback address that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
