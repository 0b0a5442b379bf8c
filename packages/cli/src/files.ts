/** Files that are written whole or not at all. */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Writes beside the file and renames, so that a reader finds the old or the new content, never a part. */
export function writeWhole(file: string, content: string | Buffer, mode: number): void {
  const unfinished = `${file}.${randomUUID()}`;
  try {
    writeFileSync(unfinished, content, { mode, flag: 'wx', flush: true });
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** The same for somebody else's file: symbolic links stay, and so do its mode and owner. */
export function replaceContent(file: string, content: Buffer, modeOfNew: number): void {
  const target = followed(file);
  const before = statSync(target, { throwIfNoEntry: false });
  const unfinished = `${target}.${randomUUID()}`;
  try {
    writeFileSync(unfinished, content, { mode: 0o600, flag: 'wx', flush: true });
    if (before !== undefined && before.uid !== process.getuid?.())
      chownSync(unfinished, before.uid, before.gid);
    chmodSync(unfinished, before === undefined ? modeOfNew : before.mode & 0o7777);
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Where links lead, also when nothing is there yet. */
function followed(file: string, linksLeft = 40): string {
  if (!lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() || linksLeft === 0) return file;
  return followed(resolve(dirname(file), readlinkSync(file)), linksLeft - 1);
}
