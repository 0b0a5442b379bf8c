// OpenSSH's ssh-keygen for tests: what it makes and prints is what our keys and certificates are held to.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

export function makeKey(...parameters: string[]): { publicLine: string; privateKey: string } {
  return withFolder((folder) => {
    const file = join(folder, 'key');
    sshKeygen('-q', '-N', '', '-f', file, ...parameters);
    return { publicLine: readFileSync(`${file}.pub`, 'utf8'), privateKey: readFileSync(file, 'utf8') };
  });
}
