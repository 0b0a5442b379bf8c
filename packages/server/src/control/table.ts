/**
 * What the directory reads of the database: everything, or the entries that a notice named. Each is one query, and the
 * answer one text: the embedded database hands over many rows of many columns four times slower than their JSON.
 */
import type { Exposure, Forwarding, Status } from '@berth/contract';
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { Session } from '../database/database.ts';

export interface EnvironmentFacts {
  id: string;
  customer_id: number;
  username: string;
  status: Status;
  wanted: 'running' | 'stopped';
  exposure: Exposure;
  running_exposure: Exposure | null;
  run_id: string | null;
  port: number | null;
  password_login: boolean;
  wake: boolean;
  forwarding: Forwarding;
  stop_asked_at: string | null;
  password: string;
  host_key: string;
  host_key_public: string;
  allowlist: string[];
}

export interface CustomerFacts {
  id: number;
  password_login: boolean;
  allowlist: string[];
  keys: { fingerprint: string; name: string; account: string; public_key: string }[];
  authorities: { fingerprint: string; name: string; public_key: string }[];
  /** Base64; null: nothing is revoked. */
  revocations: string | null;
}

export interface AccountFacts {
  id: number;
  name: string;
  customer_id: number;
}

/** A pair, or of bans a source, that nothing gets in from. */
export interface LockoutFacts {
  target: string;
  source: string;
  until: string;
}

/** `ids` null: all. What is being deleted is not there. */
export async function readEnvironments(session: Session, ids: string[] | null): Promise<EnvironmentFacts[]> {
  return facts(
    session,
    sql`select e.id, e.customer_id, e.username, e.status, e.wanted, e.exposure, e.running_exposure, e.run_id,
        e.password_login, e.wake, e.forwarding, e.stop_asked_at, c.password, c.host_key, c.host_key_public,
        (select p.external_port from port_mappings p where p.env_id = e.id and p.status = 'active') as port,
        coalesce((select json_agg(a.network order by a.id) from allowlist_entries a where a.env_id = e.id), '[]')
          as allowlist
      from environments e join ssh_credentials c on c.env_id = e.id
      where e.status not in ('deleting', 'deleted') and e.wanted <> 'deleted' ${among('e.id', ids, 'text')}`,
  );
}

export async function readCustomers(session: Session, ids: number[] | null): Promise<CustomerFacts[]> {
  return facts(
    session,
    sql`select c.id, c.password_login,
        coalesce((select json_agg(a.network order by a.id) from allowlist_entries a
          where a.customer_id = c.id and a.env_id is null), '[]') as allowlist,
        coalesce((select json_agg(json_build_object('fingerprint', k.fingerprint, 'name', k.name,
            'account', o.name, 'public_key', k.public_key) order by k.id)
          from ssh_keys k join accounts o on o.id = k.account_id where k.customer_id = c.id), '[]') as keys,
        coalesce((select json_agg(json_build_object('fingerprint', s.fingerprint, 'name', s.name,
            'public_key', s.public_key) order by s.id)
          from ssh_authorities s where s.customer_id = c.id), '[]') as authorities,
        (select encode(r.list, 'base64') from ssh_revocations r where r.customer_id = c.id) as revocations
      from customers c where c.deleted_at is null ${among('c.id', ids, 'integer')}`,
  );
}

/** Those of the names, and those of the customers. */
export async function readAccounts(
  session: Session,
  which: { names: string[]; customers: number[] } | null,
): Promise<AccountFacts[]> {
  const some =
    which &&
    sql`where name = any(${which.names}::text[]) or customer_id = any(${which.customers}::integer[])`;
  return facts(session, sql`select id, name, customer_id from accounts ${some ?? sql``}`);
}

export async function readLockouts(
  session: Session,
  pairs: { target: string; source: string }[] | null,
): Promise<LockoutFacts[]> {
  const some =
    pairs &&
    sql`and (target, source) in (select * from unnest(
      ${pairs.map(({ target }) => target)}::text[], ${pairs.map(({ source }) => source)}::text[]))`;
  return facts(
    session,
    sql`select target, source, until from lockouts
      where cleared_at is null and until > now() ${some ?? sql``}`,
  );
}

export async function readBans(
  session: Session,
  sources: string[] | null,
): Promise<Omit<LockoutFacts, 'target'>[]> {
  return facts(
    session,
    sql`select source, until from bans
      where cleared_at is null and until > now() ${among('source', sources, 'text')}`,
  );
}

/** How an environment stands, for whoever waits for it. */
export interface Standing {
  status: Status;
  wanted: 'running' | 'stopped';
  failure_cause: string | null;
  failure_cure: string | null;
}

/** @returns undefined when it is deleted, or about to be */
export async function readStanding(session: Session, id: string): Promise<Standing | undefined> {
  const row = await session
    .selectFrom('environments')
    .select(['status', 'wanted', 'failure_cause', 'failure_cure'])
    .where('id', '=', id)
    .where('wanted', '<>', 'deleted')
    .where('status', '<>', 'deleted')
    .executeTakeFirst();
  return row as Standing | undefined;
}

function among(column: string, values: unknown[] | null, type: 'text' | 'integer'): RawBuilder<unknown> {
  return values === null ? sql`` : sql`and ${sql.ref(column)} = any(${values}::${sql.raw(type)}[])`;
}

async function facts<Fact>(session: Session, query: RawBuilder<unknown>): Promise<Fact[]> {
  const { rows } = await sql<{ all: string }>`
    select coalesce(json_agg(t), '[]')::text as all from (${query}) t`.execute(session);
  return JSON.parse(rows[0]?.all ?? '[]') as Fact[];
}
