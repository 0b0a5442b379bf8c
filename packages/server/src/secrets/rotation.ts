/**
 * Renewing the key ring: a new key in front, every sealed value sealed again, then the old keys dropped.
 *
 * The old keys stay in the file until nothing in the database needs them, so that being killed between any two steps
 * loses nothing: the next renewal does all of it again.
 */
import { BerthError } from '@berth/contract';
import type { RotatedSecrets } from '@berth/contract';
import { sql } from 'kysely';
import { audit } from '../audit/audit.ts';
import type { Actor } from '../audit/audit.ts';
import type { Session } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import type { Services } from '../http/app.ts';
import type { KeyRing } from './key-ring.ts';
import { sealedColumns } from './sealed-columns.ts';
import type { SealedColumn } from './sealed-columns.ts';

/** Any number: names the lock among servers that renew. */
const renewalLock = 7_203_553;
const rowsAtOnce = 500;

/** @throws BerthError `request_underway` */
export async function rotateSecrets(
  { database, keyRing, directory }: Pick<Services, 'database' | 'keyRing' | 'directory'>,
  actor: Actor,
): Promise<RotatedSecrets> {
  return database.connection().execute(async (connection) => {
    const { rows } = await sql<{
      locked: boolean;
    }>`select pg_try_advisory_lock(${renewalLock}) as locked`.execute(connection);
    if (rows[0]?.locked !== true)
      throw new BerthError('request_underway', 'The key ring is being renewed just now.');
    try {
      const keyId = keyRing.renew();
      let resealed = 0;
      // What was sealed before the new key and waited for a table until the first pass was over is in the second.
      for (let passes = 1, found = 1; passes <= 2 || found > 0; passes += 1) {
        found = 0;
        // One table at a time: whoever holds one and waits for another would otherwise wait for this, and this for it.
        for (const column of sealedColumns) {
          found += await connection
            .transaction()
            .execute((transaction) => resealColumn(transaction, keyRing, keyId, column));
        }
        resealed += found;
      }
      await audit(connection, actor, { action: 'secrets.rotate', target: keyId, detail: { resealed } });
      await directory.reload(connection);
      await announce(connection, { topic: 'secrets' });
      return { key_id: keyId, resealed, dropped: keyRing.keepOnly(keyId) };
    } finally {
      await sql`select pg_advisory_unlock(${renewalLock})`.execute(connection);
    }
  });
}

/** Nobody else writes to the table meanwhile; reading goes on. @returns how many values were sealed again */
async function resealColumn(
  session: Session,
  keyRing: KeyRing,
  keyId: string,
  { table, column, of, purpose }: SealedColumn,
): Promise<number> {
  await sql`lock table ${sql.table(table)} in share row exclusive mode`.execute(session);
  const parts = sql`array[${sql.join(of.map((each) => sql`${sql.ref(each)}::text`))}]::text[]`;
  for (let count = 0; ;) {
    const { rows } = await sql<{ place: string; sealed: string; parts: string[] }>`
      select ctid::text as place, ${sql.ref(column)} as sealed, ${parts} as parts from ${sql.table(table)}
      where ${sql.ref(column)} is not null and not starts_with(${sql.ref(column)}, ${`${keyId}.`})
      limit ${sql.lit(rowsAtOnce)}`.execute(session);
    if (rows.length === 0) return count;
    const again = rows.map(({ place, sealed, parts: values }) => {
      const bound = purpose(...values);
      return { place, sealed: keyRing.seal(keyRing.open(sealed, bound), bound) };
    });
    await sql`update ${sql.table(table)} t set ${sql.ref(column)} = n.sealed
      from json_to_recordset(${JSON.stringify(again)}::json) as n(place text, sealed text)
      where t.ctid = n.place::tid`.execute(session);
    count += rows.length;
  }
}
