// OpenSSH's ssh-keygen for tests: what it makes and prints is what our keys and certificates are held to.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

function sshKeygen(...parameters: string[]): string {
  return execFileSync('ssh-keygen', parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A folder that is gone when the callback returns. */
function withFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-keygen-test-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes `content` as ssh-keygen wants a private key file to be, and calls it on the file. */
export function sshKeygenOn(content: string, ...parameters: string[]): string {
  return withFolder((folder) => {
    const file = join(folder, 'file');
    writeFileSync(file, content, { mode: 0o600 });
    return sshKeygen(...parameters, '-f', file);
  });
}

/**
 * Calls ssh-keygen in a folder that holds `files` (name -> content), with `input` to read, and returns what it
 * printed and every file that is there afterwards.
 */
export function sshKeygenIn(
  files: Readonly<Record<string, string | Buffer>>,
  parameters: readonly string[],
  input = '',
): { printed: string; files: ReadonlyMap<string, Buffer> } {
  return withFolder((folder) => {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
    }
    const printed = execFileSync('ssh-keygen', parameters, {
      cwd: folder,
      encoding: 'utf8',
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const names = readdirSync(folder);
    return { printed, files: new Map(names.map((name) => [name, readFileSync(join(folder, name))])) };
  });
}

export function makeKey(...parameters: string[]): { publicLine: string; privateKey: string } {
  return withFolder((folder) => {
    const file = join(folder, 'key');
    sshKeygen('-q', '-N', '', '-f', file, ...parameters);
    return { publicLine: readFileSync(`${file}.pub`, 'utf8'), privateKey: readFileSync(file, 'utf8') };
  });
}
