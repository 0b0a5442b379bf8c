/** All looks of `berth doctor`: at the machine where Berth runs here, else only at the way to the Berth elsewhere. */
import Docker from 'dockerode';
import { routes } from '@berth/contract/paths';
import type { Platform, PortMapping, Readiness } from '@berth/contract';
import type { Client } from '../client.ts';
import { socketIn } from '../place.ts';
import type { Session } from '../session.ts';
import { checkAll, ok, skipped } from './check.ts';
import type { Check, Finding } from './check.ts';
import * as machine from './machine.ts';
import * as server from './server.ts';

const defaultRange = '30000-32767';

export async function diagnose({ client, place }: Session): Promise<Check[]> {
  const platform = await client.get<Platform>(routes.platform).catch(() => undefined);
  const ready = await server.readiness(client).catch(() => undefined);
  const shared = {
    node: machine.node,
    'ssh client': machine.opensshClient,
  };
  const ways = {
    ...(ready === undefined ? {} : readinessLooks(ready, platform)),
    ...addressLooks(platform, 'url' in place ? place.url : undefined),
  };
  if ('url' in place) {
    return checkAll({
      ...shared,
      server: () => server.reachable(client, place.url, 'Check the address, and that Berth runs there.'),
      clock: () => server.clockOf(client),
      ...ways,
    });
  }
  const docker = new Docker({ timeout: 5_000 });
  const { folder } = place;
  return checkAll({
    ...shared,
    docker: () => machine.dockerEngine(docker),
    'packet filter': machine.packetFilter,
    'disk space': () => machine.diskSpace(folder),
    'data folder': () => machine.dataFolderMode(folder),
    image: () =>
      machine.environmentImage(docker, platform?.images.find(({ name }) => name === 'default')?.reference),
    clock: () => machine.clock(docker),
    ports: () => portLook(String(server.settingOf(platform, 'portRange') ?? defaultRange), client),
    server: () => server.reachable(client, socketIn(folder), 'Start it with: npx berth up'),
    ...ways,
  });
}

async function portLook(range: string, client: Client): Promise<Finding> {
  const [first = NaN, last = NaN] = range.split('-').map(Number);
  const mappings = await client.all<PortMapping>(routes.ports, { status: 'active' }).catch(() => []);
  return machine.portRange(first, last, new Set(mappings.map(({ external_port }) => external_port)));
}

function readinessLooks(
  { checks }: Readiness,
  platform: Platform | undefined,
): Record<string, () => Finding> {
  const kind = platform === undefined ? '' : platform.database;
  return {
    database: () => server.readinessOf(checks, 'database', kind || 'it answers'),
    runtime: () => server.readinessOf(checks, 'runtime', platform?.runtime ?? 'it answers'),
  };
}

function addressLooks(
  platform: Platform | undefined,
  askedAt: string | undefined,
): Record<string, () => Promise<Finding> | Finding> {
  const publicUrl = server.settingOf(platform, 'publicUrl') ?? askedAt;
  const sshHost = server.settingOf(platform, 'sshHost');
  const url = typeof publicUrl === 'string' ? URL.parse(publicUrl) : null;
  return {
    publicUrl: () => (url === null ? skipped('not set') : server.resolvable('publicUrl', url.hostname)),
    sshHost: () =>
      typeof sshHost === 'string' ? server.resolvable('sshHost', sshHost) : skipped('not known from here'),
    'shared port': () => {
      const port = server.settingOf(platform, 'sharedPort');
      if (typeof sshHost !== 'string' || typeof port !== 'number') return skipped('not known from here');
      return port === 0 ? ok('there is none') : server.greetsAsSsh(sshHost, port);
    },
    certificate: () => (url?.protocol === 'https:' ? server.certificate(url) : ok('none is used')),
  };
}
