// Whether a key or certificate is let in by the lines of an authorized_keys file, and what it may do then
// (sshd(8), AUTHORIZED_KEYS FILE FORMAT: `cert-authority`, `principals`, `from`, `expiry-time`, and the most
// restrictive union of a certificate's rules and its line's options). Called with what a client offers or has
// signed with: the answer is about the key alone, so the signature is checked before anything comes of it.

import type { AuthorizedKey, AuthorizedKeyOptions } from './authorized-keys.ts';
import { type Certificate, checkCertificate, isCertificate, parseCertificate } from './certificate.ts';
import { KeyError } from './key-error.ts';

export interface AuthorizationRequest {
  /** The key or certificate as it was sent. */
  readonly blob: Buffer;
  /** Who logs in: a certificate must name this user, unless its line has `principals`. */
  readonly user: string;
  /** Where the connection comes from: its IP address, and the name that was verified to belong to it. */
  readonly address: string;
  readonly hostName?: string | undefined;
  readonly now?: Date;
}

export interface Authorization {
  readonly lineNumber: number;
  /** The line's options, narrowed to what the certificate permits too. */
  readonly options: AuthorizedKeyOptions;
  readonly certificate: Certificate | undefined;
}

/**
 * The first line that lets a key in; undefined when none does. A bare key is never let in by a line with
 * `cert-authority`, nor a certificate by one without. Throws KeyError for a malformed certificate.
 */
export function authorize(
  keys: readonly AuthorizedKey[],
  request: AuthorizationRequest,
): Authorization | undefined {
  const certificate = isCertificate(request.blob) ? parseCertificate(request.blob) : undefined;
  for (const line of keys) {
    const options = admits(line, request) ? optionsFor(line, certificate, request) : undefined;
    if (options !== undefined) return { lineNumber: line.lineNumber, options, certificate };
  }
  return undefined;
}

/** What a line demands of every connection, whatever proves its key. */
function admits({ options }: AuthorizedKey, request: AuthorizationRequest): boolean {
  const { address, hostName, now = new Date() } = request;
  if (options.from !== undefined && !options.from.contain(address, hostName)) return false;
  return options.expiresAt === undefined || now < options.expiresAt;
}

function optionsFor(
  { key, options }: AuthorizedKey,
  certificate: Certificate | undefined,
  request: AuthorizationRequest,
): AuthorizedKeyOptions | undefined {
  if (certificate === undefined) {
    return !options.certAuthority && key.blob.equals(request.blob) ? options : undefined;
  }
  if (!options.certAuthority || !key.blob.equals(certificate.authority.blob)) return undefined;
  return narrow(options, certificate, request, key.blob);
}

/** The union of a line's options and a certificate's rules; undefined when the certificate is not good. */
function narrow(
  options: AuthorizedKeyOptions,
  certificate: Certificate,
  { user, address, now = new Date() }: AuthorizationRequest,
  authority: Buffer,
): AuthorizedKeyOptions | undefined {
  try {
    const rules = checkCertificate(certificate, {
      role: 'user',
      principals: options.principals ?? [user],
      isTrusted: (blob) => blob.equals(authority),
      sourceAddress: address,
      now,
    });
    const { command = rules.forceCommand } = options;
    // As in sshd, two different commands are a contradiction and not a choice.
    if (rules.forceCommand !== undefined && command !== rules.forceCommand) return undefined;
    const permits = (name: string): boolean => certificate.extensions.has(`permit-${name}`);
    return {
      ...options,
      command,
      agentForwarding: options.agentForwarding && permits('agent-forwarding'),
      portForwarding: options.portForwarding && permits('port-forwarding'),
      x11Forwarding: options.x11Forwarding && permits('X11-forwarding'),
      pty: options.pty && permits('pty'),
      userRc: options.userRc && permits('user-rc'),
      touchRequired: options.touchRequired || rules.touchRequired,
      userVerificationRequired: options.userVerificationRequired || rules.userVerificationRequired,
    };
  } catch (error) {
    if (error instanceof KeyError) return undefined;
    throw error;
  }
}
