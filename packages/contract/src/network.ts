/**
 * Networks in CIDR notation (RFC 4632, RFC 4291), as allowlists and the host's firewall name them. Without schemas, so that
 * the command can use it at its start.
 *
 * An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) is its IPv4 address: a listener on both families reports
 * IPv4 clients in that form.
 */

export interface Network {
  family: 4 | 6;
  /** The first address. */
  first: bigint;
  /** Bits of the prefix. */
  prefix: number;
}

/** Why a text is no network; the sentences name the value and what to write. */
export class NetworkError extends Error {
  readonly cure: string;

  constructor(message: string, cure: string) {
    super(message);
    this.name = 'NetworkError';
    this.cure = cure;
  }
}

const widths = { 4: 32, 6: 128 } as const;
const mappedPrefix = 0xffffn;
const allowed = 'Write an address or a network, such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32.';

/** @throws NetworkError for what is none, and for an address within a network in the place of that network */
export function readNetwork(text: string): Network {
  const [address = '', bits, ...rest] = text.split('/');
  const read = readAddress(address);
  const width = read ? widths[read.family] : 0;
  const prefix = bits === undefined ? width : /^(0|[1-9]\d{0,2})$/.test(bits) ? Number(bits) : Infinity;
  if (read === undefined || rest.length > 0 || prefix > width)
    throw new NetworkError(`is ${JSON.stringify(text)}, which is no network`, allowed);
  const hostBits = BigInt(width - prefix);
  const first = (read.value >> hostBits) << hostBits;
  const network = unmapped({ family: read.family, first, prefix });
  if (first !== read.value)
    throw new NetworkError(
      `is ${JSON.stringify(text)}, an address within a network`,
      `Write ${formatNetwork(network)} for the network, or ${address} for that address alone.`,
    );
  return network;
}

/** The shortest form: `203.0.113.0/24`, `2001:db8::/32` (RFC 5952), with the prefix of a single address too. */
export function formatNetwork({ family, first, prefix }: Network): string {
  return `${formatAddress(family, first)}/${prefix}`;
}

/** Whether the network holds the address; false for what is no address. */
export function covers({ family, first, prefix }: Network, address: string): boolean {
  const read = readAddress(address);
  if (read === undefined) return false;
  const single = unmapped({ family: read.family, first: read.value, prefix: widths[read.family] });
  const hostBits = BigInt(widths[family] - prefix);
  return single.family === family && single.first >> hostBits === first >> hostBits;
}

/** An address in its shortest form, mapped ones as IPv4; undefined for what is none. */
export function canonicalAddress(text: string): string | undefined {
  const read = readAddress(text);
  if (read === undefined) return undefined;
  const { family, first } = unmapped({
    family: read.family,
    first: read.value,
    prefix: widths[read.family],
  });
  return formatAddress(family, first);
}

function unmapped(network: Network): Network {
  const { family, first, prefix } = network;
  if (family === 4 || prefix < 96 || first >> 32n !== mappedPrefix) return network;
  return { family: 4, first: first & 0xffff_ffffn, prefix: prefix - 96 };
}

function readAddress(text: string): { family: 4 | 6; value: bigint } | undefined {
  const value4 = readIPv4(text);
  if (value4 !== undefined) return { family: 4, value: value4 };
  const value6 = readIPv6(text);
  return value6 === undefined ? undefined : { family: 6, value: value6 };
}

/** Four decimal numbers; one with a zero in front is octal to some programs, so it is refused. */
function readIPv4(text: string): bigint | undefined {
  const parts = text.split('.');
  const fits = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(fits) ? joined(parts.map(Number), 8n) : undefined;
}

/** RFC 4291, section 2.2: groups, `::` once for as many zeros as are missing, the last two groups perhaps as IPv4. */
function readIPv6(text: string): bigint | undefined {
  const [head = '', tail, ...rest] = text.split('::');
  if (rest.length > 0) return undefined;
  const groups = (part: string): number[] | undefined => {
    if (part === '') return [];
    const words = part.split(':');
    const numbers: number[] = [];
    for (const [index, word] of words.entries()) {
      const inner = index === words.length - 1 ? readIPv4(word) : undefined;
      if (inner !== undefined) numbers.push(Number(inner >> 16n), Number(inner & 0xffffn));
      else if (/^[0-9a-fA-F]{1,4}$/.test(word)) numbers.push(Number.parseInt(word, 16));
      else return undefined;
    }
    return numbers;
  };
  const [before, after] = [groups(head), groups(tail ?? '')];
  // An IPv4 address ends the whole, not what stands before `::`.
  if (before === undefined || after === undefined || (tail !== undefined && head.includes('.')))
    return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return joined([...before, ...Array<number>(missing).fill(0), ...after], 16n);
}

function joined(parts: number[], bits: bigint): bigint {
  return parts.reduce((value, part) => (value << bits) | BigInt(part), 0n);
}

function formatAddress(family: 4 | 6, value: bigint): string {
  return family === 4 ? formatIPv4(value) : formatIPv6(value);
}

function formatIPv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
}

/** RFC 5952, section 4: lower case, no zeros in front, the first longest run of zero groups as `::`. */
function formatIPv6(value: bigint): string {
  const all = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  ).join(':');
  const runs = [...all.matchAll(/\b0(?::0)+\b/g)];
  const longest = Math.max(0, ...runs.map(([run]) => run.length));
  const run = runs.find((each) => each[0].length === longest);
  if (run === undefined) return all;
  const [before, after] = [all.slice(0, run.index), all.slice(run.index + longest)];
  return `${before.replace(/:$/, '')}::${after.replace(/^:/, '')}`;
}
