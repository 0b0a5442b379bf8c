// The SSH protocol, without Berth's rules: what the other packages may use of this one. The wire format
// (RFC 4251), keys and certificates as OpenSSH writes them, a probe that shakes hands with a server
// (RFC 4253), and what protects packets in this process.

export { Reader, WireError, type WireProblem, Writer } from './wire.ts';
export { KeyError, type KeyErrorCode } from './keys/key-error.ts';
export { fingerprint } from './keys/fingerprint.ts';
export { type PublicKey, type PublicKeyType, parsePublicKey } from './keys/public-key.ts';
export {
  type HostKey,
  ed25519Blob,
  formatPrivateKey,
  generateHostKey,
  parsePrivateKey,
} from './keys/private-key.ts';
export {
  type UserCertificate,
  type UserCertificateOptions,
  signUserCertificate,
} from './keys/certificate.ts';
export { knownHostsLine } from './keys/known-hosts.ts';
export { type Implementation, implementation } from './transport/implementation.ts';
export { ProbeError, type ProbeErrorCode } from './probe-error.ts';
export { type ProbeOptions, type ProbeResult, probe } from './probe.ts';
