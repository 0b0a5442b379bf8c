/** Compares the password of an environment, and takes the same time where there is none to compare. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from '../secrets/key-ring.ts';
import { passwordPurpose } from '../secrets/sealed-columns.ts';

/** Of an environment that there is not. */
const nobodysId = 'nobody';
const nobodys = new WeakMap<KeyRing, string>();

/**
 * @param sealed null: nothing is right
 * @throws Error when a sealed password does not open; nothing of either password is in it
 */
export function passwordMatches(
  keyRing: KeyRing,
  given: string,
  environment: string,
  sealed: string | null,
): boolean {
  const right = sealed === null ? openNobodys(keyRing) : keyRing.open(sealed, passwordPurpose(environment));
  const isEqual = timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', right, 'buffer'));
  return isEqual && sealed !== null;
}

function openNobodys(keyRing: KeyRing): string {
  const sealed = nobodys.get(keyRing);
  try {
    if (sealed !== undefined) return keyRing.open(sealed, passwordPurpose(nobodysId));
  } catch {
    // The key ring was renewed.
  }
  const plain = randomBytes(12).toString('base64url');
  nobodys.set(keyRing, keyRing.seal(plain, passwordPurpose(nobodysId)));
  return plain;
}
