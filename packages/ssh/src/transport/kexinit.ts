// SSH_MSG_KEXINIT: both sides list what they can do, and the first of the client's that the server has
// too is used (RFC 4253, section 7.1). Called by both roles at the start of each key exchange.

import { randomBytes } from 'node:crypto';
import { publicKeyAlgorithm } from '../keys/algorithms.ts';
import { Reader, Writer } from '../wire.ts';
import { keyExchangeNames } from './key-exchange.ts';
import { message } from './messages.ts';
import { cipherNames, isAuthenticated, macNames } from './packet-algorithms.ts';

/** Each list has the most wanted first. */
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
  readonly encryptionClientToServer: string;
  readonly encryptionServerToClient: string;
  /** Undefined beside a cipher that authenticates by itself. */
  readonly macClientToServer: string | undefined;
  readonly macServerToClient: string | undefined;
  /** Always `none`: no other is known. */
  readonly compressionClientToServer: string;
  readonly compressionServerToClient: string;
}

/**
 * Marks among the key exchanges of a first KEXINIT that are none: the client or server understands
 * SSH_MSG_EXT_INFO (RFC 8308), or a strict key exchange (OpenSSH's PROTOCOL, section 1.9). They come last in a list,
 * since its first name is a guess.
 */
export const mark = {
  extInfoClient: 'ext-info-c',
  extInfoServer: 'ext-info-s',
  strictClient: 'kex-strict-c-v00@openssh.com',
  strictServer: 'kex-strict-s-v00@openssh.com',
} as const;

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

/** The payload. `cookie` has 16 bytes and is random for each message. */
export function formatKexInit(
  proposal: Proposal,
  { firstKexPacketFollows = false, cookie = randomBytes(16) } = {},
): Buffer {
  const writer = new Writer().byte(message.kexInit).bytes(cookie);
  for (const field of fields) writer.nameList(proposal[field]);
  return writer
    .nameList([]) // languages
    .nameList([])
    .boolean(firstKexPacketFollows)
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

/**
 * What both sides use, or the first field for which they have nothing in common. Only what this package knows is
 * chosen, so no mark is, whoever lists it.
 */
export function negotiate(client: Proposal, server: Proposal): Negotiated | { missing: keyof Proposal } {
  const chosen: Partial<Record<keyof Proposal, string>> = {};
  for (const field of fields) {
    if (needsNone(field, chosen)) continue;
    const name = client[field].find((each) => server[field].includes(each) && isKnown[field](each));
    if (name === undefined) return { missing: field };
    chosen[field] = name;
  }
  const { keyExchange = '', hostKey = '', macClientToServer, macServerToClient } = chosen;
  const { encryptionClientToServer = '', encryptionServerToClient = '' } = chosen;
  const { compressionClientToServer = '', compressionServerToClient = '' } = chosen;
  return {
    keyExchange,
    hostKey,
    encryptionClientToServer,
    encryptionServerToClient,
    macClientToServer,
    macServerToClient,
    compressionClientToServer,
    compressionServerToClient,
  };
}

const isCipher = (name: string): boolean => cipherNames.includes(name);
const isMac = (name: string): boolean => macNames.includes(name);
const isCompression = (name: string): boolean => name === 'none';

const isKnown: Record<keyof Proposal, (name: string) => boolean> = {
  keyExchange: (name) => keyExchangeNames.includes(name),
  hostKey: (name) => publicKeyAlgorithm(name) !== undefined,
  encryptionClientToServer: isCipher,
  encryptionServerToClient: isCipher,
  macClientToServer: isMac,
  macServerToClient: isMac,
  compressionClientToServer: isCompression,
  compressionServerToClient: isCompression,
};

/** Ciphers that authenticate by themselves need no MAC in common (OpenSSH's PROTOCOL, section 1.6). */
function needsNone(field: keyof Proposal, chosen: Partial<Record<keyof Proposal, string>>): boolean {
  if (field === 'macClientToServer') return isAuthenticated(chosen.encryptionClientToServer ?? '');
  if (field === 'macServerToClient') return isAuthenticated(chosen.encryptionServerToClient ?? '');
  return false;
}

/** RFC 4253, section 7.1: a first packet that follows is to be ignored unless both first choices agree. */
export function guessedRight(client: Proposal, server: Proposal): boolean {
  return client.keyExchange[0] === server.keyExchange[0] && client.hostKey[0] === server.hostKey[0];
}
