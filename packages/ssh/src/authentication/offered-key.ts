// The key of a publickey request (RFC 4252, section 7): an algorithm name and the blob of a key or certificate that
// must belong together (RFC 8332, section 3.2; PROTOCOL.certkeys). Read by server.ts before anything is believed.

import { publicKeyAlgorithm } from '../keys/algorithms.ts';
import { type Certificate, parseCertificate } from '../keys/certificate.ts';
import { KeyError } from '../keys/key-error.ts';
import {
  type VerificationKey,
  type VerifiedSignature,
  parseVerificationKey,
} from '../keys/verification-key.ts';

export interface OfferedKey {
  /** As the request names it: `rsa-sha2-512`, `ssh-ed25519-cert-v01@openssh.com`. */
  readonly algorithm: string;
  /** The key itself, also that of a certificate. */
  readonly key: VerificationKey;
  /** Read, not checked (`checkCertificate`). */
  readonly certificate: Certificate | undefined;
}

export interface KeyLimits {
  /** The algorithm names that are taken. */
  readonly algorithms: readonly string[];
  readonly minimumRsaBits: number;
}

/** Throws KeyError for what is malformed, mixed up or not taken. */
export function readOfferedKey(algorithm: string, blob: Buffer, limits: KeyLimits): OfferedKey {
  const known = publicKeyAlgorithm(algorithm);
  if (known === undefined || !limits.algorithms.includes(algorithm)) {
    throw new KeyError('unknown_type', 'Keys of this kind are not taken here.');
  }
  const { minimumRsaBits } = limits;
  const certificate = known.isCertificate ? parseCertificate(blob, { minimumRsaBits }) : undefined;
  const key = certificate?.key ?? parseVerificationKey(blob, { minimumRsaBits });
  if (key.type !== known.keyType) {
    throw new KeyError('type_mismatch', 'The key is of another type than its request says.');
  }
  return { algorithm, key, certificate };
}

/** The blob that was sent. */
export function offeredBlob({ key, certificate }: OfferedKey): Buffer {
  return certificate?.blob ?? key.blob;
}

/** What a good signature over `data` says; undefined for any other. A touch is not demanded here. */
export function verifyOfferedKey(
  { algorithm, key }: OfferedKey,
  data: Uint8Array,
  signature: Uint8Array,
): VerifiedSignature | undefined {
  const known = publicKeyAlgorithm(algorithm);
  return known && key.verify(known.signatureAlgorithm, data, signature, { touchRequired: false });
}
