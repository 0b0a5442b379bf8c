/**
 * The key ring: encrypts what Berth must be able to show or use again (environment passwords, host keys, the
 * certificate authority's key) with AES-256-GCM.
 *
 * `secret.key` holds lines `<key id> <base64 of 32 bytes>`; the first encrypts, all decrypt, so that a key can
 * be renewed. A sealed value is `<key id>.<base64url of nonce, ciphertext, tag>`, bound to its purpose (such as
 * `environment-password:demo-7f3k`), so that one row's value cannot be put into another.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readOrMake } from '../data-folder.ts';

const nonceBytes = 12;
const tagBytes = 16;

export class KeyRing {
  readonly #keys: Map<string, Buffer>;
  readonly #current: string;

  private constructor(keys: Map<string, Buffer>, current: string) {
    this.#keys = keys;
    this.#current = current;
  }

  /** @throws Error naming the file and line when it is not a key ring */
  static open(file: string): KeyRing {
    const content = readOrMake(
      file,
      () => `${randomBytes(4).toString('hex')} ${randomBytes(32).toString('base64')}`,
    );
    const keys = new Map<string, Buffer>();
    for (const [index, line] of content.split('\n').entries()) {
      const [id = '', encoded = ''] = line.trim().split(/\s+/);
      const key = Buffer.from(encoded, 'base64');
      if (!/^[0-9a-f]{8}$/.test(id) || key.length !== 32) {
        throw new Error(
          `${file}, line ${index + 1}: not a key; the file holds lines "<8 hex digits> <base64 of 32 bytes>"`,
        );
      }
      keys.set(id, key);
    }
    return new KeyRing(keys, [...keys.keys()][0] ?? '');
  }

  seal(plain: string, purpose: string): string {
    const key = this.#keys.get(this.#current);
    if (key === undefined) throw new Error('the key ring is empty');
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(Buffer.from(purpose));
    const body = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${this.#current}.${body.toString('base64url')}`;
  }

  /** @throws Error when the key is not in the ring, or the value was changed or sealed for another purpose */
  open(sealed: string, purpose: string): string {
    const [id = '', encoded = ''] = sealed.split('.');
    const key = this.#keys.get(id);
    if (key === undefined) {
      throw new Error(
        `a secret was sealed with the key ${id}, which is not in secret.key; put that key back`,
      );
    }
    const body = Buffer.from(encoded, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(purpose));
      decipher.setAuthTag(body.subarray(-tagBytes));
      return (
        decipher.update(body.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8')
      );
    } catch (error) {
      throw new Error(
        `the sealed secret for ${purpose} does not open: it was changed, or belongs elsewhere`,
        { cause: error },
      );
    }
  }
}
