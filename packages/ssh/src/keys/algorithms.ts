// The names of keys, of certificates and of signatures, and which of them belong together: RFC 8709
// (Ed25519), RFC 5656 section 3 (ECDSA), RFC 8332 section 3 (RSA), OpenSSH's PROTOCOL.u2f (sk-*) and
// PROTOCOL.certkeys (*-cert-v01@openssh.com). Everything that must not confuse one with another asks here.
//
// What is missing is refused on purpose: ssh-dss, and the signature algorithm ssh-rsa, which is SHA-1. The
// key type ssh-rsa stays: it is what an RSA key is called whatever its signatures are.

export type PublicKeyType =
  | 'ssh-ed25519'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'ssh-rsa'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com';

/** Keys whose private half is in a security key, and not ours to use. */
export type SecurityKeyType = 'sk-ssh-ed25519@openssh.com' | 'sk-ecdsa-sha2-nistp256@openssh.com';

export type SignatureAlgorithm = Exclude<PublicKeyType, 'ssh-rsa'> | 'rsa-sha2-256' | 'rsa-sha2-512';

/** What a public key algorithm name in a message means. */
export interface PublicKeyAlgorithm {
  readonly keyType: PublicKeyType;
  readonly signatureAlgorithm: SignatureAlgorithm;
  /** Whether the blob is a certificate rather than a bare key. */
  readonly isCertificate: boolean;
}

/** The best signature algorithm of a type comes first. */
const signatureAlgorithms: Record<PublicKeyType, readonly [SignatureAlgorithm, ...SignatureAlgorithm[]]> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
  'sk-ssh-ed25519@openssh.com': ['sk-ssh-ed25519@openssh.com'],
  'sk-ecdsa-sha2-nistp256@openssh.com': ['sk-ecdsa-sha2-nistp256@openssh.com'],
};

export const publicKeyTypes = Object.keys(signatureAlgorithms) as readonly PublicKeyType[];

const keyTypesOfCertificates = new Map(publicKeyTypes.map((type) => [certificateName(type), type]));

const publicKeyAlgorithms = new Map<string, PublicKeyAlgorithm>(
  publicKeyTypes.flatMap((keyType) =>
    signatureAlgorithms[keyType].flatMap((signatureAlgorithm) => [
      [signatureAlgorithm, { keyType, signatureAlgorithm, isCertificate: false }] as const,
      [certificateName(signatureAlgorithm), { keyType, signatureAlgorithm, isCertificate: true }] as const,
    ]),
  ),
);

/** Every name that `publicKeyAlgorithm` knows, those of bare keys first. */
export const publicKeyAlgorithmNames: readonly string[] = [...publicKeyAlgorithms]
  .sort(([, one], [, other]) => Number(one.isCertificate) - Number(other.isCertificate))
  .map(([name]) => name);

function certificateName(name: string): string {
  return `${name.replace(/@openssh\.com$/, '')}-cert-v01@openssh.com`;
}

export function isPublicKeyType(name: string): name is PublicKeyType {
  return Object.hasOwn(signatureAlgorithms, name);
}

/** The signature algorithms that keys of this type can use, the best first. */
export function signatureAlgorithmsOf(
  type: PublicKeyType,
): readonly [SignatureAlgorithm, ...SignatureAlgorithm[]] {
  return signatureAlgorithms[type];
}

/** The name in the blob of a certificate for a key of this type, such as `ssh-rsa-cert-v01@openssh.com`. */
export function certificateTypeOf(type: PublicKeyType): string {
  return certificateName(type);
}

/** The type of the key in a certificate with this name in its blob; undefined for another name. */
export function keyTypeOfCertificate(name: string): PublicKeyType | undefined {
  return keyTypesOfCertificates.get(name);
}

/**
 * What the public key algorithm name of an authentication request (RFC 4252, section 7) or of a
 * server_host_key_algorithms list means; undefined for a name that is unknown or refused. RSA certificates
 * go by `rsa-sha2-512-cert-v01@openssh.com` there, though their blobs say `ssh-rsa-cert-v01@openssh.com`.
 */
export function publicKeyAlgorithm(name: string): PublicKeyAlgorithm | undefined {
  return publicKeyAlgorithms.get(name);
}

/** The name that a request gives for a key, or a certificate for one, which signs with this algorithm. */
export function publicKeyAlgorithmName(
  signatureAlgorithm: SignatureAlgorithm,
  { isCertificate }: { readonly isCertificate: boolean },
): string {
  return isCertificate ? certificateName(signatureAlgorithm) : signatureAlgorithm;
}
