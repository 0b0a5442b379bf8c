// Why a key was refused: a stable code for programs, and a sentence that tells a person what is wrong
// and what to do. Thrown by everything in keys/ that reads text or bytes from outside; the API shows the
// sentence as it is, so none repeats what was pasted (it may have been a private key).

import { WireError } from '../wire.ts';

export type KeyErrorCode =
  // A public key, as a line or as a blob.
  | 'empty'
  | 'too_long'
  | 'private_key'
  | 'ssh2_format'
  | 'pem_format'
  | 'several_lines'
  | 'options_not_allowed'
  | 'certificate'
  | 'dsa'
  | 'unknown_type'
  | 'bad_base64'
  | 'truncated'
  | 'trailing_data'
  | 'type_mismatch'
  | 'bad_key'
  | 'rsa_too_short'
  | 'rsa_too_long'
  // A private key file.
  | 'private_key_malformed'
  | 'private_key_encrypted'
  | 'private_key_passphrase'
  | 'private_key_cipher'
  | 'private_key_type'
  // A certificate.
  | 'certificate_malformed'
  | 'certificate_signature'
  | 'certificate_authority'
  | 'certificate_role'
  | 'certificate_not_yet_valid'
  | 'certificate_expired'
  | 'certificate_principal'
  | 'certificate_critical_option'
  | 'certificate_source_address'
  // Files that list keys.
  | 'pattern'
  | 'known_hosts_line'
  | 'authorized_keys_line'
  | 'revocation_list_malformed'
  | 'revocation_list_signature';

export class KeyError extends Error {
  override readonly name = 'KeyError';
  readonly code: KeyErrorCode;

  constructor(code: KeyErrorCode, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

/** What `read` returns; a WireError of its becomes the KeyError that `refusal` makes. */
export function readOrRefuse<T>(read: () => T, refusal: (error: WireError) => KeyError): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) throw refusal(error);
    throw error;
  }
}
