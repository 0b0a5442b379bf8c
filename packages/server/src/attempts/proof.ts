/**
 * Whether what somebody showed opens what they want to get to, and what may be done with it: keys and user certificates.
 * All of it comes from memory. The gateway has checked the signature and says how that went.
 */
import { everythingForwarded } from '@berth/contract';
import type { Forwarding, Refusal, ShownKey } from '@berth/contract';
import { KeyError, checkCertificate, fingerprint, parseCertificate } from '@berth/ssh';
import type { Certificate } from '@berth/ssh';
import type { Directory, KnownCustomer } from '../control/directory.ts';

/** Whose keys count, and under which names a certificate opens it. */
export interface Door {
  customer: KnownCustomer;
  /** Only what is this account's opens it; null: whatever is its customer's. */
  account: string | null;
  /** Names that a certificate may be for, besides those of the customer's accounts. */
  principals: string[];
}

/** What whoever got in has shown, and what that allows. */
export interface Proof {
  /** Whose it is; null: not known. */
  account: string | null;
  /** Name of the key, or key id of the certificate; null: the password. */
  keyName: string | null;
  fingerprint: string | null;
  forwarding: Forwarding;
  terminal: boolean;
  forceCommand: string | null;
  touchRequired: boolean;
  verificationRequired: boolean;
}

export interface Refused {
  refusal: Refusal;
  /** For the log: what is wrong with a certificate. */
  why?: string;
}

/** Opens everything that the environment allows. */
export const proofByPassword: Proof = {
  account: null,
  keyName: null,
  fingerprint: null,
  forwarding: everythingForwarded,
  terminal: true,
  forceCommand: null,
  touchRequired: false,
  verificationRequired: false,
};

/** `source` as it is, for certificates that are bound to addresses. */
export function checkShownKey(
  directory: Directory,
  shown: ShownKey,
  door: Door | null,
  source: string,
): Proof | Refused {
  if (!shown.signature_ok) return { refusal: 'wrong_signature' };
  const blob = Buffer.from(shown.blob, 'base64');
  return shown.certificate === null
    ? checkKey(blob, door)
    : checkUserCertificate(directory, blob, Buffer.from(shown.certificate, 'base64'), door, source);
}

/** What the signature of a security key lacks, as a sentence for its owner; null: nothing. */
export function missingOf(proof: Proof, { security_key: securityKey }: ShownKey): string | null {
  if (securityKey === null) return null;
  if (proof.touchRequired && !securityKey.user_present)
    return 'This security key must be touched to log in here.';
  if (proof.verificationRequired && !securityKey.user_verified)
    return 'This security key must be unlocked by its PIN or a finger to log in here.';
  return null;
}

function checkKey(blob: Buffer, door: Door | null): Proof | Refused {
  const print = fingerprint(blob);
  const key = door?.customer.keys.get(print);
  const isIts = key !== undefined && Buffer.from(key.publicKey.split(' ')[1] ?? '', 'base64').equals(blob);
  if (!door || !isIts || (door.account !== null && key.account !== door.account)) {
    return { refusal: 'wrong_key' };
  }
  if (door.customer.revocations?.isRevoked(blob)) return { refusal: 'wrong_key' };
  return {
    ...proofByPassword,
    account: key.account,
    keyName: key.name,
    fingerprint: print,
    touchRequired: true,
  };
}

function checkUserCertificate(
  directory: Directory,
  key: Buffer,
  blob: Buffer,
  door: Door | null,
  source: string,
): Proof | Refused {
  // Without authorities there is nothing to compare with, and reading it costs a stranger's whim.
  if (!door || door.customer.authorities.size === 0) return { refusal: 'wrong_certificate' };
  const { customer } = door;
  try {
    const certificate = parseCertificate(blob);
    if (!certificate.key.blob.equals(key)) return wrong('it certifies another key');
    const accounts = certificate.principals.filter((name) => isAccountOf(directory, name, door));
    const rules = checkCertificate(certificate, {
      role: 'user',
      principals: [...door.principals, ...accounts],
      isTrusted: (authority) => isAuthorityOf(customer, authority),
      sourceAddress: source,
    });
    if (customer.revocations?.isRevoked(blob)) return wrong('it is revoked');
    const permits = (what: string) => certificate.extensions.has(`permit-${what}`);
    const ports = permits('port-forwarding');
    return {
      account: accounts[0] ?? null,
      keyName: keyIdOf(certificate),
      fingerprint: certificate.key.fingerprint,
      forwarding: {
        ...{ local: ports, remote: ports, sftp: true },
        agent: permits('agent-forwarding'),
        x11: permits('X11-forwarding'),
      },
      terminal: permits('pty'),
      forceCommand: rules.forceCommand ?? null,
      touchRequired: rules.touchRequired,
      verificationRequired: rules.userVerificationRequired,
    };
  } catch (error) {
    if (error instanceof KeyError) return wrong(error.message);
    throw error;
  }
}

function wrong(why: string): Refused {
  return { refusal: 'wrong_certificate', why };
}

function isAccountOf(directory: Directory, name: string, { customer, account }: Door): boolean {
  if (account !== null) return name === account;
  return directory.account(name)?.customerId === customer.id;
}

function isAuthorityOf({ authorities }: KnownCustomer, blob: Buffer): boolean {
  const authority = authorities.get(fingerprint(blob));
  return (
    authority !== undefined && Buffer.from(authority.publicKey.split(' ')[1] ?? '', 'base64').equals(blob)
  );
}

/** The authority's word, as it may be shown: without control characters, and no longer than a record takes. */
function keyIdOf({ keyId }: Certificate): string {
  return keyId
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}')
    .slice(0, 255);
}
