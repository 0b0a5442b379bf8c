// A server tells its client of all its host keys, and proves that it holds them, so that the client can replace
// old ones in time (OpenSSH's PROTOCOL, section 2.5: hostkeys-00@openssh.com and hostkeys-prove-00@openssh.com).
// Used by connection.ts.

import { KeyError } from '../keys/key-error.ts';
import { parseVerificationKey } from '../keys/verification-key.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { Reader, Writer } from '../wire.ts';

export const announceHostKeys = 'hostkeys-00@openssh.com';
export const proveHostKeys = 'hostkeys-prove-00@openssh.com';

/** Copies. Throws WireError. */
export function readBlobs(reader: Reader): Buffer[] {
  const blobs: Buffer[] = [];
  while (reader.remaining > 0) blobs.push(Buffer.from(reader.string('host key')));
  return blobs;
}

export function formatBlobs(blobs: readonly Uint8Array[]): Buffer {
  const writer = new Writer();
  for (const blob of blobs) writer.string(blob);
  return writer.toBuffer();
}

function signedData(sessionId: Buffer, blob: Uint8Array): Buffer {
  return new Writer().string(proveHostKeys).string(sessionId).string(blob).toBuffer();
}

/** The signatures, in the order of `blobs`; undefined when one of them is not among `keys`, or is there twice. */
export function hostKeyProofs(
  keys: readonly SigningKey[],
  sessionId: Buffer,
  blobs: readonly Buffer[],
): Buffer | undefined {
  const rest = [...keys];
  const signatures: Buffer[] = [];
  for (const blob of blobs) {
    const index = rest.findIndex(({ publicKey }) => publicKey.blob.equals(blob));
    const [key] = index < 0 ? [] : rest.splice(index, 1);
    if (key === undefined) return undefined;
    signatures.push(key.sign(signedData(sessionId, blob)));
  }
  return formatBlobs(signatures);
}

/** Whether `proofs` holds a good signature for each of `blobs`. Throws WireError for damaged proofs. */
export function areHostKeysProven(proofs: Buffer, sessionId: Buffer, blobs: readonly Buffer[]): boolean {
  const signatures = readBlobs(new Reader(proofs));
  if (signatures.length !== blobs.length) return false;
  return blobs.every((blob, index) => isSignedBy(blob, signedData(sessionId, blob), signatures[index]));
}

function isSignedBy(blob: Buffer, data: Buffer, signature: Buffer = Buffer.alloc(0)): boolean {
  const algorithm = new Reader(signature).string('signature algorithm').toString('latin1');
  try {
    return parseVerificationKey(blob).verify(algorithm, data, signature) !== undefined;
  } catch (error) {
    // A key that is damaged, or of a kind that is not accepted.
    if (error instanceof KeyError) return false;
    throw error;
  }
}
