// A signature as a message carries it: the name of the algorithm, the blob of the key or certificate, and the
// signature blob (RFC 4252 section 7 for a client's, RFC 4253 section 8 for a server's). Called once for each
// signed request and each key exchange; who verifies with one key often keeps its VerificationKey instead.

import { publicKeyAlgorithm } from './algorithms.ts';
import { isCertificate, parseCertificate } from './certificate.ts';
import { type VerificationPolicy, type VerifiedSignature, parseVerificationKey } from './verification-key.ts';

/**
 * Checks a signature over `data` by the key in `blob`, which is the certified one when `algorithm` is a
 * certificate's. Returns undefined for every signature that is not good, for an algorithm that is unknown or
 * refused (`ssh-rsa` is SHA-1), and when algorithm and blob do not belong together. Nothing is said of the
 * certificate itself: `checkCertificate` does. Throws KeyError for a blob that is malformed or refused.
 */
export function verify(
  algorithm: string,
  blob: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
  policy: VerificationPolicy = {},
): VerifiedSignature | undefined {
  const known = publicKeyAlgorithm(algorithm);
  if (known === undefined || known.isCertificate !== isCertificate(blob)) return undefined;
  const key = known.isCertificate ? parseCertificate(blob).key : parseVerificationKey(blob);
  // A key knows its own algorithms, so one of another type is refused there.
  return key.verify(known.signatureAlgorithm, data, signature, policy);
}
