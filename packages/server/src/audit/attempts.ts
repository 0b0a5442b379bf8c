/**
 * Attempts to log in, as the gateways tell of them: many rows of the audit log in one statement. A record that comes
 * twice stands there once. POST /control/records calls it, and tells the auth log and the metrics of what was new.
 */
import type { AttemptRecord } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import { wellFormed } from './audit.ts';

const loginAction = 'ssh.login';

/** An attempt that was not known before. */
export interface NewAttempt extends AttemptRecord {
  /** Of a key that Berth knows, such as `ssh-ed25519`. */
  keyType: string | null;
}

/**
 * A moment in the future is a gateway's clock that is wrong; now is written instead.
 *
 * @returns those that were new, in the order in which they came
 */
export async function recordAttempts(session: Session, records: AttemptRecord[]): Promise<NewAttempt[]> {
  if (records.length === 0) return [];
  const rows = records.map((record) => ({
    attempt: record.id,
    at: record.at,
    outcome: record.accepted ? 'done' : 'refused',
    account: record.account,
    customer_id: record.customer,
    source: record.source,
    target: record.target,
    detail: detailOf(record),
  }));
  const { rows: written } = await sql<{ attempt: string }>`
    insert into audit (attempt, at, action, outcome, account, customer_id, source, target, detail)
    select attempt, least(at, clock_timestamp()), ${loginAction}, outcome, account, customer_id, source, target, detail
    from jsonb_to_recordset(${JSON.stringify(rows, wellFormed)}::jsonb) as given (attempt text, at timestamptz,
      outcome text, account text, customer_id integer, source text, target text, detail jsonb)
    on conflict (attempt) do nothing
    returning attempt`.execute(session);
  const unseen = new Set(written.map(({ attempt }) => attempt));
  const fresh = records.filter(({ id }) => unseen.delete(id));
  const types = await typesOf(session, fresh);
  return fresh.map((record) => Object.assign(record, { keyType: types.get(record.fingerprint) ?? null }));
}

async function typesOf(session: Session, records: AttemptRecord[]): Promise<Map<string | null, string>> {
  const shown = [...new Set(records.map(({ fingerprint }) => fingerprint).filter((each) => each !== null))];
  if (shown.length === 0) return new Map();
  const keys = await session
    .selectFrom('ssh_keys')
    .select(['fingerprint', 'type'])
    .where('fingerprint', 'in', shown)
    .execute();
  return new Map(keys.map(({ fingerprint, type }) => [fingerprint, type]));
}

function detailOf(record: AttemptRecord): Record<string, unknown> {
  const { way, method, reason, fingerprint, client, connection, user, jumper, source_port, count } = record;
  return { way, method, reason, fingerprint, client, connection, user, jumper, source_port, count };
}
