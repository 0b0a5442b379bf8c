// What a server proves itself with: a key, or a certificate for one, and the algorithm names under which it is offered
// (RFC 4253 section 7.1, RFC 8332, OpenSSH's PROTOCOL.certkeys).

import { keyTypeOfCertificate, signatureAlgorithmsOf } from '../keys/algorithms.ts';
import { isCertificate, parseCertificate } from '../keys/certificate.ts';
import type { SigningKey } from '../keys/signing-key.ts';

export interface ServerHostKey {
  /** As it is sent: the bare key's, or the certificate's. */
  readonly blob: Buffer;
  /** For server_host_key_algorithms, the best first. */
  readonly algorithms: readonly string[];
  /** A signature blob over `data`; `algorithm` is one of `algorithms`. */
  sign(data: Buffer, algorithm: string): Buffer;
}

const certificateSuffix = '-cert-v01@openssh.com';

/**
 * A host key of a private key, or of a host certificate for it.
 *
 * @throws TypeError for a certificate that is not of this key or not a host's; KeyError for one that is malformed
 */
export function serverHostKey(key: SigningKey, certificate?: Buffer): ServerHostKey {
  if (certificate === undefined) {
    return {
      blob: key.publicKey.blob,
      algorithms: signatureAlgorithmsOf(key.type),
      sign: (data, algorithm) => key.sign(data, algorithm),
    };
  }
  if (!isCertificate(certificate)) throw new TypeError('not a certificate');
  const { role, type, key: certified } = parseCertificate(certificate);
  if (
    role !== 'host' ||
    !certified.blob.equals(key.publicKey.blob) ||
    keyTypeOfCertificate(type) !== key.type
  ) {
    throw new TypeError('not a host certificate of this key');
  }
  return {
    blob: certificate,
    algorithms: signatureAlgorithmsOf(key.type).map((name) => `${name}${certificateSuffix}`),
    // Signed by the key that is certified, under that key's own algorithm.
    sign: (data, algorithm) => key.sign(data, algorithm.slice(0, -certificateSuffix.length)),
  };
}
