// known_hosts: which key a server must prove itself with (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Lines to show
// beside an SSH address so that ssh knows a server before the first connection; and a file's lines read and
// asked by a client for the server that it has reached.
//
// A name is looked up as ssh does: in lower case, and as [name]:port where the port is not 22. ssh also takes,
// with a notice, a key that is known for the name without its port; here it is unknown.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isCertificate, parseCertificate } from './certificate.ts';
import { KeyError } from './key-error.ts';
import { matchesPatternList } from './pattern-list.ts';
import { parsePublicKey } from './public-key.ts';

export type KnownHostMarker = 'cert-authority' | 'revoked';

/** One line that names a key. */
export interface KnownHost {
  /** From 1. */
  readonly lineNumber: number;
  readonly marker: KnownHostMarker | undefined;
  /** The first field: a comma-separated list of patterns, or one hashed name. */
  readonly hosts: string;
  readonly keyType: string;
  /** The key's blob. */
  readonly key: Buffer;
  readonly comment: string;
}

export type HostKeyStanding =
  /** A line has the key, or (`byAuthority`) the authority of the certificate, which is still to be checked. */
  | { readonly result: 'match'; readonly byAuthority: boolean; readonly lineNumber: number }
  /** No line is about this host. */
  | { readonly result: 'unknown' }
  /** Other keys are known for this host: somebody may be in between, or the server was made anew. */
  | { readonly result: 'changed'; readonly keyTypes: readonly string[]; readonly lineNumber: number }
  /** The key, or its authority, must never be believed. */
  | { readonly result: 'revoked'; readonly lineNumber: number };

const hashedName = /^\|1\|([A-Za-z0-9+/]{27}=)\|([A-Za-z0-9+/]{27}=)$/;
const saltBytes = 20;

/**
 * `[host]:port type base64`, or `host type base64` for port 22, without a comment or line end. With
 * `hashed` the name is hidden as `ssh-keygen -H` does, so that a stolen file tells no names.
 *
 * `host` is a name or an address, IPv6 without brackets; ssh looks names up in lower case. Throws
 * KeyError for a bad key, TypeError for a host that known_hosts would read as a pattern or a list.
 */
export function knownHostsLine(
  host: string,
  port: number,
  publicLine: string,
  { hashed = false } = {},
): string {
  const { type, blob } = parsePublicKey(publicLine);
  const name = nameOf(host, port);
  return `${hashed ? hashName(name, randomBytes(saltBytes)) : name} ${type} ${blob.toString('base64')}`;
}

/** The line's first field for one host: `host` or `[host]:port`. */
function nameOf(host: string, port: number): string {
  if (!/^[\p{L}\p{N}_.:%-]+$/u.test(host)) throw new TypeError(`not a host name: ${JSON.stringify(host)}`);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new RangeError(`not a port: ${port}`);
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

function hashName(name: string, salt: Buffer): string {
  // SHA-1 is what the format has; it hides the name and proves nothing.
  const digest = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${digest}`;
}

/** The lines of a known_hosts file, and the questions that a client has for them. */
export class KnownHosts {
  readonly entries: readonly KnownHost[];
  /** Lines that could not be read, which ssh would skip too. */
  readonly problems: readonly { readonly lineNumber: number; readonly error: KeyError }[];

  /** Never throws for a text: what cannot be read is in `problems`. */
  constructor(text: string) {
    const entries: KnownHost[] = [];
    const problems: { lineNumber: number; error: KeyError }[] = [];
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      try {
        const entry = readLine(line, index + 1);
        if (entry !== undefined) entries.push(entry);
      } catch (error) {
        if (!(error instanceof KeyError)) throw error;
        problems.push({ lineNumber: index + 1, error });
      }
    }
    this.entries = entries;
    this.problems = problems;
  }

  /**
   * How the host key that a server has shown stands to what is known of it. `blob` is the key or the
   * certificate as it was sent. A match by authority says only that the authority is trusted for this host:
   * the certificate is then still to be checked (`checkCertificate`, role `host`). Throws KeyError for a blob
   * that is a malformed certificate, TypeError or RangeError for what is no host or port.
   */
  lookUp(host: string, port: number, blob: Buffer): HostKeyStanding {
    const name = nameOf(host, port);
    const about = this.entries.filter((entry) => isAbout(entry, name));
    const certificate = isCertificate(blob) ? parseCertificate(blob) : undefined;
    const key = certificate?.key.blob ?? blob;
    const authority = certificate?.authority.blob;

    const revoked = about.find(
      (entry) =>
        entry.marker === 'revoked' &&
        (entry.key.equals(key) || (authority !== undefined && entry.key.equals(authority))),
    );
    if (revoked !== undefined) return { result: 'revoked', lineNumber: revoked.lineNumber };

    const trusted = about.find(
      (entry) => entry.marker === 'cert-authority' && authority !== undefined && entry.key.equals(authority),
    );
    if (trusted !== undefined) {
      return { result: 'match', byAuthority: true, lineNumber: trusted.lineNumber };
    }

    const plain = about.filter((entry) => entry.marker === undefined);
    const same = plain.find((entry) => entry.key.equals(key));
    if (same !== undefined) return { result: 'match', byAuthority: false, lineNumber: same.lineNumber };
    const [first] = plain;
    if (first === undefined) return { result: 'unknown' };
    const keyTypes = [...new Set(plain.map((entry) => entry.keyType))];
    return { result: 'changed', keyTypes, lineNumber: first.lineNumber };
  }
}

function isAbout({ hosts }: KnownHost, name: string): boolean {
  const [, salt, digest] = hashedName.exec(hosts) ?? [];
  if (salt === undefined || digest === undefined) return matchesPatternList(name, hosts.split(','));
  const expected = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return timingSafeEqual(expected, Buffer.from(digest, 'base64'));
}

/** One line of the file, undefined for one that is empty or a comment. */
function readLine(line: string, lineNumber: number): KnownHost | undefined {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return undefined;
  const [, markerText, hosts = '', rest = ''] = /^(?:@(\S+)[ \t]+)?(\S+)(?:[ \t]+(.*))?$/.exec(text) ?? [];
  if (markerText !== undefined && markerText !== 'cert-authority' && markerText !== 'revoked') {
    throw new KeyError(
      'known_hosts_line',
      `Line ${lineNumber} starts with an unknown marker; there are @cert-authority and @revoked.`,
    );
  }
  if (rest === '' || hosts.startsWith('@')) {
    throw new KeyError(
      'known_hosts_line',
      `Line ${lineNumber} is not whole: it needs host names, a key type and a key.`,
    );
  }
  if (hosts.startsWith('|') && !hashedName.test(hosts)) {
    throw new KeyError('known_hosts_line', `Line ${lineNumber} has a hashed name of an unknown form.`);
  }
  try {
    const { type, blob, comment } = parsePublicKey(rest);
    return { lineNumber, marker: markerText, hosts, keyType: type, key: blob, comment };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new KeyError('known_hosts_line', `Line ${lineNumber}: ${error.message}`);
  }
}

/** The line of an entry, without a line end, as it would be read again. */
export function formatKnownHost({
  marker,
  hosts,
  keyType,
  key,
  comment,
}: Omit<KnownHost, 'lineNumber'>): string {
  const fields = [hosts, keyType, key.toString('base64'), comment].filter((field) => field !== '');
  return [...(marker === undefined ? [] : [`@${marker}`]), ...fields].join(' ');
}
