/**
 * The firewall in front of published ports, and the counters behind them: nftables, put in force through the guard.
 *
 * What Docker leads to a container never meets the host's INPUT chain, so the rules stand in prerouting, before the
 * address is translated. They are one table of the installation's own that is replaced as a whole; the counters are
 * another one, which stays. What comes through Docker's own proxy (from this host's loopback, and by IPv6) has the
 * bridge's address when it reaches a container, but its own here.
 */
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { text } from 'node:stream/consumers';
import { PassThrough } from 'node:stream';
import type Docker from 'dockerode';
import { RuntimeError } from '../runtime.ts';
import type { DirectPort, DirectTraffic } from '../runtime.ts';
import { bridgePattern, guardName, tableName } from './network.ts';

const portsTable = (installationId: string) => `${tableName(installationId)}_ports`;
const trafficTable = (installationId: string) => `${tableName(installationId)}_traffic`;

/** One connection that is over is forgotten after it. */
const keptFor = '1d';
/** Connections that are counted at once. */
const countedConnections = 65_536;
const sshdPort = 22;

/** @param now milliseconds since the epoch */
export function portRules(installationId: string, ports: DirectPort[], now: number): string {
  const table = portsTable(installationId);
  const locked = ports.flatMap(({ port, locked }) => locked.map((each) => ({ port, ...each })));
  const set = (name: string, type: string, ofFamily: (source: string) => boolean) => {
    const elements = locked
      .filter(({ source, until }) => ofFamily(source) && until.getTime() > now)
      .map(
        ({ port, source, until }) =>
          `${port} . ${source} timeout ${Math.ceil((until.getTime() - now) / 1000)}s`,
      );
    return [
      `  set ${name} {`,
      `    type inet_service . ${type}`,
      '    flags interval, timeout',
      ...(elements.length === 0 ? [] : [`    elements = { ${elements.join(', ')} }`]),
      '  }',
    ];
  };
  const rules = ports.flatMap(({ port, allowed }) => {
    if (allowed.length === 0) return [];
    const rule = (family: 'ip' | 'ip6', blocks: string[]) =>
      `    meta nfproto ipv${family === 'ip' ? 4 : 6} tcp dport ${port} ${
        blocks.length === 0 ? '' : `${family} saddr != { ${blocks.join(', ')} } `
      }drop`;
    return [
      rule(
        'ip',
        allowed.filter((block) => !isSix(block)),
      ),
      rule('ip6', allowed.filter(isSix)),
    ];
  });
  return [
    `table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    ...set('locked', 'ipv4_addr', (source) => !isSix(source)),
    ...set('locked6', 'ipv6_addr', isSix),
    '  chain before_translation {',
    '    type filter hook prerouting priority -150; policy accept;',
    // Never what an environment itself, or the world behind another one of the host's addresses, sends elsewhere.
    '    fib daddr type != local accept',
    '    ct state new tcp dport . ip saddr @locked drop',
    '    ct state new tcp dport . ip6 saddr @locked6 drop',
    ...rules,
    '  }',
    '}',
    '',
  ].join('\n');
}

/** Of an address or a CIDR block. */
function isSix(block: string): boolean {
  return isIPv6(block.split('/')[0] ?? '');
}

function trafficRules(installationId: string): string {
  const table = trafficTable(installationId);
  const bridge = bridgePattern(installationId);
  const set = (name: string) => [
    `  set ${name} {`,
    '    type ipv4_addr . ipv4_addr . inet_service',
    '    flags dynamic,timeout',
    `    timeout ${keptFor}`,
    `    size ${countedConnections}`,
    '    counter',
    '  }',
  ];
  return [
    `add table inet ${table}`,
    `table inet ${table} {`,
    ...set('into'),
    ...set('out_of'),
    '  chain to_sshd {',
    '    type filter hook postrouting priority 50; policy accept;',
    `    oifname "${bridge}" tcp dport ${sshdPort} update @into { ip daddr . ip saddr . tcp sport }`,
    '  }',
    '  chain from_sshd {',
    '    type filter hook prerouting priority -310; policy accept;',
    `    iifname "${bridge}" tcp sport ${sshdPort} update @out_of { ip saddr . ip daddr . tcp dport }`,
    '  }',
    '}',
    '',
  ].join('\n');
}

/** Begins to count where nothing counts yet; rules that were put in force twice would count twice. */
export async function countTraffic(docker: Docker, installationId: string): Promise<void> {
  try {
    await nft(docker, installationId, ['list', 'table', 'inet', trafficTable(installationId)]);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await nft(docker, installationId, ['-f', '-'], trafficRules(installationId));
  }
}

export async function guardPorts(docker: Docker, installationId: string, ports: DirectPort[]): Promise<void> {
  await nft(docker, installationId, ['-f', '-'], portRules(installationId, ports, Date.now()));
}

/** An element of a set as nft prints it in JSON. */
interface Element {
  elem: { val: { concat: [container: string, peer: string, port: number] }; counter: { bytes: number } };
}

/** @param addresses of containers, by their address */
export async function directTraffic(
  docker: Docker,
  installationId: string,
  addresses: ReadonlyMap<string, string>,
): Promise<DirectTraffic[]> {
  const table = trafficTable(installationId);
  const counted = async (set: string) => {
    const printed = await nft(docker, installationId, ['-j', 'list', 'set', 'inet', table, set]);
    const parts = (JSON.parse(printed) as { nftables: { set?: { elem?: Element[] } }[] }).nftables;
    return parts.flatMap((part) => part.set?.elem ?? []).map(({ elem }) => elem);
  };
  let into;
  try {
    into = await counted('into');
  } catch (error) {
    if (!isMissing(error)) throw error;
    await countTraffic(docker, installationId);
    return [];
  }
  const keyOf = (concat: readonly (string | number)[]) => concat.join(' ');
  const outOf = new Map(
    (await counted('out_of')).map(({ val, counter }) => [keyOf(val.concat), counter.bytes]),
  );
  return into.flatMap(({ val: { concat }, counter }) => {
    const [container, source, sourcePort] = concat;
    const id = addresses.get(container);
    if (id === undefined) return [];
    return [{ id, source, sourcePort, bytesIn: counter.bytes, bytesOut: outOf.get(keyOf(concat)) ?? 0 }];
  });
}

function isMissing(error: unknown): boolean {
  return /No such file or directory/.test((error as Error).message);
}

/** @throws RuntimeError with what nft wrote, when it fails */
async function nft(
  docker: Docker,
  installationId: string,
  parameters: string[],
  input = '',
): Promise<string> {
  const run = await docker.getContainer(guardName(installationId)).exec({
    Cmd: ['nft', ...parameters],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await run.start({ hijack: true, stdin: true });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, stdout, stderr);
  const said = Promise.all([text(stdout), text(stderr)]);
  const ended = once(stream, 'end');
  stream.end(input);
  await ended;
  stdout.end();
  stderr.end();
  const [printed, complaint] = await said;
  const { ExitCode } = await run.inspect();
  if (ExitCode === 0) return printed;
  throw new RuntimeError(
    'refused',
    `The firewall in front of published ports cannot be changed (${complaint.trim().split('\n')[0] ?? `exit code ${ExitCode}`}).`,
    'Look whether the kernel has nf_tables with concatenated sets, and whether the guard container runs.',
  );
}
