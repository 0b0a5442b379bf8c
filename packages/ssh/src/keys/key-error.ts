// Why a key was refused: a stable code for programs, and a sentence that tells a person what is wrong
// and what to do. Thrown by everything in keys/ that reads text from outside; the API shows the sentence
// as it is, so none repeats what was pasted (it may have been a private key).

export type KeyErrorCode =
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
  | 'private_key_malformed'
  | 'private_key_encrypted'
  | 'private_key_type';

export class KeyError extends Error {
  override readonly name = 'KeyError';
  readonly code: KeyErrorCode;

  constructor(code: KeyErrorCode, sentence: string) {
    super(sentence);
    this.code = code;
  }
}
