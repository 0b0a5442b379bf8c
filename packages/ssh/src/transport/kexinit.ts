// SSH_MSG_KEXINIT: both sides list what they can do, and the first of the client's that the server has
// too is used (RFC 4253, section 7.1). Called at the start of each key exchange.

import { randomBytes } from 'node:crypto';
import { Reader, Writer } from '../wire.ts';
import { message } from './messages.ts';

export interface Proposal {
  readonly keyExchange: readonly string[];
  readonly hostKey: readonly string[];
  readonly encryptionClientToServer: readonly string[];
  readonly encryptionServerToClient: readonly string[];
  readonly macClientToServer: readonly string[];
  readonly macServerToClient: readonly string[];
  readonly compressionClientToServer: readonly string[];
  readonly compressionServerToClient: readonly string[];
}

export interface Negotiated {
  readonly keyExchange: string;
  readonly hostKey: string;
}

// In the order of the message.
const fields = [
  'keyExchange',
  'hostKey',
  'encryptionClientToServer',
  'encryptionServerToClient',
  'macClientToServer',
  'macServerToClient',
  'compressionClientToServer',
  'compressionServerToClient',
] as const satisfies readonly (keyof Proposal)[];

export function formatKexInit(proposal: Proposal): Buffer {
  const writer = new Writer().byte(message.kexInit).bytes(randomBytes(16));
  for (const field of fields) writer.nameList(proposal[field]);
  return writer
    .nameList([]) // languages
    .nameList([])
    .boolean(false) // first_kex_packet_follows
    .uint32(0) // reserved
    .toBuffer();
}

/** Throws WireError. */
export function parseKexInit(payload: Buffer): { proposal: Proposal; firstKexPacketFollows: boolean } {
  const reader = new Reader(payload);
  reader.byte('message number');
  reader.bytes(16, 'cookie');
  const proposal: Proposal = {
    keyExchange: reader.nameList('kex_algorithms'),
    hostKey: reader.nameList('server_host_key_algorithms'),
    encryptionClientToServer: reader.nameList('encryption_algorithms_client_to_server'),
    encryptionServerToClient: reader.nameList('encryption_algorithms_server_to_client'),
    macClientToServer: reader.nameList('mac_algorithms_client_to_server'),
    macServerToClient: reader.nameList('mac_algorithms_server_to_client'),
    compressionClientToServer: reader.nameList('compression_algorithms_client_to_server'),
    compressionServerToClient: reader.nameList('compression_algorithms_server_to_client'),
  };
  reader.nameList('languages_client_to_server');
  reader.nameList('languages_server_to_client');
  const firstKexPacketFollows = reader.boolean('first_kex_packet_follows');
  reader.uint32('reserved');
  reader.end('KEXINIT');
  return { proposal, firstKexPacketFollows };
}

/** What both sides use, or the field for which they have nothing in common. */
export function negotiate(client: Proposal, server: Proposal): Negotiated | { missing: keyof Proposal } {
  const chosen: Partial<Record<keyof Proposal, string>> = {};
  for (const field of fields) {
    const name = client[field].find((candidate) => server[field].includes(candidate));
    if (name !== undefined) chosen[field] = name;
    else if (!isMacWithin(field, chosen)) return { missing: field };
  }
  const { keyExchange = '', hostKey = '' } = chosen;
  return { keyExchange, hostKey };
}

/** Ciphers that authenticate by themselves need no MAC in common (OpenSSH's PROTOCOL, RFC 5647). */
function isMacWithin(field: keyof Proposal, chosen: Partial<Record<keyof Proposal, string>>): boolean {
  if (field === 'macClientToServer') return isAead(chosen.encryptionClientToServer);
  if (field === 'macServerToClient') return isAead(chosen.encryptionServerToClient);
  return false;
}

function isAead(cipher: string | undefined): boolean {
  return cipher !== undefined && /-gcm@openssh\.com$|^chacha20-poly1305@openssh\.com$/.test(cipher);
}

/** RFC 4253, section 7.1: a first packet that follows is to be ignored unless both first choices agree. */
export function guessedRight(client: Proposal, server: Proposal): boolean {
  return client.keyExchange[0] === server.keyExchange[0] && client.hostKey[0] === server.hostKey[0];
}
