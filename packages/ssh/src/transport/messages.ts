// The numbers of the messages and reasons that the handshake needs: RFC 4250 section 4.1.2 (messages),
// 4.2.2 (disconnect reasons), RFC 5656 section 7.1 (key exchange).

export const message = {
  disconnect: 1,
  ignore: 2,
  debug: 4,
  kexInit: 20,
  newKeys: 21,
  kexEcdhInit: 30,
  kexEcdhReply: 31,
} as const;

export const disconnectReason = {
  protocolError: 2,
  keyExchangeFailed: 3,
  macError: 5,
  hostKeyNotVerifiable: 9,
} as const;
