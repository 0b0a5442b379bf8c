/**
 * What somebody pasted as a public key, told while they look at it: which key it is, or why it is none. The server reads it
 * again by its own rules (packages/ssh, keys/public-key.ts); a private key is stopped here, before it leaves the browser.
 */

const keyProblems = [
  'private_key',
  'ssh2_format',
  'pem_format',
  'certificate',
  'several_lines',
  'dsa',
  'options',
  'unknown_type',
  'not_whole',
  'weak_rsa',
] as const;
export type KeyProblem = (typeof keyProblems)[number];

export interface ReadKey {
  type: string;
  /** As `ssh-keygen -l` counts them. */
  bits: number;
  comment: string;
  blob: Uint8Array<ArrayBuffer>;
}

const types = [
  'ssh-ed25519',
  'sk-ssh-ed25519@openssh.com',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'ssh-rsa',
];
const fewestRsaBits = 2048;

/** @returns null where there is nothing yet */
export function readPastedKey(text: string): ReadKey | KeyProblem | null {
  if (text.trim() === '') return null;
  const format = otherFormat(text);
  if (format !== undefined) return format;
  const [type = '', base64 = ''] = text.trim().split(/[ \t]+/, 2);
  if (!types.includes(type)) return problemOfType(type, text);
  const blob = decoded(base64);
  const parts = blob && partsOf(blob);
  if (!blob || parts === undefined || new TextDecoder().decode(parts[0]) !== type) return 'not_whole';
  const bits = bitsOf(type, parts);
  if (type === 'ssh-rsa' && bits < fewestRsaBits) return 'weak_rsa';
  return { type, bits, comment: commentOf(text), blob };
}

function otherFormat(text: string): KeyProblem | undefined {
  // The base64 is how "openssh-key-v1" begins, in case the BEGIN line was not copied.
  if (/PRIVATE KEY ?-{4}|PuTTY-User-Key-File|^[ \t]*b3BlbnNzaC1rZXktdjE/im.test(text)) return 'private_key';
  if (/---- BEGIN SSH2 PUBLIC KEY/i.test(text)) return 'ssh2_format';
  if (/-----BEGIN CERTIFICATE/i.test(text)) return 'certificate';
  if (/-----BEGIN [A-Z ]*PUBLIC KEY/i.test(text)) return 'pem_format';
  return text.trim().split(/[\r\n]+/).length > 1 ? 'several_lines' : undefined;
}

function problemOfType(type: string, text: string): KeyProblem {
  if (type.endsWith('-cert-v01@openssh.com')) return 'certificate';
  if (type === 'ssh-dss') return 'dsa';
  const words = text.trim().split(/[ \t]+/);
  const isLater = words.some((each, index) => types.includes(each) && words[index + 1]?.startsWith('AAAA'));
  return isLater ? 'options' : 'unknown_type';
}

function decoded(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** RFC 4253, section 6.6: strings of bytes, each behind its length. */
function partsOf(blob: Uint8Array): Uint8Array[] | undefined {
  const parts: Uint8Array[] = [];
  const view = new DataView(blob.buffer);
  let at = 0;
  while (at + 4 <= blob.length) {
    const end = at + 4 + view.getUint32(at);
    if (end > blob.length) return undefined;
    parts.push(blob.subarray(at + 4, end));
    at = end;
  }
  return at === blob.length && parts.length > 1 ? parts : undefined;
}

function bitsOf(type: string, parts: Uint8Array[]): number {
  if (type === 'ssh-rsa') {
    const modulus = parts[2] ?? new Uint8Array();
    const start = modulus.findIndex((byte) => byte !== 0);
    return start < 0 ? 0 : (modulus.length - start) * 8 - Math.clz32(modulus[start] ?? 0) + 24;
  }
  return Number(/nistp(\d+)/.exec(type)?.[1] ?? 256);
}

/** Whatever follows the key itself, for people. */
function commentOf(text: string): string {
  return text
    .trim()
    .replace(/^\S+[ \t]+\S+/, '')
    .replace(/\p{Cc}/gu, '')
    .trim();
}

/** As `ssh-keygen -l` shows it; null where the page was not loaded over HTTPS, where browsers do not hash. */
export async function fingerprintOf({ blob }: ReadKey): Promise<string | null> {
  if (!globalThis.isSecureContext) return null;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', blob));
  return `SHA256:${btoa(String.fromCharCode(...hash)).replace(/=+$/, '')}`;
}
