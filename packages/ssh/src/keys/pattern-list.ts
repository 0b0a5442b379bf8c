// Lists of patterns for host names and addresses, as known_hosts, the option `from` of authorized_keys and the
// critical option `source-address` of certificates have them: PATTERNS in ssh_config(5), and addresses in
// CIDR notation. Called with a list from a file and the name or address that a connection really has.

import { BlockList, isIP } from 'node:net';
import { KeyError } from './key-error.ts';

const mappedIpv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Whether a text is what a pattern with `*` (any characters) and `?` (any one) describes, in the same case. */
export function matchesPattern(text: string, pattern: string): boolean {
  // Goes back to the last star alone, so that no pattern takes more than text times pattern steps.
  let at = 0;
  let inPattern = 0;
  let afterStar = -1;
  let starredAt = 0;
  while (at < text.length) {
    const wanted = pattern[inPattern];
    if (wanted === '*') {
      inPattern += 1;
      afterStar = inPattern;
      starredAt = at;
    } else if (wanted === '?' || wanted === text[at]) {
      inPattern += 1;
      at += 1;
    } else if (afterStar >= 0) {
      inPattern = afterStar;
      starredAt += 1;
      at = starredAt;
    } else {
      return false;
    }
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}

/**
 * Whether one of `patterns` matches and none that starts with `!` does. Upper and lower case are the same, as
 * in host names.
 */
export function matchesPatternList(text: string, patterns: readonly string[]): boolean {
  const lower = text.toLowerCase();
  const matches = (pattern: string): boolean => matchesPattern(lower, pattern.toLowerCase());
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

/** One IP address or network, such as `192.0.2.0/24`. */
export interface Network {
  readonly text: string;
  readonly contains: (address: string) => boolean;
}

/**
 * Reads an address or a network in CIDR notation. Throws KeyError with the code `pattern` when it is neither,
 * or when its address has bits beyond its mask: nobody could tell which half was meant.
 */
export function parseNetwork(text: string): Network {
  const [address = '', prefix, ...more] = text.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const isNumber = prefix === undefined || /^(?:0|[1-9]\d{0,2})$/.test(prefix);
  const length = prefix === undefined ? bits : Number(prefix);
  if (family === 0 || !isNumber || more.length > 0 || length > bits || address.includes('%')) {
    throw new KeyError('pattern', `This is no IP address or network (192.0.2.0/24): ${printable(text)}.`);
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  if (hasBitsBeyond(address, family, length)) {
    throw new KeyError('pattern', `The address has bits beyond its mask: ${printable(text)}.`);
  }
  const list = new BlockList();
  list.addSubnet(address, length, type);
  return {
    text,
    contains: (candidate) => {
      const unmapped = unmap(candidate);
      return isIP(unmapped) === family && list.check(unmapped, type);
    },
  };
}

/** Reads a comma-separated list of `parseNetwork`'s. Throws KeyError with the code `pattern`. */
export function parseNetworks(text: string): readonly Network[] {
  return text.split(',').map((part) => parseNetwork(part));
}

/** Whose connections a list of `from` lets in. */
export interface Origins {
  readonly text: string;
  /** Whether an address, or the name that it was verified to have, is in the list and not excluded. */
  readonly contain: (address: string, hostName?: string) => boolean;
}

/**
 * Reads the value of `from`: patterns for host names or addresses, and networks, each of which may be excluded
 * with `!`. Throws KeyError with the code `pattern`.
 */
export function parseOrigins(text: string): Origins {
  const parts = text.split(',').map((part) => {
    const isExcluded = part.startsWith('!');
    const pattern = isExcluded ? part.slice(1) : part;
    if (!/^[^\s!,]+$/.test(pattern)) {
      throw new KeyError('pattern', `This is no pattern for hosts: ${printable(part)}.`);
    }
    const network = pattern.includes('/') || isIP(pattern) !== 0 ? parseNetwork(pattern) : undefined;
    const matches = (address: string, hostName: string | undefined): boolean =>
      network?.contains(address) ??
      (matchesPatternList(unmap(address), [pattern]) ||
        (hostName !== undefined && matchesPatternList(hostName, [pattern])));
    return { isExcluded, matches };
  });
  return {
    text,
    contain: (address, hostName) => {
      const matching = parts.filter(({ matches }) => matches(address, hostName));
      return matching.length > 0 && matching.every(({ isExcluded }) => !isExcluded);
    },
  };
}

/** Sockets that listen on `::` show IPv4 peers as ::ffff:192.0.2.1. */
function unmap(address: string): string {
  return mappedIpv4.exec(address)?.[1] ?? address;
}

function hasBitsBeyond(address: string, family: number, length: number): boolean {
  const bytes = family === 4 ? address.split('.').map(Number) : ipv6Bytes(address);
  return bytes.some((byte, index) => {
    const hostBits = Math.min(8, Math.max(0, (index + 1) * 8 - length));
    return (byte & ((1 << hostBits) - 1)) !== 0;
  });
}

function ipv6Bytes(address: string): number[] {
  // The URL parser writes each address in one form, without dotted IPv4 within.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = '', right] = canonical.split('::');
  const groups = (half: string): string[] => (half === '' ? [] : half.split(':'));
  const start = groups(left);
  const end = groups(right ?? '');
  const zeros = Array.from({ length: 8 - start.length - end.length }, () => '0');
  return [...start, ...zeros, ...end].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** What an error may repeat of a stranger's text. */
export function printable(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}...` : text;
  return JSON.stringify(short).replace(/[^ -~]/gu, '?');
}
