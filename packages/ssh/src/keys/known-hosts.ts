// The line that goes into ~/.ssh/known_hosts so that ssh knows a server before the first connection
// (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Shown beside each SSH address, and written by the CLI.

import { parsePublicKey } from './public-key.ts';

/**
 * `[host]:port type base64`, or `host type base64` for port 22, without a comment or line end.
 * `host` is a name or an address, IPv6 without brackets; ssh looks names up in lower case. Throws
 * KeyError for a bad key, TypeError for a host that known_hosts would read as a pattern or a list.
 */
export function knownHostsLine(host: string, port: number, publicLine: string): string {
  if (!/^[\p{L}\p{N}_.:%-]+$/u.test(host)) throw new TypeError(`not a host name: ${JSON.stringify(host)}`);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new RangeError(`not a port: ${port}`);
  const { type, blob } = parsePublicKey(publicLine);
  const name = host.toLowerCase();
  return `${port === 22 ? name : `[${name}]:${port}`} ${type} ${blob.toString('base64')}`;
}
