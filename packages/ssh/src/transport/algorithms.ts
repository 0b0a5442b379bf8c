// Which algorithms a side offers, the best first, and the proposal that says so (RFC 4253, section 7.1). What is known
// and not among the defaults (the NIST curves, ECDSA host keys, diffie-hellman-group14) is there for old peers and must
// be asked for. Nothing with SHA-1, CBC or compression is known.

import { publicKeyTypes, certificateTypeOf, signatureAlgorithmsOf } from '../keys/algorithms.ts';
import { defaultKeyExchangeNames } from './key-exchange.ts';
import { type Proposal, mark } from './kexinit.ts';
import type { Role } from './packet-transport.ts';

/** Names as KEXINIT carries them, the best first; `none` and marks are not among them. */
export interface Algorithms {
  readonly keyExchange: readonly string[];
  /** For a client: the host key algorithms it takes. A server offers those of the keys that it has. */
  readonly hostKey: readonly string[];
  readonly cipher: readonly string[];
  readonly mac: readonly string[];
}

export const defaultAlgorithms: Algorithms = {
  keyExchange: defaultKeyExchangeNames,
  hostKey: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  mac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
};

export const marks = {
  client: { extInfo: mark.extInfoClient, strict: mark.strictClient },
  server: { extInfo: mark.extInfoServer, strict: mark.strictServer },
} as const satisfies Record<Role, { extInfo: string; strict: string }>;

/** All signature algorithms of user keys that are known, for `server-sig-algs`. */
export const userSignatureAlgorithms: readonly string[] = publicKeyTypes.flatMap(signatureAlgorithmsOf);

/** The names under which a certificate of any type may be offered as a host key. */
export const hostCertificateAlgorithms: readonly string[] = publicKeyTypes
  .filter((type) => !type.startsWith('sk-'))
  .flatMap((type) =>
    type === 'ssh-rsa'
      ? ['rsa-sha2-512-cert-v01@openssh.com', 'rsa-sha2-256-cert-v01@openssh.com']
      : [certificateTypeOf(type)],
  );

/** `isFirst`: the marks count in a connection's first key exchange only. */
export function proposalOf(algorithms: Algorithms, role: Role, isFirst: boolean): Proposal {
  const { cipher, mac } = algorithms;
  return {
    keyExchange: [...algorithms.keyExchange, ...(isFirst ? Object.values(marks[role]) : [])],
    hostKey: algorithms.hostKey,
    encryptionClientToServer: cipher,
    encryptionServerToClient: cipher,
    macClientToServer: mac,
    macServerToClient: mac,
    compressionClientToServer: ['none'],
    compressionServerToClient: ['none'],
  };
}
