// The SSH protocol, without Berth's rules: what the other packages may use of this one. The wire format
// (RFC 4251); keys, certificates and the files that list them, as OpenSSH writes them; the transport layer (RFC 4253),
// authentication (RFC 4252) and the connection protocol (RFC 4254) of both roles; the relay that joins two connections;
// and a probe that shakes hands with a server. docs/ssh.md explains it.

export { Reader, WireError, type WireProblem, Writer } from './wire.ts';
export { KeyError, type KeyErrorCode } from './keys/key-error.ts';
export {
  type PublicKeyAlgorithm,
  type PublicKeyType,
  type SecurityKeyType,
  type SignatureAlgorithm,
  certificateTypeOf,
  keyTypeOfCertificate,
  publicKeyAlgorithm,
  publicKeyTypes,
  signatureAlgorithmsOf,
} from './keys/algorithms.ts';
export { fingerprint } from './keys/fingerprint.ts';
export { type PublicKey, parsePublicKey } from './keys/public-key.ts';
export {
  VerificationKey,
  type VerificationPolicy,
  type VerifiedSignature,
  parseVerificationKey,
} from './keys/verification-key.ts';
export { verify } from './keys/signature.ts';
export { SigningKey, type SigningKeyType, generateSigningKey, publicKeyBlob } from './keys/signing-key.ts';
export { type PrivateKeyEncryption } from './keys/private-key-encryption.ts';
export {
  type HostKey,
  type PrivateKeyFile,
  type SecurityKeyHandle,
  ed25519Blob,
  formatPrivateKey,
  generateHostKey,
  parsePrivateKey,
  parsePrivateKeyFile,
} from './keys/private-key.ts';
export {
  type Certificate,
  type CertificateDemands,
  type CertificateRole,
  type CertificateRules,
  checkCertificate,
  isCertificate,
  parseCertificate,
  validForever,
} from './keys/certificate.ts';
export {
  type CertificateOptions,
  type SignedCertificate,
  type UserCertificateOptions,
  signCertificate,
  signUserCertificate,
} from './keys/certificate-authority.ts';
export {
  type HostKeyStanding,
  type KnownHost,
  KnownHosts,
  type KnownHostMarker,
  formatKnownHost,
  knownHostsLine,
} from './keys/known-hosts.ts';
export {
  type AuthorizedKey,
  type AuthorizedKeyOptions,
  type AuthorizedKeys,
  type ForwardingPlace,
  parseAuthorizedKey,
  parseAuthorizedKeys,
} from './keys/authorized-keys.ts';
export { type Authorization, type AuthorizationRequest, authorize } from './keys/authorization.ts';
export { RevocationList } from './keys/revocation-list.ts';
export {
  type Network,
  type Origins,
  matchesPattern,
  matchesPatternList,
  parseNetwork,
  parseNetworks,
  parseOrigins,
} from './keys/pattern-list.ts';
export { type Implementation, implementation } from './transport/implementation.ts';
export {
  type Algorithms,
  defaultAlgorithms,
  hostCertificateAlgorithms,
  userSignatureAlgorithms,
} from './transport/algorithms.ts';
export { type ServerHostKey, serverHostKey } from './transport/host-keys.ts';
export type { Negotiated } from './transport/kexinit.ts';
export type { PacketHandler, PacketTransport, Role } from './transport/packet-transport.ts';
export type { Packets } from './transport/packets.ts';
export {
  type ClientTransportOptions,
  type RekeyLimits,
  type ServerTransportOptions,
  Transport,
} from './transport/transport.ts';
export {
  ProtocolError,
  TransportError,
  type TransportErrorCode,
  disconnectReason,
} from './transport/transport-error.ts';
export type * from './authentication/attempt.ts';
export { AuthenticationError, type Trial } from './authentication/authentication-error.ts';
export { type AuthenticateOptions, authenticate } from './authentication/client.ts';
export type {
  Credential,
  KeyboardInteractiveCredential,
  NoneCredential,
  PasswordCredential,
  PublicKeyCredential,
  Signer,
} from './authentication/credentials.ts';
export { type Prompt, type PromptRound, isAuthenticationMessage } from './authentication/messages.ts';
export { type OfferedKey, offeredBlob } from './authentication/offered-key.ts';
export {
  ServerAuthentication,
  type ServerAuthenticationOptions,
  type ServerAuthenticationResult,
} from './authentication/server.ts';
export { type DialOptions, dial } from './dial.ts';
export {
  type ChannelOpen,
  type ChannelRequest,
  type GlobalRequest,
  Relay,
  type RelayEnd,
  type RelayOptions,
  type RelayPolicy,
} from './relay/relay.ts';
export type { RelayChannel, Side } from './relay/relay-channel.ts';
export { type Asked, WaitingRoom } from './relay/waiting-room.ts';
export { WindowBudget } from './window-budget.ts';
export { ProbeError, type ProbeErrorCode } from './probe-error.ts';
export { type ProbeOptions, type ProbeResult, probe } from './probe.ts';
export { Connection, type ConnectionHandlers, type ConnectionOptions } from './connection/connection.ts';
export type { Channel, StderrReader, StderrWriter } from './connection/channel.ts';
export {
  ChannelError,
  type ChannelErrorCode,
  ChannelOpenError,
  openFailureReason,
} from './connection/channel-error.ts';
export { type Forward, type Place, type SocketPlace, type TcpPlace, join } from './connection/forwarding.ts';
export type {
  ExitSignal,
  PseudoTerminal,
  Session,
  SessionHandler,
  TerminalSize,
  X11Request,
} from './connection/session.ts';
export type { ClientSession, Exit, SessionOptions } from './connection/session-client.ts';
export type { TerminalMode, TerminalModes } from './connection/terminal-modes.ts';
export type { Answer } from './connection/request-queue.ts';
export type { WindowOptions } from './connection/window.ts';
export { type ConnectOptions, connect } from './client.ts';
export { type AcceptOptions, type AcceptedConnection, acceptConnection } from './server.ts';
