/**
 * Where a connection comes from, in the one form in which it is compared, counted and shown: IPv4-mapped addresses as
 * IPv4, IPv6 in the short form of RFC 5952, without a zone.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** How much of an IPv6 address one customer of a provider has for himself, as a rule (RFC 6177). */
const groupsOfNetwork = 4;

/** @returns undefined when the text is no address */
export function sourceOf(address: string): string | undefined {
  if (isIPv4(address)) return address;
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return undefined;
  const groups = groupsOf(plain);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return new URL(`http://[${plain}]`).hostname.slice(1, -1);
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/**
 * What limits count by: an IPv4 address, or the /64 network of an IPv6 one, whose owner has 2^64 addresses to choose
 * from.
 *
 * @param source as `sourceOf` gives it
 */
export function networkOfSource(source: string): string {
  if (!isIPv6(source)) return source;
  const groups = groupsOf(source)
    .slice(0, groupsOfNetwork)
    .map((group) => group.toString(16));
  return `${new URL(`http://[${groups.join(':')}::]`).hostname.slice(1, -1)}/64`;
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  // Without dotted IPv4 in it.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = '', right] = text.split('::');
  const numbers = (half: string) =>
    half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16));
  const start = numbers(left);
  const end = numbers(right ?? '');
  return [...start, ...Array.from({ length: 8 - start.length - end.length }, () => 0), ...end];
}
