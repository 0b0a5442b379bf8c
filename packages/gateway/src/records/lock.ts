/**
 * Locks of journals: flock(2), taken through the `flock` command on a file that this process has open. A lock belongs to
 * the open file, so it stays after the command has ended and goes with this process, however that ends.
 */
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';

/** @returns the descriptor that holds the lock; null when another process has it or the file has been removed */
export async function takeLock(file: string): Promise<number | null> {
  const descriptor = openSync(file, 'a', 0o600);
  const isTaken = await new Promise<boolean>((resolve, reject) => {
    const child = spawn('flock', ['--nonblock', '--exclusive', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
    });
    child.once('error', (error) =>
      reject(new Error('the command flock is missing; install the package util-linux', { cause: error })),
    );
    child.once('exit', (code) => resolve(code === 0));
  });
  // Whoever held it before may have removed it meanwhile; the next one would then lock another file of this name.
  if (isTaken && fstatSync(descriptor).nlink > 0) return descriptor;
  closeSync(descriptor);
  return null;
}
