/** Data sets as Docker mounts them. */
import { realpath, stat } from 'node:fs/promises';
import type Docker from 'dockerode';
import { isWithin } from '../../datasets/folders.ts';
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
  const { DockerRootDir: root } = (await docker.info()) as { DockerRootDir: string };
  const real = await realpath(source).catch((error: NodeJS.ErrnoException) => {
    throw missing(
      `the folder ${source} on the host is not there for Berth (${error.code})`,
      'Make the folder, mount the disk that has it, or let the user that Berth runs as look into it.',
    );
  });
  if (isWithin(real, root) || isWithin(root, real))
    throw missing(`${root} is Docker's own folder`, 'Put the files into a folder of their own.');
  if (!(await stat(real)).isDirectory())
    throw missing(`${source} on the host is not a folder`, 'Name a folder.');
  return real;
}

/**
 * A bind mount and not Docker's short form, which would make an empty folder where there is none. Not recursive, since
 * older engines leave file systems that are mounted beneath a read-only folder open for writing.
 */
export function datasetMount({ name, kind, source, readOnly }: DatasetMount): Docker.MountSettings {
  const mount = { Source: source, Target: datasetPath(name), ReadOnly: readOnly };
  const bindOptions = { Propagation: 'rprivate' as const, NonRecursive: true };
  return kind === 'folder'
    ? { ...mount, Type: 'bind', BindOptions: bindOptions }
    : { ...mount, Type: 'volume' };
}
