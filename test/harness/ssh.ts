/** The stock OpenSSH clients, as a person uses them, with the environment's host key pinned. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { SshAccess } from '@berth/contract';

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end; standard input is closed unless given. */
export function execute(
  program: string,
  commandLine: string[],
  options: {
    input?: string | Buffer;
    environment?: Record<string, string>;
    cwd?: string;
    timeoutMs?: number;
  } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, commandLine, {
      cwd: options.cwd,
      env: { ...process.env, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
  });
}

/** What the clients need to log in: a folder with the known_hosts line and the password or a private key. */
export class Login {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-login-'));
  readonly access: SshAccess;
  readonly #authentication: string[];

  /** @param privateKey path of a private key; without one the password is used */
  constructor(access: SshAccess, privateKey?: string) {
    this.access = access;
    writeFileSync(join(this.folder, 'known_hosts'), `${access.known_hosts}\n`);
    writeFileSync(join(this.folder, 'password'), `${access.ssh_password}\n`, { mode: 0o600 });
    this.#authentication =
      privateKey === undefined
        ? ['-o', 'PreferredAuthentications=password', '-o', 'PubkeyAuthentication=no']
        : [
            '-i',
            privateKey,
            '-o',
            'IdentitiesOnly=yes',
            '-o',
            'PreferredAuthentications=publickey',
            '-o',
            'BatchMode=yes',
          ];
  }

  /** Options that ssh, scp and sftp all take. */
  get options(): string[] {
    return [
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${join(this.folder, 'known_hosts')}`,
      '-o',
      'GlobalKnownHostsFile=none',
      '-o',
      'StrictHostKeyChecking=yes',
      '-o',
      'NumberOfPasswordPrompts=1',
      '-o',
      'ConnectTimeout=10',
      ...this.#authentication,
    ];
  }

  get target(): string {
    return `${this.access.ssh_username}@${this.access.ssh_host}`;
  }

  get port(): string {
    return String(this.access.ssh_port);
  }

  /** `ssh` or another program of the family, with the password from a file. */
  run(
    program: string,
    commandLine: string[],
    options: Parameters<typeof execute>[2] = {},
  ): Promise<Finished> {
    return execute('sshpass', ['-f', join(this.folder, 'password'), program, ...commandLine], options);
  }

  ssh(
    command: string,
    options: Parameters<typeof execute>[2] & { flags?: string[] } = {},
  ): Promise<Finished> {
    return this.run(
      'ssh',
      [...this.options, '-p', this.port, ...(options.flags ?? []), this.target, command],
      options,
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A fresh Ed25519 key pair in `folder`. @returns path of the private key; the public one is beside it in `.pub` */
export async function makeKey(folder: string, name = 'id_ed25519'): Promise<string> {
  const file = join(folder, name);
  const { code, stderr } = await execute('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    name,
    '-f',
    file,
  ]);
  if (code !== 0) throw new Error(`ssh-keygen failed: ${stderr}`);
  return file;
}

/** Asks again until the answer is right; the last answer is returned or, when the time is up, thrown in words. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isRight: (answer: T) => boolean,
  withinMs = 10_000,
  everyMs = 50,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(`not so within ${withinMs} ms; the last answer was ${JSON.stringify(answer)}`);
    await pause(everyMs);
  }
}
