/** Passwords: made, judged, and hashed as crypt(3) for a container or with argon2id for an account. */
import { argon2, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { BerthError } from '@berth/contract';
import pLimit from 'p-limit';
import { encrypt } from 'unixcrypt';

/**
 * The design document's classes, without characters that look alike (0 O, 1 l I) and without those that a shell,
 * a URL or a chat program would change on the way (quotes, backslash, backtick, dollar, ampersand, angle brackets,
 * percent, hash, star, tilde).
 */
const classes = ['ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz', '23456789', '-_=+.,'] as const;
const all = classes.join('');

/** `length` characters (at least 12) from a cryptographic source, at least one of each class; 16 have 95 bits. */
export function makePassword(length = 16): string {
  if (length < 12) throw new RangeError(`a password of ${length} characters is too short; at least 12`);
  for (;;) {
    const password = Array.from({ length }, () => all[randomInt(all.length)]).join('');
    // Drawn again as a whole when a class is missing, so that no place in it is likelier to hold one class.
    const starts = /^[A-Za-z0-9]/.test(password) && /[A-Za-z0-9]$/.test(password);
    if (starts && classes.every((characters) => [...characters].some((each) => password.includes(each)))) {
      return password;
    }
  }
}

export const passwordClasses = ['upper', 'lower', 'digit', 'special'] as const;
export type PasswordClass = (typeof passwordClasses)[number];

/** What a password that a person chooses must keep to; the design document's chapter 7.1 by default. */
export interface PasswordPolicy {
  /** In characters as people count them. */
  passwordMinLength: number;
  /** The kinds of characters of which each must be there. */
  passwordClasses: readonly PasswordClass[];
}

const classPatterns: Record<PasswordClass, [pattern: RegExp, words: string]> = {
  upper: [/\p{Lu}/u, 'a capital letter'],
  lower: [/\p{Ll}/u, 'a small letter'],
  digit: [/\p{Nd}/u, 'a digit'],
  special: [/[^\p{L}\p{M}\p{N}\s]/u, 'a special character'],
};

/** @returns what the password lacks, in words that repeat nothing of it; empty when it is good */
export function passwordFaults(
  { passwordMinLength, passwordClasses: wanted }: PasswordPolicy,
  password: string,
): string[] {
  const text = password.normalize('NFC');
  const length = [...new Intl.Segmenter().segment(text)].length;
  return [
    ...(length < passwordMinLength ? [`it has ${length} of at least ${passwordMinLength} characters`] : []),
    ...wanted
      .map((each) => classPatterns[each])
      .filter(([pattern]) => !pattern.test(text))
      .map(([, words]) => `it lacks ${words}`),
  ];
}

/** @throws BerthError `weak_password` with all that the password lacks */
export function mustBeGoodPassword(policy: PasswordPolicy, password: string, field: string): void {
  const faults = passwordFaults(policy, password);
  if (faults.length === 0) return;
  const wanted = policy.passwordClasses.map((each) => classPatterns[each][1]).join(', ');
  throw new BerthError('weak_password', `${field}: the password does not do: ${faults.join(', ')}.`, {
    field,
    cure: `Choose one of at least ${policy.passwordMinLength} characters${wanted ? ` with ${wanted}` : ''}.`,
  });
}

/**
 * SHA-512-crypt, which every C library's crypt(3) knows, with its default 5,000 rounds: the passwords are random,
 * and each login in the container pays for the rounds.
 */
export function cryptHash(password: string): string {
  return encrypt(password, `$6$${saltCharacters(16)}`);
}

function saltCharacters(length: number): string {
  const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  return Array.from(randomBytes(length), (byte) => alphabet[byte & 63]).join('');
}

const memoryKiB = 19_456;
const passes = 2;

/**
 * Each hash takes 19 MiB and one of the four threads that Node has for files and names too, so that however many
 * people sign in at once, two are hashed at a time and the others wait, as many as a few seconds are enough for.
 */
const hashing = pLimit(2);
const longestQueue = 100;

/** `argon2id$v=19$m=19456,t=2,p=1$salt$hash`, the parameters OWASP's password storage sheet names first. */
export async function accountHash(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt);
  return `argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${salt.toString('base64')}$${hash.toString('base64')}`;
}

/** @param begins called when its turn has come, since what held then decides; it throws to stop it */
export async function accountPasswordMatches(
  password: string,
  stored: string,
  begins?: () => void,
): Promise<boolean> {
  const [, , , salt = '', hash = ''] = stored.split('$');
  const expected = Buffer.from(hash, 'base64');
  const given = await derive(password, Buffer.from(salt, 'base64'), begins);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** @throws BerthError `unavailable` when too many wait already */
async function derive(password: string, salt: Buffer, begins?: () => void): Promise<Buffer> {
  if (hashing.pendingCount >= longestQueue)
    throw new BerthError('unavailable', 'Too many passwords are being checked at once.');
  return hashing(() => {
    begins?.();
    const parameters = {
      message: password.normalize('NFC'),
      nonce: salt,
      parallelism: 1,
      tagLength: 32,
      memory: memoryKiB,
      passes,
    };
    return new Promise<Buffer>((resolve, reject) => {
      argon2('argon2id', parameters, (error, key) => (error ? reject(error) : resolve(key)));
    });
  });
}
