/**
 * The host keys of the shared port and of the outer session of a jump: made once, by whichever server is first, and
 * the same on every gateway from then on. Read when the control protocol's listener starts.
 */
import { formatPrivateKey, generateSigningKey } from '@berth/ssh';
import type { Database } from '../database/database.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { gatewayHostKeyPurpose } from '../secrets/sealed-columns.ts';

/** First what clients like best. RSA is for those that know nothing else. */
const types = ['ssh-ed25519', 'ssh-rsa'] as const;

/**
 * Makes those that are missing; an RSA key takes a second or more.
 *
 * @returns OpenSSH private key files
 */
export async function gatewayHostKeys(database: Database, keyRing: KeyRing): Promise<string[]> {
  const there = await readKeys(database, keyRing);
  const missing = types.filter((type) => !there.has(type));
  if (missing.length === 0) return [...there.values()];
  const made = await Promise.all(missing.map((type) => generateSigningKey(type)));
  await database
    .insertInto('gateway_host_keys')
    .values(
      made.map(({ type, keyObject, publicKey }) => ({
        type,
        private_key: keyRing.seal(formatPrivateKey(keyObject), gatewayHostKeyPurpose(type)),
        public_key: `${type} ${publicKey.blob.toString('base64')}`,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return [...(await readKeys(database, keyRing)).values()];
}

/** By type, in the order above. */
async function readKeys(database: Database, keyRing: KeyRing): Promise<Map<string, string>> {
  const rows = await database.selectFrom('gateway_host_keys').select(['type', 'private_key']).execute();
  const place = (type: string) => types.findIndex((each) => each === type);
  return new Map(
    rows
      .toSorted((a, b) => place(a.type) - place(b.type))
      .map(({ type, private_key }) => [type, keyRing.open(private_key, gatewayHostKeyPurpose(type))]),
  );
}
