// The fingerprint of a public key as OpenSSH prints it since 6.8: SHA-256 of the key blob (RFC 4253,
// section 6.6), base64 without padding. Used wherever a key is shown to a person or compared by one.

import { hash } from 'node:crypto';

/** `SHA256:...`, the same text that `ssh-keygen -lf` prints. `blob` is the decoded base64 of a .pub file. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`;
}
