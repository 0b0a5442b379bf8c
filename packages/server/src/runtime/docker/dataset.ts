/** Data sets as Docker mounts them. */
import { realpath, stat } from 'node:fs/promises';
import type Docker from 'dockerode';
import { RuntimeError, datasetPath } from '../runtime.ts';
import type { DatasetMount } from '../runtime.ts';
import { hasStatus } from './errors.ts';

/**
 * @param environmentLabel of volumes that belong to an environment, of whichever Berth
 * @returns the source without symbolic links
 * @throws RuntimeError `dataset_missing`
 */
export async function findDataset(
  docker: Docker,
  { kind, source, name }: Pick<DatasetMount, 'kind' | 'source' | 'name'>,
  environmentLabel: string,
): Promise<string> {
  const missing = (what: string, cure: string) =>
    new RuntimeError('dataset_missing', `The data set ${name} cannot be mounted: ${what}.`, cure);
  if (kind === 'volume') {
    const volume = await docker
      .getVolume(source)
      .inspect()
      .catch((error: unknown) => {
        if (!hasStatus(error, 404)) throw error;
        throw missing(
          `there is no Docker volume ${source}`,
          `Make it with "docker volume create ${source}", or name another one.`,
        );
      });
    if (volume.Labels?.[environmentLabel] !== undefined)
      throw missing(`the Docker volume ${source} is that of an environment`, 'Name another one.');
    return source;
  }
  // An engine on another machine has folders that cannot be seen from here.
  if ((docker.modem as { socketPath?: string }).socketPath === undefined) return source;
  try {
    const real = await realpath(source);
    if ((await stat(real)).isDirectory()) return real;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    throw missing(
      `there is no folder ${source} on the host`,
      'Make the folder, or mount the disk that has it.',
    );
  }
  throw missing(`${source} on the host is not a folder`, 'Name a folder.');
}

/** A bind mount and not Docker's short form, which would make an empty folder where there is none. */
export function datasetMount({ name, kind, source, readOnly }: DatasetMount): Docker.MountSettings {
  return kind === 'folder'
    ? { Type: 'bind', Source: source, Target: datasetPath(name), ReadOnly: readOnly }
    : { Type: 'volume', Source: source, Target: datasetPath(name), ReadOnly: readOnly };
}
