/**
 * What OpenSSH's sshd (LogLevel VERBOSE) says of those who try to log in, and of those who did, as facts. It is what a
 * container says, so whoever is root in there can write such lines too: a fact counts for its own environment only.
 */

/** Where somebody comes from, as sshd sees it. */
export interface Peer {
  source: string;
  port: number;
}

export type SshdFact =
  | {
      kind: 'accepted';
      method: 'password' | 'publickey';
      user: string;
      fingerprint: string | null;
      peer: Peer;
    }
  /** A wrong password. A key that sshd does not know may have been offered only, and is none. */
  | { kind: 'failed'; user: string; peer: Peer }
  /** Whoever got in is gone. */
  | { kind: 'ended'; peer: Peer };

const from = '(?<source>[0-9A-Fa-f.:]+) port (?<port>\\d{1,5})';
/** The name is whatever a stranger typed: greedy, so that what follows is the last place that looks like an address. */
const accepted = new RegExp(
  `^Accepted (?<method>password|publickey) for (?<user>.*) from ${from} ssh2(?:: (?<type>[A-Z0-9-]+) (?<fingerprint>SHA256:[A-Za-z0-9+/]{43})(?: ID .*)?)?$`,
);
const failed = new RegExp(`^Failed password for (?:invalid user )?(?<user>.*) from ${from} ssh2$`);
const disconnected = new RegExp(
  `^(?:Disconnected from|Connection (?:closed|reset) by|Timeout, client not responding from) user .* ${from}$`,
);
const closed = new RegExp(`^Closing connection to ${from}$`);

/** @returns undefined when the line says nothing of the kind */
export function readSshdLine(text: string): SshdFact | undefined {
  const line = text.replace(/\r$/, '');
  const login = accepted.exec(line)?.groups;
  if (login) {
    const { method, user = '', type = '' } = login;
    // A certificate is no key of anybody's list, whatever it certifies.
    const fingerprint = type.endsWith('-CERT') ? null : (login['fingerprint'] ?? null);
    return { kind: 'accepted', method: method as 'password', user, fingerprint, peer: peerOf(login) };
  }
  const failure = failed.exec(line)?.groups;
  if (failure) return { kind: 'failed', user: failure['user'] ?? '', peer: peerOf(failure) };
  const end = (disconnected.exec(line) ?? closed.exec(line))?.groups;
  return end && { kind: 'ended', peer: peerOf(end) };
}

function peerOf({ source = '', port }: Record<string, string | undefined>): Peer {
  return { source: source.replace(/^::ffff:(?=\d+\.)/i, ''), port: Number(port) };
}
