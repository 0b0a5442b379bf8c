// One public key as people paste it: `type base64 comment`, the line of a .pub file or of
// authorized_keys without options. Called when someone adds a key in the console, API or CLI, and by
// the other files here (sshd(8), AUTHORIZED_KEYS FILE FORMAT). What the base64 holds is read by
// verification-key.ts.
//
// OpenSSH reads such a line leniently; here a line that it would read differently than a person does
// (two keys, options, a certificate) is refused with the cure.

import { type PublicKeyType, isPublicKeyType, publicKeyTypes } from './algorithms.ts';
import { KeyError } from './key-error.ts';
import { type VerificationKey, parseVerificationKey } from './verification-key.ts';

export interface PublicKey {
  readonly type: PublicKeyType;
  /** The decoded base64: what is compared, hashed and sent on the wire. */
  readonly blob: Buffer;
  /** Without control characters; may be empty. */
  readonly comment: string;
  /** As `ssh-keygen -l` counts them: the modulus of RSA, the field of a curve. */
  readonly bits: number;
  /** `SHA256:...` */
  readonly fingerprint: string;
  /** Canonical `type base64 comment`, one line, without a line end. */
  readonly line: string;
}

// Room for RSA of 16384 bits, the most that OpenSSH and OpenSSL take, with a long comment.
const maximumCharacters = 16 * 1024;
const pasteThePublicFile = 'Paste the one line of your .pub file, for example ~/.ssh/id_ed25519.pub.';
const makeANewKey = 'Make a new key with: ssh-keygen -t ed25519';

/**
 * Reads one public key line. White space around it, a byte order mark and Windows line ends do no harm.
 *
 * `minimumRsaBits` is a policy, not part of the format: 2048 unless told otherwise.
 * Throws KeyError; its message is a sentence for the person who pasted the key.
 */
export function parsePublicKey(text: string, { minimumRsaBits = 2048 } = {}): PublicKey {
  refuseOtherFormats(text);

  const [type = '', base64 = ''] = text.trim().split(/[ \t]+/, 2);
  if (!isPublicKeyType(type)) throw refusalOfType(type, text);
  const key = readBlob(type, decodeBase64(base64), minimumRsaBits);
  const comment = sanitize(text.trim().replace(/^\S+[ \t]+\S+/, ''));
  const line = `${type} ${base64}${comment === '' ? '' : ` ${comment}`}`;
  return { type, blob: key.blob, comment, bits: key.bits, fingerprint: key.fingerprint, line };
}

function refuseOtherFormats(text: string): void {
  const start = text.slice(0, maximumCharacters);
  // First of all, and even in a text that is too long: the person must know that a secret has leaked.
  // The base64 is how "openssh-key-v1" begins, in case the BEGIN line was not copied.
  if (/PRIVATE KEY ?-{4}|PuTTY-User-Key-File|^[ \t]*b3BlbnNzaC1rZXktdjE/im.test(start)) {
    throw new KeyError(
      'private_key',
      'This is a private key. Keep it secret: it never leaves your computer. Paste the .pub file beside it ' +
        'instead, and if anyone may have seen what you pasted, make a new key.',
    );
  }
  if (text.length > maximumCharacters) {
    throw new KeyError('too_long', `This is too long for one public key. ${pasteThePublicFile}`);
  }
  if (text.trim() === '') throw new KeyError('empty', `There is no key here. ${pasteThePublicFile}`);
  if (/---- BEGIN SSH2 PUBLIC KEY/i.test(text)) {
    throw new KeyError(
      'ssh2_format',
      'This public key is in the SSH2 (RFC 4716) format, as PuTTYgen saves it. Copy the line that PuTTYgen ' +
        'shows at its top, or convert the file with: ssh-keygen -i -f FILE',
    );
  }
  if (/-----BEGIN CERTIFICATE/i.test(text)) throw certificateRefusal();
  if (/-----BEGIN [A-Z ]*PUBLIC KEY/i.test(text)) {
    throw new KeyError(
      'pem_format',
      'This public key is in the PEM format. Convert the file with: ssh-keygen -i -m PKCS8 -f FILE',
    );
  }
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  if (lines.length > 1) {
    throw new KeyError(
      'several_lines',
      'A public key is one line, and this is several. Paste one key at a time; if it is one key that was ' +
        'broken into lines, copy it from the .pub file again.',
    );
  }
}

function refusalOfType(type: string, text: string): KeyError {
  if (type.endsWith('-cert-v01@openssh.com')) return certificateRefusal();
  if (type === 'ssh-dss') {
    return new KeyError('dsa', `DSA keys are no longer safe, and OpenSSH refuses them. ${makeANewKey}`);
  }
  const known = [...publicKeyTypes, 'ssh-dss'].map((name) => RegExp.escape(name)).join('|');
  if (new RegExp(`[ \\t](?:${known})[ \\t]+AAAA`).test(text)) {
    return new KeyError(
      'options_not_allowed',
      'There is something before the key type. Options such as from="..." or command="..." are not taken ' +
        'here: paste the line from its key type on, such as ssh-ed25519.',
    );
  }
  return new KeyError(
    'unknown_type',
    `This does not start with a known key type (${publicKeyTypes.join(', ')}). ${pasteThePublicFile}`,
  );
}

function certificateRefusal(): KeyError {
  return new KeyError(
    'certificate',
    'This is a certificate, not a public key. Paste the .pub file whose name does not end in -cert.pub.',
  );
}

function decodeBase64(base64: string): Buffer {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw new KeyError(
      'bad_base64',
      `The key holds characters that do not belong in base64. ${pasteThePublicFile}`,
    );
  }
  if (base64 === '' || base64.length % 4 !== 0) throw truncatedRefusal();
  const blob = Buffer.from(base64, 'base64');
  // Left-over bits in the last character would give one key two lines.
  if (blob.toString('base64') !== base64) {
    throw new KeyError('bad_base64', `The end of the key was changed. ${pasteThePublicFile}`);
  }
  return blob;
}

function truncatedRefusal(): KeyError {
  return new KeyError('truncated', `The key is incomplete: its end is missing. ${pasteThePublicFile}`);
}

function readBlob(type: PublicKeyType, blob: Buffer, minimumRsaBits: number): VerificationKey {
  try {
    const key = parseVerificationKey(blob, { minimumRsaBits });
    if (key.type === type) return key;
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    if (error.code === 'truncated') throw truncatedRefusal();
    if (error.code === 'bad_key' || error.code === 'trailing_data') {
      throw new KeyError(error.code, `${error.message} ${pasteThePublicFile}`);
    }
    if (error.code === 'rsa_too_short' || error.code === 'rsa_too_long') throw error;
  }
  throw new KeyError(
    'type_mismatch',
    `The key type before the key and the one inside it differ. ${pasteThePublicFile}`,
  );
}

/** Comments end up in terminals, logs and authorized_keys: no controls, line ends or bidirectional marks. */
function sanitize(comment: string): string {
  return comment
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ')
    .trim();
}
