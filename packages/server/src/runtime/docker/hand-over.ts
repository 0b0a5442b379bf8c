/**
 * Gives a container that runs without root what is its user's, before its first start: his name, and the folders that
 * last, which a fresh volume has as root's.
 *
 * Nobody inside could do so later, and nobody inside shall: the engine writes it into the container's file system from
 * outside (`docker cp` uses the same call), so that /etc/passwd stays root's and no process ever runs as root there.
 */
import type { IncomingMessage } from 'node:http';
import { posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type Docker from 'dockerode';
import { extract, pack } from 'tar-stream';
import { hasStatus } from './errors.ts';

/** The user's id and that of his group, in every image. */
export const userId = 1000;

/** Longer files hold no accounts that anybody needs. */
const longestFileBytes = 1024 ** 2;

interface Accounts {
  passwd: string;
  group: string;
}

/** What images call their accounts, by the image's id; looking costs the engine some 80 ms. */
export type KnownAccounts = Map<string, Accounts>;

/** May be repeated as long as the container has not been started. */
export async function handOver(
  container: Docker.Container,
  username: string,
  folders: string[],
  known: KnownAccounts,
): Promise<void> {
  const { Image: image } = await container.inspect();
  let accounts = known.get(image);
  if (accounts === undefined) {
    accounts = {
      passwd: await readTextFile(container, '/etc/passwd'),
      group: await readTextFile(container, '/etc/group'),
    };
    known.set(image, accounts);
  }
  const archive = pack();
  const owner = { uid: userId, gid: userId };
  for (const folder of folders)
    archive.entry({
      name: inArchive(folder),
      type: 'directory',
      ...owner,
      ...(await look(container, folder)),
    });
  const renamed = renameUser(accounts, username);
  if (renamed !== null) {
    const file = { uid: 0, gid: 0, mode: 0o644 };
    archive.entry({ name: 'etc/passwd', ...file }, renamed.passwd);
    archive.entry({ name: 'etc/group', ...file }, renamed.group);
  }
  archive.finalize();
  await container.putArchive(await buffer(archive), { path: '/' });
}

/**
 * The files with the user, and the group that is named after him, under another name, as usermod(8) and groupmod(8)
 * leave them.
 *
 * @returns null where nothing is to be done, or nothing can be: no such user, or the name is another account's
 */
export function renameUser({ passwd, group }: Accounts, username: string): Accounts | null {
  const users = passwd.split('\n').map((line) => line.split(':'));
  const user = users.find(([, , id]) => id === String(userId));
  const [name] = user ?? [];
  if (user === undefined || name === undefined || users.some(([each]) => each === username)) return null;
  user[0] = username;
  user[5] = posix.join('/home', username);
  const groups = group.split('\n').map((line) => line.split(':'));
  for (const each of groups) {
    if (each[0] === name && each[2] === String(userId)) each[0] = username;
    if (each[3] !== undefined)
      each[3] = each[3]
        .split(',')
        .map((member) => (member === name ? username : member))
        .join(',');
  }
  const text = (lines: string[][]) => lines.map((fields) => fields.join(':')).join('\n');
  return { passwd: text(users), group: text(groups) };
}

/** Mode and time of a folder, which stay as they are. Go's file modes have the special bits elsewhere (`io/fs`). */
async function look(container: Docker.Container, folder: string): Promise<{ mode: number; mtime: Date }> {
  try {
    const answer = (await container.infoArchive({ path: folder })) as IncomingMessage;
    // Else its connection would stay open.
    answer.resume();
    const stat = String(answer.headers['x-docker-container-path-stat']);
    const { mode, mtime } = JSON.parse(Buffer.from(stat, 'base64').toString()) as {
      mode: number;
      mtime: string;
    };
    const special = [23, 22, 20].map((bit, index) => ((mode >>> bit) & 1) << (11 - index));
    return { mode: special.reduce((sum, bit) => sum | bit, mode & 0o777), mtime: new Date(mtime) };
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    return { mode: 0o755, mtime: new Date() };
  }
}

/** @returns the empty text where there is no such file */
async function readTextFile(container: Docker.Container, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  const entries = extract();
  entries.on('entry', ({ size = 0 }, content, next) => {
    if (size <= longestFileBytes) content.on('data', (chunk: Buffer) => chunks.push(chunk));
    content.on('end', next);
    content.resume();
  });
  try {
    await pipeline(await container.getArchive({ path }), entries);
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
  }
  return Buffer.concat(chunks).toString();
}

function inArchive(path: string): string {
  return posix.relative('/', path);
}
