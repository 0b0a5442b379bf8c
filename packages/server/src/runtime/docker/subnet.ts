/**
 * Which subnet the network of the environments gets.
 *
 * Docker can choose one by itself, but containers may have addresses of their choice only in a subnet that was named.
 * So this chooses as Docker would: the first of its pools that overlaps neither another Docker network nor a route of
 * the host. To let Docker choose and remove that network again is no way: Docker 20.10, killed while it removes a
 * network, never starts again.
 */

/** As in the engine's answer to `GET /info`, such as `{ Base: '172.20.0.0/14', Size: 16 }`. */
export interface AddressPool {
  Base: string;
  /** Prefix length of the subnets that the pool is cut into. */
  Size: number;
}

/** What an engine uses that names none (moby, `ipamutils`). */
export const defaultPools: AddressPool[] = [
  { Base: '172.17.0.0/16', Size: 16 },
  { Base: '172.18.0.0/15', Size: 16 },
  { Base: '172.20.0.0/14', Size: 16 },
  { Base: '172.24.0.0/13', Size: 16 },
  { Base: '192.168.0.0/16', Size: 20 },
];

/** Routes that are wider stand for "everywhere", as those of a VPN that cuts the default route in two. */
const shortestPrefix = 8;

interface Block {
  base: number;
  prefix: number;
}

/**
 * @param taken addresses and subnets in use, such as `10.0.0.1` and `172.17.0.0/16`; what is not IPv4 is passed over
 * @returns subnets such as `172.18.0.0/16`, in the order of the pools
 */
export function* freeSubnets(pools: AddressPool[], taken: string[]): Generator<string> {
  const used = taken
    .map(parseBlock)
    .filter((block) => block !== null)
    .filter(({ prefix }) => prefix >= shortestPrefix);
  for (const { Base, Size } of pools) {
    const pool = parseBlock(Base);
    if (pool === null || Size < pool.prefix || Size > 30) continue;
    const step = 2 ** (32 - Size);
    const end = pool.base + 2 ** (32 - pool.prefix);
    for (let base = pool.base; base < end; base += step) {
      const subnet = { base, prefix: Size };
      if (!used.some((block) => overlap(block, subnet))) yield `${formatAddress(base)}/${Size}`;
    }
  }
}

/**
 * @param table what `/proc/net/fib_trie` says: the routes of all tables, and with them the host's own addresses
 * @returns such as `10.0.0.0/8`
 */
export function routesIn(table: string): string[] {
  let address = '';
  const routes = new Set<string>();
  for (const line of table.split('\n')) {
    const [, leaf, prefix] = /^\s*(?:\|-- (\S+)|\/(\d+) .*)\s*$/.exec(line) ?? [];
    if (leaf !== undefined) address = leaf;
    else if (prefix !== undefined) routes.add(`${address}/${prefix}`);
  }
  return [...routes];
}

/** @param subnet such as `172.18.0.0/16` */
export function addressAt(subnet: string, offset: number): string {
  return formatAddress((parseBlock(subnet)?.base ?? 0) + offset);
}

function parseBlock(text: string): Block | null {
  const [, address, length] = /^(\d+(?:\.\d+){3})(?:\/(\d+))?$/.exec(text) ?? [];
  if (address === undefined) return null;
  const prefix = Number(length ?? 32);
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { base: number - (number % 2 ** (32 - prefix)), prefix };
}

function overlap(one: Block, other: Block): boolean {
  const size = 2 ** (32 - Math.min(one.prefix, other.prefix));
  return Math.floor(one.base / size) === Math.floor(other.base / size);
}

function formatAddress(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.');
}
