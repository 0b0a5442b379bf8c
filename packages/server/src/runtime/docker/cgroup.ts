/**
 * What a control group has used, as the kernel's files say: cgroups(7), version 2 and version 1, which one machine may have
 * side by side.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where each version 1 controller is mounted, and version 2 under the empty name; by the whole of its hierarchy only. */
export type CgroupMounts = Map<string, string>;

/** @param mountinfo as /proc/self/mountinfo has it, see proc_pid_mountinfo(5) */
export function cgroupMounts(mountinfo: string): CgroupMounts {
  const mounts: CgroupMounts = new Map();
  for (const line of mountinfo.split('\n')) {
    const [mount = '', superblock = ''] = line.split(' - ');
    const [, , , root, mountPoint = ''] = mount.split(' ');
    const [type, , options = ''] = superblock.split(' ');
    if (root !== '/') continue;
    if (type === 'cgroup2') mounts.set('', mountPoint);
    if (type === 'cgroup') for (const option of options.split(',')) mounts.set(option, mountPoint);
  }
  return mounts;
}

/**
 * @param membership as /proc/PID/cgroup has it
 * @returns memory without files that are merely cached, which is what the kernel takes back before it ends a process
 * @throws Error when its files are not there, or not of these forms
 */
export function readCgroup(
  mounts: CgroupMounts,
  membership: string,
): { cpuSeconds: number; memoryBytes: number } {
  const folders = new Map<string, string>();
  for (const line of membership.split('\n')) {
    const [hierarchy = '', controllers = '', ...path] = line.split(':');
    if (hierarchy === '') continue;
    for (const controller of controllers.split(',')) {
      const mountPoint = mounts.get(controller);
      if (mountPoint !== undefined) folders.set(controller, join(mountPoint, path.join(':')));
    }
  }
  const read = (folder: string, file: string) => readFileSync(join(folder, file), 'utf8');
  const [cpu, memory, unified = ''] = ['cpuacct', 'memory', ''].map((name) => folders.get(name));
  return {
    cpuSeconds:
      cpu === undefined
        ? valueOf(read(unified, 'cpu.stat'), 'usage_usec') / 1e6
        : number(read(cpu, 'cpuacct.usage')) / 1e9,
    memoryBytes:
      memory === undefined
        ? number(read(unified, 'memory.current')) - valueOf(read(unified, 'memory.stat'), 'inactive_file')
        : number(read(memory, 'memory.usage_in_bytes')) -
          valueOf(read(memory, 'memory.stat'), 'total_inactive_file'),
  };
}

/** Of a file with a name and a value a line. */
function valueOf(file: string, name: string): number {
  return number(new RegExp(`^${name} (\\d+)$`, 'm').exec(file)?.[1] ?? '');
}

function number(text: string): number {
  const value = Number.parseInt(text, 10);
  if (Number.isNaN(value)) throw new Error('a file of a control group is not as cgroups(7) says');
  return value;
}
