/** Ids of attempts and connections, which the server joins its records by. */
import { randomBytes } from 'node:crypto';

/** 32 digits and small letters, never used again. */
export function newId(): string {
  return randomBytes(16).toString('hex');
}
