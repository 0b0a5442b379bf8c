/**
 * What the machine of the engine has left, as the guard sees it, which runs there in the network of the host: the disk on
 * which containers and volumes are, memory, and how busy it is.
 */
import type Docker from 'dockerode';
import { RuntimeError } from '../runtime.ts';
import type { MachineRoom } from '../runtime.ts';
import { outputOf } from './exec.ts';
import { guardName } from './network.ts';

const script = `stat -f -c 'disk %S %a %c %d' / && cat /proc/loadavg && nproc --all && grep ^MemAvailable: /proc/meminfo`;
const mostBytes = 4096;

/** @throws RuntimeError */
export async function machineRoom(
  docker: Docker,
  installationId: string,
  signal: AbortSignal,
): Promise<MachineRoom> {
  const { DockerRootDir } = (await docker.info()) as { DockerRootDir: string };
  const command = ['/bin/sh', '-c', script];
  const printed = await outputOf(docker, guardName(installationId), command, { signal, mostBytes });
  const found = /^disk (\d+) (\d+) (\d+) (\d+)\n\S+ (\S+) .*\n(\d+)\nMemAvailable: +(\d+) kB$/m.exec(printed);
  if (found === null) {
    throw new RuntimeError(
      'other',
      'What the machine has left cannot be read.',
      'Look whether the guard container runs.',
    );
  }
  const [blockBytes = 0, blocks = 0, inodes = 0, inodesFree = 0, load = 0, cores = 0, memoryKibibytes = 0] =
    found.slice(1).map(Number);
  return {
    disk: { place: DockerRootDir, freeBytes: blockBytes * blocks, inodes, inodesFree },
    memoryFreeBytes: memoryKibibytes * 1024,
    // Of the last five minutes.
    load,
    cores,
  };
}
