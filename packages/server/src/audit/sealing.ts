/**
 * Sealing: each second, what the audit log has gained becomes a link of a hash chain, so that nobody can change,
 * remove or slip in a record unseen. server.ts starts it; docs/audit.md describes the chain.
 *
 * It reads what is committed and never keeps anybody waiting: a row that commits late, with a smaller id than some
 * that are sealed, stands in a later link. Of several servers the one that has the lock seals.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database, Session } from '../database/database.ts';
import { LinkHash, firstHash, sealedColumns } from './canonical.ts';
import type { SealedFields } from './canonical.ts';

/** Any number: names the lock among servers that seal. */
const sealingLock = 7_203_556;
const everyMs = 1000;
/** Rows of a link: bounds the memory, and how long the embedded database's one session is taken. */
const mostRows = 2000;

/** @returns a function that ends it, when the last rows are sealed */
export function startSealing(database: Database, logger: Logger): () => Promise<void> {
  let work = Promise.resolve();
  let isAtWork = false;
  const turn = () => {
    if (isAtWork) return;
    isAtWork = true;
    work = seal(database)
      .catch((error: Error) =>
        logger.warn({ error: error.message }, 'the audit log could not be sealed; trying again'),
      )
      .finally(() => (isAtWork = false));
  };
  const timer = setInterval(turn, everyMs);
  turn();
  return async () => {
    clearInterval(timer);
    await work;
    turn();
    await work;
  };
}

/** Seals all rows without a link; nothing happens while another server does. */
export async function seal(database: Database): Promise<void> {
  const isWaiting = () =>
    sql<{ waiting: boolean }>`select exists (select from audit where seal_id is null) as waiting`
      .execute(database)
      .then(({ rows }) => rows[0]?.waiting === true);
  while (await isWaiting()) {
    if (!(await database.transaction().execute(sealOnce))) return;
  }
}

/** @returns false when another server has the lock */
async function sealOnce(session: Session): Promise<boolean> {
  const { rows: locks } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(${sealingLock}) as locked`.execute(session);
  if (locks[0]?.locked !== true) return false;
  const { rows } = await sql<SealedFields>`
    select ${sealedColumns} from audit where seal_id is null order by id limit ${sql.lit(mostRows)}`.execute(
    session,
  );
  const ids = rows.map(({ id }) => id);
  const [first, last] = [ids[0], ids.at(-1)];
  if (first === undefined || last === undefined) return true;
  const before = await session
    .selectFrom('audit_seals')
    .select(['id', 'hash'])
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  const hash = new LinkHash(before?.hash ?? firstHash);
  const digests = rows.map((row) => hash.add(row));
  const id = (before?.id ?? 0) + 1;
  await session
    .insertInto('audit_seals')
    .values({
      id,
      rows: rows.length,
      first_id: first,
      last_id: last,
      hash: hash.digest(),
      row_ids: ids,
      row_digests: Buffer.concat(digests),
    })
    .execute();
  await sql`update audit set seal_id = ${id} where id = any(${ids}::bigint[])`.execute(session);
  return true;
}
