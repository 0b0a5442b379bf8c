// What private-key-encryption.ts uses of the npm package bcrypt-pbkdf, which brings no types of its own.

declare module 'bcrypt-pbkdf' {
  /** Fills `key` from a passphrase; other than 0 is a refusal of the parameters. */
  export function pbkdf(
    passphrase: Uint8Array,
    passphraseBytes: number,
    salt: Uint8Array,
    saltBytes: number,
    key: Uint8Array,
    keyBytes: number,
    rounds: number,
  ): number;
}
