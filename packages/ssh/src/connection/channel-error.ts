// What can go wrong with one channel while its connection goes on. Messages may be shown to a person.

/** SSH_MSG_CHANNEL_OPEN_FAILURE's reason codes (RFC 4254, section 5.1). */
export const openFailureReason = {
  administrativelyProhibited: 1,
  connectFailed: 2,
  unknownChannelType: 3,
  resourceShortage: 4,
} as const;

/** A channel was not opened: by the peer, or, thrown by a handler, by this side. */
export class ChannelOpenError extends Error {
  override readonly name = 'ChannelOpenError';
  /** One of `openFailureReason`, or what else the peer says. */
  readonly reason: number;

  /** `message` goes to the peer. */
  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

export type ChannelErrorCode =
  /** The peer answered a request with failure. */
  | 'refused'
  /** The channel was closed before this could be done. */
  | 'closed';

export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code: ChannelErrorCode;

  constructor(code: ChannelErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
