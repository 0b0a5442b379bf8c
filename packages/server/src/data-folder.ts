/**
 * The data folder: who may open it, and the small files in it.
 *
 *   lock            held with flock(2) as long as a server runs; the kernel drops it when the process dies
 *   server-id       names this server in leases, so that it finds its own again after a crash
 *   secret.key      the key ring
 *   admin-password  the admin's first password
 *   database/       the embedded database
 *   environments/   secrets that are mounted into containers
 *   berth.sock      the command's way in on this machine
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export class DataFolderError extends Error {
  override name = 'DataFolderError';
}

export interface DataFolder {
  path: string;
  serverId: string;
  file(name: string): string;
  close(): void;
}

/** @throws DataFolderError when the folder cannot be made or another server has it */
export function openDataFolder(path: string): DataFolder {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    throw new DataFolderError(
      `the data folder ${path} cannot be used: ${(error as Error).message}. Set BERTH_DATA_DIR to a folder that this user owns.`,
    );
  }
  const lock = takeLock(join(path, 'lock'), path);
  return {
    path,
    serverId: readOrMake(join(path, 'server-id'), () => randomBytes(8).toString('hex')),
    file: (name) => join(path, name),
    close: () => closeSync(lock),
  };
}

/**
 * A lock belongs to the open file, which this process shares with the `flock` command that it starts, so it
 * stays after the command has ended and goes with this process, however that ends.
 */
function takeLock(file: string, folder: string): number {
  const descriptor = openSync(file, 'a+', 0o600);
  const result = spawnSync('flock', ['--nonblock', '--exclusive', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', descriptor],
  });
  if (result.error) {
    closeSync(descriptor);
    throw new DataFolderError('the command flock is missing; install the package util-linux');
  }
  if (result.status !== 0) {
    const holder = readFileSync(file, 'utf8').trim();
    closeSync(descriptor);
    throw new DataFolderError(
      `another Berth${holder ? ` (process ${holder})` : ''} has the data folder ${folder} open. Stop it first, or set BERTH_DATA_DIR to another folder.`,
    );
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  return descriptor;
}

/** The file's content; made, whole or not at all, when it is not there. Mode 0600. */
export function readOrMake(file: string, make: () => string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const content = make();
  writeFileWhole(file, `${content}\n`, 0o600);
  return content;
}

/** Replaces a file so that a reader sees the old content or the new one, also after a power cut. */
export function writeFileWhole(file: string, content: string, mode: number): void {
  const temporary = join(dirname(file), `.${randomBytes(6).toString('hex')}.new`);
  try {
    const descriptor = openSync(temporary, 'wx', mode);
    try {
      writeSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** A file without a name, for its owner only: gone when it is closed or the process ends, however that comes. */
export async function openTemporary(folder: DataFolder): Promise<FileHandle> {
  const file = folder.file(`.${randomBytes(6).toString('hex')}.temporary`);
  const handle = await open(file, 'wx+', 0o600);
  rmSync(file);
  return handle;
}
