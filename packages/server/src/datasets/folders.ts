/** Which folders of the host may be a data set: none through which an environment would get at the host or at Berth. */
import { isAbsolute, normalize, relative } from 'node:path';
import { BerthError } from '@berth/contract';

/** Not these, nothing in them, and nothing that holds one of them. */
const refused = [
  ...['/proc', '/sys', '/dev', '/etc', '/run', '/var/run', '/root', '/boot'],
  ...['/var/lib/docker', '/var/lib/containerd', '/var/lib/kubelet'],
];

/** Whether `path` is `folder` or in it. Both absolute and normalized. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../');
}

/** @throws BerthError `bad_request` when it is not written as an absolute path without detours */
export function mustBePlainPath(path: string): void {
  const plain = path === '/' ? path : normalize(path).replace(/\/$/, '');
  if (isAbsolute(path) && path === plain) return;
  throw new BerthError(
    'bad_request',
    `source: ${JSON.stringify(path)} is not an absolute path without "..", "." and "//".`,
    { field: 'source', cure: isAbsolute(path) ? `Write ${plain}.` : 'Begin it with "/".' },
  );
}

/**
 * @param path as asked for, or what its symbolic links lead to
 * @param allowed folders in which a data set must be; none: anywhere but where it is refused
 * @throws BerthError `bad_request`
 */
export function mustBeAllowedFolder(path: string, dataDir: string, allowed: readonly string[]): void {
  const wrong = [...refused, dataDir].find((folder) => isWithin(path, folder) || isWithin(folder, path));
  if (wrong !== undefined) {
    throw new BerthError(
      'bad_request',
      `source: ${path} may not be a data set, since ${wrong === path ? 'it' : wrong} belongs to the host or to Berth.`,
      { field: 'source', cure: 'Put the files into a folder of their own, such as /srv/data.' },
    );
  }
  if (allowed.length === 0 || allowed.some((folder) => isWithin(path, folder))) return;
  throw new BerthError('bad_request', `source: ${path} is in none of ${allowed.join(', ')}.`, {
    field: 'source',
    cure: 'Put the files there, or add their folder to the setting datasetFolders.',
  });
}
