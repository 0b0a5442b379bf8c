/** The reconciler's queries: what is due, who works on it, and how it ended. */
import type { Exposure, Failure, Status } from '@berth/contract';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import type { RunResources } from '../runtime/runtime.ts';

const now = sql<Date>`clock_timestamp()`;

/** Takes up to `limit` due environments, so that no other server works on them for `leaseSeconds`. */
export async function claimDue(
  session: Session,
  owner: string,
  leaseSeconds: number,
  limit: number,
): Promise<EnvironmentRow[]> {
  return session
    .updateTable('environments')
    .set({
      lease_owner: owner,
      lease_until: sql<Date>`now() + make_interval(secs => ${leaseSeconds}::double precision)`,
    })
    .where('id', 'in', (e) =>
      e
        .selectFrom('environments')
        .select('id')
        .where('due_at', '<=', sql<Date>`now()`)
        .where((w) => w.or([w('lease_until', 'is', null), w('lease_until', '<', sql<Date>`now()`)]))
        .orderBy('due_at')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()
    .execute();
}

/** @returns the ids whose leases were still this server's */
export async function renewLeases(
  session: Session,
  owner: string,
  ids: string[],
  leaseSeconds: number,
): Promise<string[]> {
  const renewed = await session
    .updateTable('environments')
    .set({ lease_until: sql<Date>`now() + make_interval(secs => ${leaseSeconds}::double precision)` })
    .where('id', 'in', ids)
    .where('lease_owner', '=', owner)
    .returning('id')
    .execute();
  return renewed.map(({ id }) => id);
}

/** After a crash of this server: what it had taken is free at once. */
export async function dropLeases(session: Session, owner: string): Promise<void> {
  await session
    .updateTable('environments')
    .set({ lease_owner: null, lease_until: null })
    .where('lease_owner', '=', owner)
    .execute();
}

/**
 * The step is shown while it lasts, and its beginning is a line of the timeline; one statement, since it is waited for.
 *
 * @returns whether the work is still this server's and still wanted; a server that stood still may find neither
 */
export async function beginStep(
  session: Session,
  row: EnvironmentRow,
  step: string,
  message: string,
): Promise<boolean> {
  const { rows } = await sql`
    with shown as (
      update environments set step = ${step}
      where id = ${row.id} and generation = ${row.generation} and lease_owner = ${row.lease_owner}
      returning id
    ), line as (
      insert into environment_events (env_id, kind, step, message)
      select id, 'step', ${step}, ${message} from shown
    )
    select pg_notify('berth', ${JSON.stringify({ id: row.id })}) from shown
  `.execute(session);
  return rows.length > 0;
}

/** Whether the work on the row is still this server's and still wanted. */
export async function isOurs(session: Session, row: EnvironmentRow): Promise<boolean> {
  const found = await session
    .selectFrom('environments')
    .select('id')
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .where('lease_owner', '=', row.lease_owner)
    .executeTakeFirst();
  return found !== undefined;
}

/** Whether another server had the row since this one took it, and it was to be deleted. */
export async function wasTakenAndDeleted(session: Session, row: EnvironmentRow): Promise<boolean> {
  const found = await session
    .selectFrom('environments')
    .select('id')
    .where('id', '=', row.id)
    .where('wanted', '=', 'deleted')
    .where('lease_owner', 'is distinct from', row.lease_owner)
    .executeTakeFirst();
  return found !== undefined;
}

/** Whether files are somebody's: of an environment that is there, or kept for one. */
export async function storageIsClaimed(session: Session, storageId: string): Promise<boolean> {
  const found = await session
    .selectFrom('environments')
    .select('id')
    .where('storage_id', '=', storageId)
    .where((e) => e.or([e('status', '<>', 'deleted'), e('storage_kept_since', 'is not', null)]))
    .executeTakeFirst();
  return found !== undefined;
}

/**
 * Ends the work on a row, if nobody has asked for something else meanwhile.
 *
 * @returns whether it was so; if not, the row stays due
 */
export async function settle(
  session: Session,
  row: EnvironmentRow,
  change: {
    status: Status | 'deleted';
    runId?: string | null;
    failure?: Failure;
    notes?: string[];
    runResources?: RunResources | null;
    runExposure?: Exposure | null;
    /** Whether files are kept for another from now on, or no longer. */
    storageKept?: boolean;
  },
): Promise<boolean> {
  const { status, failure } = change;
  const started = status === 'running' ? now : undefined;
  const changed = status !== row.status;
  const result = await session
    .updateTable('environments')
    .set({
      status,
      ...(changed ? { status_since: now } : {}),
      step: null,
      failure_code: failure?.code ?? null,
      failure_cause: failure?.cause ?? null,
      failure_cure: failure?.cure ?? null,
      due_at: null,
      attempts: 0,
      ...(change.runId === undefined ? {} : { run_id: change.runId }),
      ...(change.notes === undefined ? {} : { notes: JSON.stringify(change.notes) }),
      ...(started === undefined
        ? {}
        : { first_started_at: sql<Date>`coalesce(first_started_at, ${started})` }),
      ...(started === undefined || change.runId === undefined || change.runId === row.run_id
        ? {}
        : { started_at: started }),
      ...(change.runResources === undefined ? {} : { running_resources: resourcesOfRun(row, change) }),
      ...(change.runExposure === undefined ? {} : { running_exposure: change.runExposure }),
      ...(change.storageKept === undefined ? {} : { storage_kept_since: change.storageKept ? now : null }),
      ...(status === 'deleted' && changed ? { deleted_at: now, env_vars: null } : {}),
    })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .where('lease_owner', '=', row.lease_owner)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

function resourcesOfRun(
  { storage }: EnvironmentRow,
  { runResources = null }: { runResources?: RunResources | null },
): string | null {
  return runResources && JSON.stringify({ ...runResources, storage });
}

export async function restartDone(session: Session, row: EnvironmentRow): Promise<void> {
  await session
    .updateTable('environments')
    .set({ restart_wanted: false })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .execute();
}

export async function putOff(
  session: Session,
  row: EnvironmentRow,
  pauseMs: number,
  attempts: number,
): Promise<void> {
  await session
    .updateTable('environments')
    .set({ due_at: sql<Date>`now() + make_interval(secs => ${pauseMs / 1000}::double precision)`, attempts })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .execute();
}

export async function release(session: Session, id: string, owner: string): Promise<void> {
  await session
    .updateTable('environments')
    .set({ lease_owner: null, lease_until: null })
    .where('id', '=', id)
    .where('lease_owner', '=', owner)
    .execute();
}

/** Shows that a running environment is not reachable just now and is being brought back. */
export async function showStarting(session: Session, row: EnvironmentRow): Promise<void> {
  await session
    .updateTable('environments')
    .set({ status: 'starting', status_since: now })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .where('status', '=', 'running')
    .execute();
}

/** Has environments looked at. Failed ones stay as they are until somebody asks for something. */
export async function makeDue(session: Session, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await session
    .updateTable('environments')
    .set({ due_at: now })
    .where('id', 'in', ids)
    .where('status', 'not in', ['failed', 'deleted'])
    .where((e) => e.or([e('due_at', 'is', null), e('due_at', '>', now)]))
    .execute();
}

/** Has environments that wait for their next try tried at once: what failed may work again. */
export async function hurry(session: Session): Promise<void> {
  await session
    .updateTable('environments')
    .set({ due_at: now, attempts: 0 })
    .where('due_at', '>', now)
    .execute();
}

/** When there is something to take: a row that is being worked on is not, until its lease has run out. */
export async function nextDue(session: Session): Promise<Date | null> {
  const row = await session
    .selectFrom('environments')
    .select(sql<Date | null>`min(greatest(due_at, lease_until))`.as('due'))
    .where('due_at', 'is not', null)
    .executeTakeFirst();
  return row?.due ?? null;
}

/** Of everything that has something in the runtime: environments, and deleted ones whose files are kept. */
export async function allStates(
  session: Session,
): Promise<Pick<EnvironmentRow, 'id' | 'wanted' | 'status' | 'storage_id'>[]> {
  return session
    .selectFrom('environments')
    .select(['id', 'wanted', 'status', 'storage_id'])
    .where((e) => e.or([e('status', '<>', 'deleted'), e('storage_kept_since', 'is not', null)]))
    .execute();
}

export async function imageReference(session: Session, name: string): Promise<string | undefined> {
  const row = await session
    .selectFrom('images')
    .select('reference')
    .where('name', '=', name)
    .executeTakeFirst();
  return row?.reference;
}
