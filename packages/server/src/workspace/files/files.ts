/**
 * Files of an environment in a browser: lists, downloads and uploads, by SFTP over a connection that the server has inside.
 * routes.ts calls it. What is moved is never held as a whole: it comes as fast as it is taken.
 */
import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { BerthError } from '@berth/contract';
import type { FileEntry, FileList, UploadedFile } from '@berth/contract';
import { ChannelError, SftpClient, SftpError, WireError, sftpStatus } from '@berth/ssh';
import type { FileAttributes, FolderEntry } from '@berth/ssh';
import type { Services } from '../../http/app.ts';
import type { Inside } from '../inside.ts';

const mostEntries = 5000;
/** How many symbolic links are followed at once. */
const linksAtOnce = 64;

/**
 * By the environment's switch, as for people's own SFTP clients.
 *
 * @throws BerthError `forbidden`
 */
export function mustServeFiles({ directory }: Pick<Services, 'directory'>, environment: string): void {
  if (directory.environment(environment)?.forwarding.sftp !== false) return;
  throw new BerthError('forbidden', `forwarding: sftp is switched off for ${environment}.`, {
    cure: 'Whoever may change the environment can switch it on again.',
  });
}

/** @throws BerthError `file_not_found`, `file_refused`, `unavailable` */
export async function listFiles(inside: Inside, path: string): Promise<FileList> {
  return withSftp(inside, path, async (sftp) => {
    const folder = await sftp.realPath(path);
    const found: FolderEntry[] = [];
    let more = false;
    for await (const batch of sftp.list(folder)) {
      found.push(...batch.slice(0, mostEntries - found.length));
      more = found.length === mostEntries;
      if (more) break;
    }
    const items: FileEntry[] = [];
    for (let at = 0; at < found.length; at += linksAtOnce)
      items.push(
        ...(await Promise.all(
          found.slice(at, at + linksAtOnce).map((entry) => present(sftp, folder, entry)),
        )),
      );
    return { path: folder, items: items.sort(byKindAndName), more };
  });
}

export interface Download {
  name: string;
  bytes: number;
  modifiedAt: Date;
  /** To be read to its end or returned. */
  content: AsyncGenerator<Buffer>;
}

/**
 * Resolves when the file is open. Its content throws what this throws.
 *
 * @throws BerthError `file_not_found`, `file_refused`, `unavailable`
 */
export async function download(inside: Inside, path: string): Promise<Download> {
  const sftp = await openSftp(inside);
  try {
    return await translated(path, async () => {
      const { kind, bytes, modifiedAt } = await sftp.stat(path);
      if (kind !== 'file') throw refused(path, `is ${kind === 'folder' ? 'a folder' : 'no file'}`);
      const handle = await sftp.openForReading(path);
      const content = async function* () {
        try {
          yield* sftp.read(handle, { start: 0, end: bytes });
        } catch (error) {
          throw translate(path, error);
        } finally {
          sftp.close();
        }
      };
      return { name: posix.basename(path), bytes, modifiedAt, content: content() };
    });
  } catch (error) {
    sftp.close();
    throw error;
  }
}

/**
 * The file is there as a whole, or not at all: it is written beside its place under another name.
 *
 * @param bytes how many there will be, where that is known
 * @param options.replace whether it takes the place of a file that is there, whose permissions it then has
 * @throws BerthError `file_not_found` (the folder), `file_exists`, `file_refused`, `unavailable`
 */
export async function upload(
  inside: Inside,
  path: string,
  source: AsyncIterable<Buffer>,
  { replace, bytes }: { replace: boolean; bytes: number | undefined },
): Promise<UploadedFile> {
  return withSftp(inside, path, async (sftp) => {
    const before = await statIfThere(sftp, path);
    if (before !== undefined && before.kind !== 'file')
      throw refused(path, `is ${before.kind === 'folder' ? 'a folder' : 'no file'}`);
    if (before !== undefined && !replace) throw exists(path);
    // A symbolic link stays one.
    const target = before === undefined ? path : await sftp.realPath(path);
    const folder = posix.dirname(target);
    const free = await sftp.freeBytes(folder);
    if (bytes !== undefined && free !== undefined && bytes > free)
      throw new BerthError(
        'file_refused',
        `${JSON.stringify(path)} has ${bytes} bytes, and there is room for ${free} in ${folder}.`,
        { cure: 'Delete what is not needed there, or upload it into another folder.' },
      );
    const temporary = posix.join(folder, `.${randomBytes(8).toString('hex')}.upload`);
    const handle = await sftp.openNew(temporary, undefined);
    try {
      const written = await sftp.write(handle, source);
      if (bytes !== undefined && written !== bytes)
        throw new BerthError('bad_request', `The upload ended after ${written} of ${bytes} bytes.`, {
          cure: 'Send it again.',
        });
      if (before?.permissions !== undefined) await sftp.setPermissions(handle, before.permissions);
      await sftp.sync(handle);
      await sftp.closeHandle(handle);
      await sftp.rename(temporary, target, { replace });
      return { path: await sftp.realPath(path), bytes: written };
    } catch (error) {
      await sftp.remove(temporary).catch(() => undefined);
      if (!replace && error instanceof SftpError && (await statIfThere(sftp, path)) !== undefined)
        throw exists(path);
      throw error;
    }
  });
}

/** @throws BerthError `unavailable` */
async function openSftp(inside: Inside): Promise<SftpClient> {
  try {
    const session = await inside.session();
    session.stderr.resume();
    await session.subsystem('sftp');
    return await SftpClient.open(session.channel);
  } catch (error) {
    if (!(error instanceof ChannelError || error instanceof SftpError)) throw error;
    throw new BerthError('unavailable', 'The environment does not serve SFTP just now.', { cause: error });
  }
}

async function withSftp<T>(inside: Inside, path: string, act: (sftp: SftpClient) => Promise<T>): Promise<T> {
  const sftp = await openSftp(inside);
  try {
    return await translated(path, () => act(sftp));
  } finally {
    sftp.close();
  }
}

async function translated<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw translate(path, error);
  }
}

function translate(path: string, error: unknown): unknown {
  if (error instanceof WireError)
    return new BerthError('unavailable', 'The environment does not speak SFTP.', { cause: error });
  if (!(error instanceof SftpError)) return error;
  switch (error.status) {
    case sftpStatus.noSuchFile:
      return new BerthError('file_not_found', `There is no ${JSON.stringify(path)}.`, { field: 'path' });
    case sftpStatus.permissionDenied:
      return refused(path, "may not be used by the environment's user");
    case sftpStatus.connectionLost:
      return new BerthError('unavailable', 'The connection into the environment was lost.', { cause: error });
    default:
      return refused(path, `cannot be used: ${error.message}`);
  }
}

function refused(path: string, why: string): BerthError {
  return new BerthError('file_refused', `path: ${JSON.stringify(path)} ${why}.`, { field: 'path' });
}

function exists(path: string): BerthError {
  return new BerthError('file_exists', `path: ${JSON.stringify(path)} is there already.`, { field: 'path' });
}

async function statIfThere(sftp: SftpClient, path: string): Promise<FileAttributes | undefined> {
  try {
    return await sftp.stat(path);
  } catch (error) {
    if (error instanceof SftpError && error.status === sftpStatus.noSuchFile) return undefined;
    throw error;
  }
}

async function present(
  sftp: SftpClient,
  folder: string,
  { name, attributes }: FolderEntry,
): Promise<FileEntry> {
  const { kind, bytes, modifiedAt } =
    attributes.kind === 'link'
      ? ((await sftp.stat(posix.join(folder, name)).catch(() => undefined)) ?? attributes)
      : attributes;
  return {
    name,
    kind: kind === 'link' ? 'other' : kind,
    bytes,
    modified_at: modifiedAt.toISOString(),
  };
}

const rank = { folder: 0, file: 1, other: 2 };

function byKindAndName(one: FileEntry, other: FileEntry): number {
  return rank[one.kind] - rank[other.kind] || (one.name < other.name ? -1 : 1);
}
