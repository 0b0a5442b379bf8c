// What the owner of a server is asked about each try to log in, and what it may answer. server.ts asks; all that can
// be checked without knowing the owner's users and keys has been checked by then.

import type { VerificationPolicy, VerifiedSignature } from '../keys/verification-key.ts';
import type { KeyError } from '../keys/key-error.ts';
import type { PromptRound } from './messages.ts';
import type { OfferedKey } from './offered-key.ts';

export type Method = 'publickey' | 'password' | 'keyboard-interactive';

/** What every attempt says. */
export interface AttemptContext {
  /** As the client sent it: any characters but a zero, at most 255 bytes. */
  readonly user: string;
  /** What was right so far on this connection, in order (partial success). Empty for most. */
  readonly passed: readonly PassedMethod[];
  /** Aborted when the answer is of no use any more: the client is gone or has begun another attempt. */
  readonly signal: AbortSignal;
  /** Shows the person some lines, at any moment until the login is over; does nothing afterwards. */
  readonly sendBanner: (text: string) => void;
}

/** A client's first request is mostly this one: it asks which methods there are. */
export interface NoneAttempt extends AttemptContext {
  readonly method: 'none';
}

export interface PasswordAttempt extends AttemptContext {
  readonly method: 'password';
  /** Bytes that are no UTF-8 are U+FFFD. */
  readonly password: string;
  /** When the client answers a `change_password`. */
  readonly newPassword: string | undefined;
}

/** A client says that it has this key, and proves nothing: only `usable`, `refuse` and `end` answer it. */
export interface KeyQuery extends AttemptContext, OfferedKey {
  readonly method: 'publickey';
  readonly signed: false;
}

/** A client has proven that it has this key. Nothing is known of the certificate's own goodness. */
export interface KeyAttempt extends AttemptContext, OfferedKey {
  readonly method: 'publickey';
  readonly signed: true;
  /** With security keys, whether somebody touched it. */
  readonly verified: VerifiedSignature;
  /** Whether the signature names this server's host key too. */
  readonly hostbound: boolean;
}

export interface KeyboardInteractiveAttempt extends AttemptContext {
  readonly method: 'keyboard-interactive';
  /** The client's hints (RFC 4256, section 3.1), mostly empty. */
  readonly submethods: string;
  /**
   * Asks the person, any number of times, one round after another; gives as many answers as there were prompts.
   * Rejects with the reason of `signal` when there will be none.
   */
  readonly prompt: (round: PromptRound) => Promise<string[]>;
}

export type Attempt = NoneAttempt | PasswordAttempt | KeyQuery | KeyAttempt | KeyboardInteractiveAttempt;

/** A request that is refused whatever the owner says: it may count it, explain it or end the connection. */
export type RefusedAttempt = AttemptContext &
  (
    | ({
        /** The signature is not good, or is over another session, user or request. Counts like a wrong password. */
        readonly refused: 'wrong_signature';
        readonly signed: true;
      } & OfferedKey)
    | ({
        /** The key was right once already, and is wanted to be another one now. */
        readonly refused: 'used_key';
        readonly signed: boolean;
      } & OfferedKey)
    | {
        /** The algorithm or the key is not taken here; `error` tells a person why. */
        readonly refused: 'unusable_key';
        readonly signed: boolean;
        readonly algorithm: string;
        readonly error: KeyError;
      }
    | {
        /** A method that is unknown, or not one of those that were to go on with. */
        readonly refused: 'method';
        readonly method: string;
      }
  );

/** The attempt was right, and more is wanted: one of `methods`. */
export interface PartialSuccess {
  readonly outcome: 'partial';
  readonly methods: readonly Method[];
  readonly policy?: VerificationPolicy;
}

/** The client is in. */
export interface Accept {
  readonly outcome: 'accept';
  /** What is demanded of a security key; unless told otherwise, that somebody touched it. Without it: refused. */
  readonly policy?: VerificationPolicy;
}

export interface Refuse {
  readonly outcome: 'refuse';
  /** Shown to the person before the refusal. */
  readonly sentence?: string;
  /** What the client may go on with from now on, if that changes. */
  readonly methods?: readonly Method[];
}

/** The connection ends. */
export interface End {
  readonly outcome: 'end';
  /** For SSH_MSG_DISCONNECT (transport/transport-error.ts). */
  readonly reason: number;
  readonly sentence: string;
}

export type Decision =
  | Accept
  | PartialSuccess
  | Refuse
  | End
  /** For a KeyQuery: a signature of this key would do. */
  | { readonly outcome: 'usable' }
  /** For a PasswordAttempt: the password was right and has expired. */
  | { readonly outcome: 'change_password'; readonly prompt: string };

/** A method that was right. */
export type PassedMethod =
  | { readonly method: 'none' | 'password' | 'keyboard-interactive' }
  | (Pick<KeyAttempt, 'method' | 'verified' | 'hostbound'> & OfferedKey);
