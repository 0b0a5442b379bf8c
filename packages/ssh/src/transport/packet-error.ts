// A packet that cannot be accepted: its length, its tag or its padding is wrong (RFC 4253, section 6).
// Thrown by an Opener. Nothing more can be read from that connection: the peer is told the reason, as far
// as it can be, and the connection ends.

import { disconnectReason } from './transport-error.ts';

export type PacketErrorCode =
  /** Out of bounds, or no multiple of the block size. */
  | 'length'
  /** The tag does not fit: changed on its way, or the keys differ. */
  | 'mac'
  /** Authentic, and still no packet: less than 4 bytes of padding, or no payload. */
  | 'padding';

const sentences: Record<PacketErrorCode, string> = {
  length: 'A packet has a length that none may have.',
  mac: 'A packet was changed on its way, or the two sides have different keys.',
  padding: 'A packet has a padding that none may have.',
};

export class PacketError extends Error {
  override readonly name = 'PacketError';
  readonly code: PacketErrorCode;
  /** For SSH_MSG_DISCONNECT. */
  readonly disconnectReason: number;

  constructor(code: PacketErrorCode) {
    super(sentences[code]);
    this.code = code;
    this.disconnectReason = code === 'mac' ? disconnectReason.macError : disconnectReason.protocolError;
  }
}
