/** Who listens on a port of this host: a container that publishes it, or a program. */
import { readFile, readdir, readlink } from 'node:fs/promises';
import type Docker from 'dockerode';
import type { PortHolder } from '../runtime.ts';

const listening = '0A';

/**
 * @param environmentOf the id of the environment that a container of this installation is, by its labels
 * @returns null when nobody does, or when it is not for this user to see
 */
export async function portHolder(
  docker: Docker,
  port: number,
  environmentOf: (labels: Record<string, string>) => string | undefined,
): Promise<PortHolder | null> {
  const containers = await docker.listContainers();
  const shown = ({ Names, Labels, Id }: Docker.ContainerInfo): PortHolder => {
    const environment = environmentOf(Labels);
    return environment === undefined
      ? { kind: 'container', name: (Names[0] ?? Id.slice(0, 12)).replace(/^\//, '') }
      : { kind: 'environment', id: environment };
  };
  const publishing = containers.find(({ Ports }) =>
    Ports.some(({ PublicPort, Type }) => PublicPort === port && Type === 'tcp'),
  );
  if (publishing) return shown(publishing);
  const process = await processOn(port);
  if (process === null) return null;
  const group = await readFile(`/proc/${process}/cgroup`, 'utf8').catch(() => '');
  const container = containers.find(({ Id }) => group.includes(Id));
  if (container) return shown(container);
  const name = await readFile(`/proc/${process}/comm`, 'utf8').catch(() => '');
  return { kind: 'program', name: name.trim().replace(/[^\x20-\x7e]/g, '?'), process };
}

async function processOn(port: number): Promise<number | null> {
  const sockets = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === listening && Number.parseInt(local.split(':')[1] ?? '', 16) === port)
        sockets.add(`socket:[${inode}]`);
    }
  }
  if (sockets.size === 0) return null;
  for (const entry of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    for (const descriptor of await readdir(`/proc/${entry}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${entry}/fd/${descriptor}`).catch(() => '');
      if (sockets.has(target)) return Number(entry);
    }
  }
  return null;
}
