/** What the console's pages need: indexes of the list's orders, what environments have used, how far a pull is. */
import { sql } from 'kysely';
import type { Session } from '../database.ts';

const statements = [
  // With 5,000 environments a page in either order takes 3.4 ms instead of 10, of which 3 are the page's own.
  `create index environments_by_name on environments (lower(name) collate "C", id) where status <> 'deleted'`,
  `create index environments_by_status_since on environments (status_since, id) where status <> 'deleted'`,

  // A row a minute for each environment that runs, kept for a day. at: the minute's beginning. Rates are a second's, and
  // means; what is held is the most of it.
  `create table environment_usage (
    env_id text not null,
    at timestamptz not null,
    cpu_cores real not null,
    memory_bytes bigint not null,
    gpu_share real,
    gpu_memory_bytes bigint,
    disk_bytes bigint,
    network_in_bytes real,
    network_out_bytes real,
    primary key (env_id, at)
  )`,

  // How far its step is, where that is known.
  `alter table environments add column step_percent smallint`,
];

export async function up(session: Session): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(session);
}
