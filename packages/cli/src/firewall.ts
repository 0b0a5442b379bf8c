/**
 * The host's rules for the ports that Berth opens, as nft(8) reads them: one table of Berth's own.
 *
 * They stand in prerouting, before Docker's DNAT (priority -100) gives packets to a published port another
 * address and sends them past the chain "input"; so one rule catches ports that Docker publishes, ports that the gateway
 * listens on and those of Docker's proxy. Only the packets of whoever opened the connection are looked at, so that
 * answers to the machine's own connections come through whatever port they left from.
 */
import { NetworkError, formatNetwork, readNetwork } from '@berth/contract/network';
import type { Platform } from '@berth/contract';
import { CommandFailure, exitCodes, usageFailure } from './failure.ts';
import { printable } from './text.ts';

/** @throws CommandFailure when there is none, or one is no network */
export function sourcesOf(given: string[]): string[] {
  if (given.length === 0) {
    throw usageFailure(
      'No source is named, and without one nobody gets in',
      'Name those that do: --source 203.0.113.0/24; everybody is --source 0.0.0.0/0 --source ::/0',
    );
  }
  const networks = given.map((text) => {
    try {
      return formatNetwork(readNetwork(text));
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      throw usageFailure(`--source ${error.message}`, error.cure);
    }
  });
  return [...new Set(networks)];
}

/** Named after the installation, so that two on one machine have each its own. */
export function tableOf({ installation_id }: Platform): string {
  if (/^[0-9a-f]{8,64}$/.test(installation_id)) return `berth_ports_${installation_id.slice(0, 8)}`;
  throw badAnswer('installation_id', installation_id);
}

/** `30000-32767` and, where there is one, the shared port. */
export function portsOf({ settings }: Platform): string[] {
  const valueOf = (name: string) => settings.find((each) => each.name === name)?.value;
  const [range, shared] = [valueOf('portRange'), valueOf('sharedPort')];
  if (typeof range !== 'string' || !/^\d{1,5}-\d{1,5}$/.test(range)) throw badAnswer('portRange', range);
  if (typeof shared !== 'number' || !Number.isInteger(shared) || shared < 0 || shared > 65_535)
    throw badAnswer('sharedPort', shared);
  const [first = 0, last = 0] = range.split('-').map(Number);
  // nft takes no number twice.
  return shared === 0 || (shared >= first && shared <= last) ? [range] : [range, String(shared)];
}

/** @param sources as `sourcesOf` gives them */
export function firewallRules(platform: Platform, sources: string[]): string {
  const table = tableOf(platform);
  const set = (name: string, type: string, elements: string[]) => `  set ${name} {
    type ${type}
    flags interval
    auto-merge
${elements.length === 0 ? '' : `    elements = { ${elements.join(', ')} }\n`}  }
`;
  const isIPv6 = (network: string) => network.includes(':');
  return `# Who reaches the ports of Berth on this machine. Written by "berth firewall"; load it with: nft -f FILE
${removalRules(platform)}table inet ${table} {
${set(
  'sources4',
  'ipv4_addr',
  sources.filter((each) => !isIPv6(each)),
)}${set('sources6', 'ipv6_addr', sources.filter(isIPv6))}  chain ports {
    ip saddr @sources4 accept
    ip6 saddr @sources6 accept
    counter drop
  }
  chain prerouting {
    type filter hook prerouting priority -110; policy accept;
    iifname "lo" accept
    ct direction reply accept
    fib daddr type local tcp dport { ${portsOf(platform).join(', ')} } jump ports
  }
}
`;
}

/** nft deletes only what is there. */
export function removalRules(platform: Platform): string {
  const table = tableOf(platform);
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

function badAnswer(name: string, value: unknown): CommandFailure {
  return new CommandFailure(
    exitCodes.failed,
    'bad_answer',
    `The server named ${printable(JSON.stringify(value) ?? 'nothing')} as ${name}; no rules were made`,
    'Check that it is a Berth of this version.',
  );
}
