// What a client can log in with. client.ts tries these in the order given; each becomes an exchange (exchange.ts).

import type { SignatureAlgorithm } from '../keys/algorithms.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import type { PromptRound } from './messages.ts';

/** A private key that is somewhere else: in an agent, in a security key. */
export interface Signer {
  /** The blob of the bare public key. */
  readonly blob: Buffer;
  /** What it can sign with, the best first. */
  readonly algorithms: readonly SignatureAlgorithm[];
  /** A signature blob (RFC 4253, section 6.6) of exactly that algorithm. */
  readonly sign: (data: Buffer, algorithm: SignatureAlgorithm) => Buffer | Promise<Buffer>;
}

type Awaitable<T> = T | Promise<T>;

export interface NoneCredential {
  readonly method: 'none';
}

export interface PublicKeyCredential {
  readonly method: 'publickey';
  readonly key: SigningKey | Signer;
  /** The blob of a certificate for the key, to be shown in its place. */
  readonly certificate?: Buffer;
  /**
   * Asks first whether the key would do, which costs a round trip: for keys whose signatures cost a person a touch or
   * a PIN.
   */
  readonly query?: boolean;
}

export interface PasswordCredential {
  readonly method: 'password';
  /** A function is asked when it is the password's turn; undefined goes on without. */
  readonly password: string | (() => Awaitable<string | undefined>);
  /** Asked for a new password when the old one has expired; undefined, or without it, goes on without. */
  readonly newPassword?: (prompt: string) => Awaitable<string | undefined>;
}

export interface KeyboardInteractiveCredential {
  readonly method: 'keyboard-interactive';
  /** Gives one answer for each prompt, of which there may be none; undefined goes on without. */
  readonly answer: (round: Required<PromptRound>) => Awaitable<readonly string[] | undefined>;
}

export type Credential =
  NoneCredential | PublicKeyCredential | PasswordCredential | KeyboardInteractiveCredential;
