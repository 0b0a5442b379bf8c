/**
 * Attempts and ends of connections as the lines that OpenSSH's sshd writes (auth.c, auth2.c, packet.c), so that what
 * reads those, such as fail2ban's filter sshd, reads ours. auth-log.ts writes them.
 *
 * A user name is a stranger's text. sshd leaves blanks in it, and has readers guess which " from " is its own; here
 * everything but visible ASCII, and the colon that fail2ban takes for the end of a name, is written as the octal codes of its bytes (vis(3)), so a name can forge nothing.
 */
import type { ConnectionRecord } from '@berth/contract';
import type { NewAttempt } from './attempts.ts';

export interface Line {
  at: Date;
  /** In the place of the process of sshd that serves one connection. */
  processId: number;
  /** RFC 3164: 3 is an error, 6 information. */
  severity: 3 | 6;
  message: string;
}

const emptyName = '\\000';

/**
 * @param failures of its connection, this one included
 * @param mostFailures after which the connection ends
 */
export function attemptLines(record: NewAttempt, failures: number, mostFailures: number): Line[] {
  const { reason, method, source, source_port: port } = record;
  const host = address(source);
  const from = `from ${host} port ${port}`;
  const user = visible(record.user);
  const info = (message: string) => line(record, message, 6);
  const how = method === 'keyboard-interactive' ? 'keyboard-interactive/pam' : (method ?? 'none');
  if (record.accepted) return [info(`Accepted ${how} for ${user} ${from} ssh2${keyWords(record)}`)];

  // Nobody was asked for a name yet: the words of libwrap, with which sshd refuses by address.
  if (method === null) return [info(`refused connect from ${host} (${host})`)];
  switch (reason) {
    case 'not_allowed':
      return [info(`User ${user} from ${host} not allowed because not listed in AllowUsers`)];
    case 'locked':
    case 'banned':
    case 'flood':
      return [info(`User ${user} from ${host} not allowed because listed in DenyUsers`)];
    // Not the person's fault: nothing that counts as a failure.
    case 'unavailable':
    case 'failed':
      return [info(`Connection closed by authenticating user ${user} ${host} port ${port} [preauth]`)];
  }
  const whom = `${reason === 'unknown_name' ? 'invalid user ' : ''}${user} ${from} ssh2`;
  const lines = [info(`Failed ${how} for ${whom}${keyWords(record)}`)];
  if (reason === 'unknown_name' && failures === 1) lines.unshift(info(`Invalid user ${user} ${from}`));
  if (failures === mostFailures)
    lines.push(line(record, `error: maximum authentication attempts exceeded for ${whom} [preauth]`, 3));
  return lines;
}

/** Of a connection that had got in. */
export function endLine(record: ConnectionRecord, user: string): Line {
  const at = new Date(record.ended_at ?? record.started_at);
  const message = `Disconnected from user ${visible(user)} ${address(record.source)} port ${record.source_port}`;
  return { at, processId: processIdOf(record.id), severity: 6, message };
}

function line({ at, connection, id }: NewAttempt, message: string, severity: 3 | 6): Line {
  return { at: new Date(at), processId: processIdOf(connection ?? id), severity, message };
}

/** `: ED25519 SHA256:...` where a key was shown. */
function keyWords({ fingerprint, keyType }: NewAttempt): string {
  if (fingerprint === null) return '';
  return `: ${keyType === null ? 'unknown' : typeWord(keyType)} ${fingerprint.replace(/[^\w:+/=-]/g, '')}`;
}

/** What sshkey_type() calls it. */
function typeWord(type: string): string {
  const suffix = type.startsWith('sk-') ? '-SK' : '';
  if (type.includes('ed25519')) return `ED25519${suffix}`;
  if (type.includes('ecdsa')) return `ECDSA${suffix}`;
  return type === 'ssh-rsa' ? 'RSA' : 'unknown';
}

/** Only what an address is made of. */
function address(text: string): string {
  return text.replace(/[^0-9A-Fa-f:.]/g, '') || 'UNKNOWN';
}

function visible(name: string): string {
  if (name === '') return emptyName;
  return [...Buffer.from(name)]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x3a
        ? String.fromCharCode(byte)
        : `\\${byte.toString(8).padStart(3, '0')}`,
    )
    .join('');
}

/** The same for all lines of a connection, and another for most others: readers join lines by it. */
function processIdOf(id: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(id)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return 2 + (hash % 4_194_302);
}
