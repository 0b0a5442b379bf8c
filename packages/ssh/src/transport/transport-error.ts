// Why a connection ended, in a form that an owner can log and count. The message is one sentence for a log; it holds
// nothing of the peer that is not quoted with `quoted`.

/** SSH_MSG_DISCONNECT's reason codes (RFC 4250, section 4.2.2), as far as they are used. */
export const disconnectReason = {
  hostNotAllowed: 1,
  protocolError: 2,
  keyExchangeFailed: 3,
  macError: 5,
  compressionError: 6,
  serviceNotAvailable: 7,
  versionNotSupported: 8,
  hostKeyNotVerifiable: 9,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
  authenticationCancelled: 13,
  noMoreMethods: 14,
  illegalUserName: 15,
} as const;

export type TransportErrorCode =
  /** The peer sent what the protocol does not allow. */
  | 'protocol'
  /** What answers is not SSH 2. */
  | 'not_ssh'
  /** No algorithm in common. */
  | 'no_common_algorithm'
  /** The server has another host key than expected, or could not prove the one it showed. */
  | 'host_key'
  /** The peer said SSH_MSG_DISCONNECT. */
  | 'disconnected'
  /** The TCP connection broke. */
  | 'lost'
  /** A limit of time, attempts or size was reached. */
  | 'limit'
  /** The own side ended it with `disconnect`. */
  | 'ended'
  /** A fault of this package or of a handler; it is the error's `cause`. */
  | 'internal';

export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportErrorCode;
  /** For SSH_MSG_DISCONNECT, when this side ends the connection for it. */
  readonly reason: number;

  /** `cause` is the socket's error, for a connection that broke. */
  constructor(
    code: TransportErrorCode,
    message: string,
    reason: number = disconnectReason.protocolError,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.reason = reason;
  }
}

/** The peer broke a rule of the protocol. What is thrown so out of a PacketHandler ends the connection. */
export class ProtocolError extends TransportError {
  constructor(message: string, reason: number = disconnectReason.protocolError) {
    super('protocol', message, reason);
  }
}
