// The two messages of a key exchange between KEXINIT and NEWKEYS: SSH_MSG_KEX_ECDH_INIT and _REPLY (RFC 5656, section
// 4), which the hybrid exchanges share, and SSH_MSG_KEXDH_INIT and _REPLY (RFC 4253, section 8), which have the same
// numbers and layout: their e and f are mpints, and an mpint is a string of its bytes. What is in the fields is for
// key-exchange.ts to check, and the signature for keys/signature.ts.

import { Reader, WireError, Writer } from '../wire.ts';
import { message } from './messages.ts';

/** What a read message holds are views of its payload. */
export interface KeyExchangeReply {
  /** K_S: the blob of the host key, or of its certificate. */
  readonly hostKey: Buffer;
  readonly serverShare: Buffer;
  /** Over the exchange hash: a blob that names its algorithm. */
  readonly signature: Buffer;
}

export function formatKeyExchangeInit(clientShare: Buffer): Buffer {
  return new Writer().byte(message.kexEcdhInit).string(clientShare).toBuffer();
}

/** The client's share. Throws WireError, also for another message. */
export function parseKeyExchangeInit(payload: Buffer): Buffer {
  const reader = startReading(payload, message.kexEcdhInit);
  const clientShare = reader.string('client share');
  reader.end('KEX_ECDH_INIT');
  return clientShare;
}

export function formatKeyExchangeReply({ hostKey, serverShare, signature }: KeyExchangeReply): Buffer {
  return new Writer()
    .byte(message.kexEcdhReply)
    .string(hostKey)
    .string(serverShare)
    .string(signature)
    .toBuffer();
}

/** Throws WireError, also for another message. */
export function parseKeyExchangeReply(payload: Buffer): KeyExchangeReply {
  const reader = startReading(payload, message.kexEcdhReply);
  const hostKey = reader.string('host key');
  const serverShare = reader.string('server share');
  const signature = reader.string('signature');
  reader.end('KEX_ECDH_REPLY');
  return { hostKey, serverShare, signature };
}

function startReading(payload: Buffer, due: number): Reader {
  const reader = new Reader(payload);
  const number = reader.byte('message number');
  if (number !== due) {
    throw new WireError('message number', 0, 'malformed', `message ${number} where ${due} was due`);
  }
  return reader;
}
