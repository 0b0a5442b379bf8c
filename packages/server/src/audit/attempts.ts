/** Logins by SSH in the audit log, as gateways report them: once each, however often a report comes. */
import type { AttemptRecord } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import { markKeysUsed } from '../ssh-keys/table.ts';
import { wellFormed } from './audit.ts';

/** A key's use is written down once in this time. */
const keyRestMs = 60_000;

/** Also notes the use of keys. What a gateway counted and did not tell one by one is one row with its count. */
export async function recordAttempts(session: Session, records: AttemptRecord[]): Promise<void> {
  if (records.length === 0) return;
  const rows = records.map((record) => ({
    attempt: record.id,
    at: record.at,
    outcome: record.accepted ? 'done' : 'refused',
    account: record.account,
    customer_id: record.customer,
    source: record.source,
    target: record.target,
    detail: {
      way: record.way,
      method: record.method,
      reason: record.reason,
      fingerprint: record.fingerprint,
      client: record.client,
      connection: record.connection,
      user: record.user,
      jumper: record.jumper,
      source_port: record.source_port,
      count: record.count,
    },
  }));
  await sql`
    insert into audit (attempt, at, action, outcome, account, customer_id, source, target, detail)
    select attempt, at, 'ssh.login', outcome, account, customer_id, source, target, detail
    from json_to_recordset(${JSON.stringify(rows, wellFormed)}::json) as r(attempt text, at timestamptz,
      outcome text, account text, customer_id integer, source text, target text, detail jsonb)
    on conflict (attempt) do nothing`.execute(session);
  const uses = records.flatMap(({ accepted, customer, fingerprint, at }) =>
    accepted && customer !== null && fingerprint !== null ? [{ customer_id: customer, fingerprint, at }] : [],
  );
  await markKeysUsed(session, uses, keyRestMs);
}
