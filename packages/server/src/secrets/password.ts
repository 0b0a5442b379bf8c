/** Passwords: made, and hashed as crypt(3) for a container or with argon2id for an account. */
import { argon2, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
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

/** `argon2id$v=19$m=19456,t=2,p=1$salt$hash`, the parameters OWASP's password storage sheet names first. */
export async function accountHash(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt);
  return `argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${salt.toString('base64')}$${hash.toString('base64')}`;
}

export async function accountPasswordMatches(password: string, stored: string): Promise<boolean> {
  const [, , , salt = '', hash = ''] = stored.split('$');
  const expected = Buffer.from(hash, 'base64');
  const given = await derive(password, Buffer.from(salt, 'base64'));
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2(
      'argon2id',
      {
        message: password.normalize('NFC'),
        nonce: salt,
        parallelism: 1,
        tagLength: 32,
        memory: memoryKiB,
        passes,
      },
      (error, key) => (error ? reject(error) : resolve(key)),
    );
  });
}
