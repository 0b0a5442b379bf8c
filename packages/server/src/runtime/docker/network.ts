/**
 * The network of the environments, and the guard that closes it.
 *
 * Docker's own setting "no inter-container traffic" leaves the host and the cloud's metadata service open. The
 * guard is a container in the host's network with nothing but NET_ADMIN which keeps one nftables table in force,
 * named after the installation: what comes from the environments' bridge may answer, and may reach the world, but
 * not the host, not another environment, not a metadata address; and what comes to it through the host comes to a
 * published port or not at all, whatever else the host's firewall lets through. It comes back with Docker, before Berth does, and
 * puts the table back when a firewall tool has flushed or changed it. Nobody else's tables are touched.
 */
import { createHash, randomInt } from 'node:crypto';
import type Docker from 'dockerode';
import { RuntimeError } from '../runtime.ts';
import { engineMessage, hasStatus } from './errors.ts';
import { addressAt, defaultPools, freeSubnets, routesIn } from './subnet.ts';
import type { AddressPool } from './subnet.ts';

/** Link-local (AWS, GCP, Azure, OpenStack and others), Alibaba Cloud, Azure's wire server, Oracle Cloud. */
const metadataAddresses = ['169.254.0.0/16', '100.100.100.200', '168.63.129.16', '192.0.0.192'];

const installationLabel = 'berth.installation';
const guardLabel = 'berth.guard';

export interface Network {
  name: string;
  /** IPv4, such as `172.18.0.0/16`. */
  subnet: string;
  /** The bridge's own address: where the host's connections into containers come from. */
  gateway: string;
}

/** `berth-` and 8 hex digits: with one more digit within the 15 characters that an interface's name may have. */
function networkName(installationId: string): string {
  return `berth-${installationId.slice(0, 8)}`;
}

/**
 * Needs the guard, and must not be asked twice at once: Docker then makes two networks of one name.
 *
 * @throws RuntimeError
 */
export async function ensureNetwork(docker: Docker, installationId: string): Promise<Network> {
  const name = networkName(installationId);
  const network = docker.getNetwork(name);
  let found;
  try {
    found = await network.inspect();
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    await createNetwork(docker, installationId);
    found = await network.inspect();
  }
  if (found.Labels?.[installationLabel] !== installationId) {
    throw new RuntimeError(
      'not_ours',
      `The Docker network ${name} belongs to something else.`,
      `Remove it with "docker network rm ${name}" if nothing uses it.`,
    );
  }
  const { Subnet: subnet, Gateway: gateway } = found.IPAM?.Config?.[0] ?? {};
  if (subnet === undefined) {
    throw new RuntimeError(
      'other',
      `The Docker network ${name} has no subnet.`,
      `Remove it with "docker network rm ${name}".`,
    );
  }
  return { name, subnet, gateway: gateway?.split('/')[0] ?? addressAt(subnet, 1) };
}

/**
 * The engine refuses what is in its way with 403: a subnet that it knows to be in use, or, after it was killed while it
 * made a network, the bridge of a network that it forgot but for that.
 */
async function createNetwork(docker: Docker, installationId: string): Promise<void> {
  const name = networkName(installationId);
  const { DefaultAddressPools } = (await docker.info()) as { DefaultAddressPools?: AddressPool[] | null };
  const pools = DefaultAddressPools?.length ? DefaultAddressPools : defaultPools;
  const networks = await docker.listNetworks();
  const subnets = networks.flatMap(({ IPAM }) => (IPAM?.Config ?? []).map(({ Subnet }) => Subnet ?? ''));
  const routes = routesIn(await tableOfRoutes(docker, installationId));
  let bridges = 1;
  for (const subnet of freeSubnets(pools, [...subnets, ...routes])) {
    try {
      await docker.createNetwork({
        Name: name,
        Driver: 'bridge',
        CheckDuplicate: true,
        EnableIPv6: false,
        IPAM: { Config: [{ Subnet: subnet }] },
        Labels: { [installationLabel]: installationId },
        Options: {
          'com.docker.network.bridge.name': bridges === 1 ? name : `${name}${bridges}`,
          'com.docker.network.bridge.enable_icc': 'false',
        },
      });
      return;
    } catch (error) {
      if (hasStatus(error, 409)) return;
      if (!hasStatus(error, 403)) throw error;
      if (/same bridge name/.test(engineMessage(error)) && ++bridges > 9) throw error;
    }
  }
  throw new RuntimeError(
    'other',
    "Every subnet that Docker may give a network is in use on Docker's host.",
    'Name one that is free as "default-address-pools" in its daemon.json, and start Docker anew.',
  );
}

/** Of Docker's host, which need not be this one. */
async function tableOfRoutes(docker: Docker, installationId: string): Promise<string> {
  const run = await docker.getContainer(guardName(installationId)).exec({
    Cmd: ['cat', '/proc/net/fib_trie'],
    AttachStdout: true,
    // Without it the output would come in frames.
    Tty: true,
  });
  let text = '';
  for await (const chunk of await run.start({ Tty: true })) text += String(chunk);
  return text;
}

/**
 * Chosen at random: an engine that was killed while it started a container may leave a network namespace behind which
 * answers at that container's address until the host starts anew, and the engine would give that address again.
 */
export function randomAddress({ subnet }: Pick<Network, 'subnet'>): string {
  const hosts = 2 ** (32 - Number(subnet.split('/')[1]));
  // Not the network's own address, not the bridge's, not the broadcast address.
  return addressAt(subnet, randomInt(2, hosts - 1));
}

export function guardName(installationId: string): string {
  return `${networkName(installationId)}-guard`;
}

export function tableName(installationId: string): string {
  return networkName(installationId).replace('-', '_');
}

/** With whatever digit stands at its end. Need not be there yet. */
export function bridgePattern(installationId: string): string {
  return `${networkName(installationId)}*`;
}

function guardRules(installationId: string): string {
  const bridge = bridgePattern(installationId);
  const table = tableName(installationId);
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain to_host {
    type filter hook input priority -10; policy accept;
    iifname "${bridge}" ct state established,related accept
    iifname "${bridge}" drop
  }
  chain through_host {
    type filter hook forward priority -10; policy accept;
    iifname "${bridge}" oifname "${bridge}" drop
    iifname "${bridge}" ip daddr { ${metadataAddresses.join(', ')} } drop
    oifname "${bridge}" ct state established,related accept
    oifname "${bridge}" ct status dnat accept
    oifname "${bridge}" drop
  }
}
`;
}

/**
 * Traffic between two ports of one bridge passes the rules above only where the kernel hands bridged frames to them
 * (br_netfilter, which Docker loads). This table does not depend on that, but older kernels cannot match a bridge's
 * name, so it is put in force where it can be.
 */
function bridgeRules(installationId: string): string {
  const bridge = bridgePattern(installationId);
  const table = tableName(installationId);
  return `table bridge ${table}
delete table bridge ${table}
table bridge ${table} {
  chain between_environments {
    type filter hook forward priority -10; policy accept;
    meta ibrname "${bridge}" drop
  }
}
`;
}

const inForce = 'berth: guard in force';

/** A table that lacks, or that no longer reads as it did when it was put in force, is put in force again. */
function guardScript(installationId: string): string {
  const table = tableName(installationId);
  return `trap 'exit 0' TERM
tables() { nft list table inet ${table}; nft list table bridge ${table}; } 2>/dev/null
while :; do
  if [ -z "$before" ] || [ "$(tables)" != "$before" ]; then
    printf '%s' "$BERTH_RULES" | nft -f - || exit 1
    printf '%s' "$BERTH_BRIDGE_RULES" | nft -f - 2>/dev/null
    before=$(tables)
    echo '${inForce}'
  fi
  sleep 5 & wait $!
done`;
}

/**
 * @param image the environment image, which has nft
 * @throws RuntimeError when the rules cannot be put in force; no environment may run then
 */
export async function ensureGuard(docker: Docker, installationId: string, image: string): Promise<void> {
  const name = guardName(installationId);
  const options = {
    name,
    Image: image,
    Entrypoint: ['/bin/bash', '-c', guardScript(installationId)],
    Env: [`BERTH_RULES=${guardRules(installationId)}`, `BERTH_BRIDGE_RULES=${bridgeRules(installationId)}`],
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'host',
      CapDrop: ['ALL'],
      CapAdd: ['NET_ADMIN'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Memory: 64 * 1024 * 1024,
      PidsLimit: 16,
      RestartPolicy: { Name: 'always' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  };
  const hash = createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16);
  const container = docker.getContainer(name);
  try {
    const found = await container.inspect();
    if (found.Config.Labels?.[installationLabel] !== installationId) {
      throw new RuntimeError(
        'not_ours',
        `The container ${name} belongs to something else.`,
        `Remove it with "docker rm -f ${name}".`,
      );
    }
    if (found.Config.Labels[guardLabel] === hash && found.State.Running) return;
    await container.remove({ force: true });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
  }
  await docker.createContainer({
    ...options,
    Labels: { [installationLabel]: installationId, [guardLabel]: hash },
  });
  await container.start();
  await guardSpoke(container);
}

async function guardSpoke(container: Docker.Container): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const log = (await container.logs({ stdout: true, stderr: true, tail: 20 })).toString('utf8');
    if (log.includes(inForce)) return;
    const { State } = await container.inspect();
    if (Date.now() > deadline || State.ExitCode !== 0 || State.Restarting) {
      const lines = log
        .replace(/[^\x20-\x7e\n]/g, '')
        .trim()
        .split('\n')
        .slice(-3)
        .join(' | ');
      throw new RuntimeError(
        'refused',
        `The firewall rules that keep environments apart cannot be put in force (${lines || `exit code ${State.ExitCode}`}).`,
        'The kernel needs nf_tables with the families inet and bridge, and Docker the right to give NET_ADMIN.',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
