/**
 * The timeline of an environment: what was asked, what Berth did, what went wrong, each line with its time.
 *
 * Each line is announced to every server when its transaction commits, so that whoever follows the timeline sees it.
 */
import type { EnvironmentEvent, EventKind, ListEvents, Status } from '@berth/contract';
import { sql } from 'kysely';
import { notify } from '../database/database.ts';
import type { Session } from '../database/database.ts';
import type { EventRow } from '../database/schema.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';

export interface NewEvent {
  kind: EventKind;
  message: string;
  step?: string;
  status?: Status;
}

/** What travels with a notification. `generation` only with a request, which ends work for older ones. */
export interface EnvironmentNotice {
  id: string;
  generation?: number;
}

export async function addEvents(
  session: Session,
  id: string,
  events: NewEvent[],
  generation?: number,
): Promise<void> {
  await session
    .insertInto('environment_events')
    .values(
      events.map(({ kind, message, step, status }) => ({
        env_id: id,
        kind,
        message,
        step: step ?? null,
        status: status ?? null,
      })),
    )
    .execute();
  await notify(
    session,
    JSON.stringify({ id, ...(generation === undefined ? {} : { generation }) } satisfies EnvironmentNotice),
  );
}

/** Lines after one of them, first to last. */
export async function listEvents(
  session: Session,
  id: string,
  options: { after: number; limit: number },
): Promise<EventRow[]> {
  return session
    .selectFrom('environment_events')
    .selectAll()
    .where('env_id', '=', id)
    .where('id', '>', Math.min(options.after, Number.MAX_SAFE_INTEGER))
    .orderBy('id')
    .limit(options.limit)
    .execute();
}

export async function lastEvent(session: Session, id: string): Promise<EventRow | undefined> {
  return session
    .selectFrom('environment_events')
    .selectAll()
    .where('env_id', '=', id)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** @throws BerthError `bad_request` when the cursor is none */
export async function pageOfEvents(
  session: Session,
  id: string,
  { limit = 200, cursor, after, kind, search, sort = 'at' }: ListEvents,
): Promise<Page<EnvironmentEvent>> {
  const last = readCursor(cursor, ['number'])?.[0];
  let query = session
    .selectFrom('environment_events')
    .selectAll()
    .where('env_id', '=', id)
    .orderBy('id', sort === 'at' ? 'asc' : 'desc')
    .limit(limit + 1);
  if (typeof last === 'number') query = query.where('id', sort === 'at' ? '>' : '<', last);
  if (after !== undefined) query = query.where('id', '>', Math.min(after, Number.MAX_SAFE_INTEGER));
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (search !== undefined)
    query = query.where(sql<boolean>`position(lower(${search}) in lower(message)) > 0`);
  return pageOf(await query.execute(), limit, (row) => [row.id], presentEvent);
}

export function presentEvent(row: EventRow): EnvironmentEvent {
  const { id, at, kind, step, message, status } = row;
  return { id, at: at.toISOString(), kind, step, message, status };
}
