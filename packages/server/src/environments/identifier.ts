/**
 * Environment ids: a slug of the name and four characters, such as `demo-7f3k`.
 *
 * The id names the container, the host name and the volumes, and will be a user name, so it holds only a-z, 0-9 and
 * hyphens, starts with a letter or digit, and is at most 29 characters long (Linux user names end at 32).
 */
import { randomInt } from 'node:crypto';

/** Without 0, 1, l, o, i, u: read aloud and copied by hand without mistakes, and no words by accident. */
const alphabet = '23456789abcdefghjkmnpqrstvwxyz';
const longestSlug = 24;

export function makeEnvironmentId(name: string): string {
  const suffix = Array.from({ length: 4 }, () => alphabet[randomInt(alphabet.length)]).join('');
  return `${slug(name)}-${suffix}`;
}

export function slug(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, longestSlug)
    .replace(/-+$/, '');
  return plain === '' ? 'env' : plain;
}
