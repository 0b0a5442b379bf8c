// The SSH protocol, without Berth's rules: what the other packages may use of this one. The wire format
// (RFC 4251), keys and certificates as OpenSSH writes them, and a probe that shakes hands with a server
// (RFC 4253).

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
export { SigningKey, type SigningKeyType, generateSigningKey, publicKeyBlob } from './keys/signing-key.ts';
export {
  type HostKey,
  type PrivateKeyEncryption,
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
export { knownHostsLine } from './keys/known-hosts.ts';
export { ProbeError, type ProbeErrorCode } from './probe-error.ts';
export { type ProbeOptions, type ProbeResult, probe } from './probe.ts';
