/**
 * The key ring: encrypts what Berth must be able to show or use again (environment passwords, host keys, the
 * certificate authority's key) with AES-256-GCM.
 *
 * `secret.key` holds lines `<key id> <base64 of 32 bytes>`; the first encrypts, all decrypt, so that a key can
 * be renewed. A sealed value is `<key id>.<base64url of nonce, ciphertext, tag>`, bound to its purpose (such as
 * `environment-password:demo-7f3k`), so that one row's value cannot be put into another.
 *
 * The file is read again when it has changed: another server of the same installation may have renewed it.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { readOrMake, writeFileWhole } from '../data-folder.ts';

const nonceBytes = 12;
const tagBytes = 16;

type Keys = ReadonlyMap<string, Buffer>;

export class KeyRing {
  readonly #file: string;
  #keys: Keys;
  #seen: string;

  private constructor(file: string, content: string) {
    this.#file = file;
    this.#keys = parseKeys(content, file);
    this.#seen = stampOf(file);
  }

  /** @throws Error naming the file and line when it is not a key ring */
  static open(file: string): KeyRing {
    return new KeyRing(file, readOrMake(file, newLine));
  }

  /** The key ring's lines, as a backup carries them. */
  get lines(): string {
    this.#readAgain();
    return linesOf(this.#keys);
  }

  get currentId(): string {
    this.#readAgain();
    return [...this.#keys.keys()][0] ?? '';
  }

  /**
   * Adds another ring's keys behind this one's own.
   *
   * @throws Error naming the line when that is not a key ring
   */
  add(lines: string): void {
    this.#readAgain();
    this.#write(new Map([...this.#keys, ...parseKeys(lines, 'the key ring'), ...this.#keys]));
  }

  /** Puts a new key in front: it seals from now on, the others go on opening. @returns its id */
  renew(): string {
    this.#readAgain();
    this.#write(new Map([...parseKeys(newLine(), this.#file), ...this.#keys]));
    return this.currentId;
  }

  /** @returns the ids of the keys that were dropped */
  keepOnly(id: string): string[] {
    this.#readAgain();
    const dropped = [...this.#keys.keys()].filter((each) => each !== id);
    this.#write(new Map([...this.#keys].filter(([each]) => each === id)));
    return dropped;
  }

  #write(keys: Keys): void {
    writeFileWhole(this.#file, `${linesOf(keys)}\n`, 0o600);
    this.#readAgain();
  }

  /** Keeps what it has when the file is away. */
  #readAgain(): void {
    const stamp = stampOf(this.#file);
    if (stamp === this.#seen || stamp === '') return;
    this.#keys = parseKeys(readFileSync(this.#file, 'utf8').trim(), this.#file);
    this.#seen = stamp;
  }

  seal(plain: string, purpose: string): string {
    const id = this.currentId;
    const key = this.#keys.get(id);
    if (key === undefined) throw new Error('the key ring is empty');
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(Buffer.from(purpose));
    const body = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${id}.${body.toString('base64url')}`;
  }

  /** @throws Error when the key is not in the ring, or the value was changed or sealed for another purpose */
  open(sealed: string, purpose: string): string {
    const id = idOf(sealed);
    if (!this.#keys.has(id)) this.#readAgain();
    return unseal(this.#keys, sealed, purpose);
  }
}

/** Whether a key ring of which only the lines are at hand opens a value. */
export function linesOpen(lines: string, sealed: string, purpose: string): boolean {
  try {
    unseal(parseKeys(lines, 'the key ring'), sealed, purpose);
    return true;
  } catch {
    return false;
  }
}

function idOf(sealed: string): string {
  return sealed.split('.')[0] ?? '';
}

/** @throws Error when the key is not in the ring, or the value was changed or sealed for another purpose */
function unseal(keys: Keys, sealed: string, purpose: string): string {
  const key = keys.get(idOf(sealed));
  if (key === undefined) {
    throw new Error(
      `a secret was sealed with the key ${idOf(sealed)}, which is not in secret.key; put that key back`,
    );
  }
  const body = Buffer.from(sealed.split('.')[1] ?? '', 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, nonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(Buffer.from(purpose));
    decipher.setAuthTag(body.subarray(-tagBytes));
    return decipher.update(body.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8');
  } catch (error) {
    throw new Error(`the sealed secret for ${purpose} does not open: it was changed, or belongs elsewhere`, {
      cause: error,
    });
  }
}

function newLine(): string {
  return `${randomBytes(4).toString('hex')} ${randomBytes(32).toString('base64')}`;
}

function linesOf(keys: Keys): string {
  return [...keys].map(([id, key]) => `${id} ${key.toString('base64')}`).join('\n');
}

/** @throws Error naming the place and line when it is not a key ring */
function parseKeys(content: string, place: string): Keys {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of content.split('\n').entries()) {
    const [id = '', encoded = ''] = line.trim().split(/\s+/);
    const key = Buffer.from(encoded, 'base64');
    if (!/^[0-9a-f]{8}$/.test(id) || key.length !== 32) {
      throw new Error(
        `${place}, line ${index + 1}: not a key; the file holds lines "<8 hex digits> <base64 of 32 bytes>"`,
      );
    }
    keys.set(id, key);
  }
  return keys;
}

/** Changes whenever the file is replaced or written; empty when it is not there. */
function stampOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino} ${found.mtimeNs} ${found.size}`;
}
