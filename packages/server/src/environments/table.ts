/** Queries on environments, those of requests. The reconciler's are in reconciler/table.ts. */
import type { EnvironmentSortKey, Status } from '@berth/contract';
import { sql } from 'kysely';
import type { InferResult, RawBuilder, Updateable } from 'kysely';
import { notify } from '../database/database.ts';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow, EnvironmentsTable, NewEnvironmentRow } from '../database/schema.ts';

const shown = [
  'e.id',
  'e.customer_id',
  'e.name',
  'e.image',
  'e.cpu',
  'e.memory',
  'e.gpu',
  'e.storage',
  'e.exposure',
  'e.own_port',
  'e.sudo',
  'e.username',
  'e.status',
  'e.status_since',
  'e.step',
  'e.failure_code',
  'e.failure_cause',
  'e.failure_cure',
  'e.notes',
  'e.created_at',
  'e.started_at',
  'e.datasets',
  'e.env_var_names',
  'e.running_resources',
  'e.running_exposure',
  'e.forwarding',
  'e.password_login',
  'e.wake',
] as const;

const rows = (session: Session) =>
  session
    .selectFrom('environments as e')
    .select(shown)
    // Subqueries and not joins: they are looked up for the rows of a page only, after these were sorted and counted out.
    .select((e) => [
      e
        .selectFrom('port_mappings as p')
        .select('p.external_port')
        .whereRef('p.env_id', '=', 'e.id')
        .where('p.status', '=', 'active')
        .as('port'),
      e
        .selectFrom('customers as k')
        .select('k.password_login')
        .whereRef('k.id', '=', 'e.customer_id')
        .as('customer_password_login'),
      ...(['password_changed_at', 'password_notice_at'] as const).map((column) =>
        e
          .selectFrom('ssh_credentials as c')
          .select(`c.${column}`)
          .whereRef('c.env_id', '=', 'e.id')
          .as(column),
      ),
    ])
    .where('e.status', '<>', 'deleted');

/** What is shown of a row, with the port that is the environment's now, and what is said of its password. */
export type EnvironmentWithPort = InferResult<ReturnType<typeof rows>>[number];

/** `customerId` null: whoever's. */
export async function findEnvironment(
  session: Session,
  id: string,
  customerId: number | null,
): Promise<EnvironmentWithPort | undefined> {
  let query = rows(session).where('e.id', '=', id);
  if (customerId !== null) query = query.where('e.customer_id', '=', customerId);
  return query.executeTakeFirst();
}

/** Locks the row, so that requests and the reconciler decide one after the other. */
export async function lockEnvironment(
  session: Session,
  id: string,
  customerId: number | null,
): Promise<EnvironmentRow | undefined> {
  let query = session
    .selectFrom('environments')
    .selectAll()
    .where('id', '=', id)
    .where('status', '<>', 'deleted');
  if (customerId !== null) query = query.where('customer_id', '=', customerId);
  return query.forUpdate().executeTakeFirst();
}

/** A column or expression to sort by; `value` as text is what a cursor holds of it, `at` reads that again. */
interface SortKey {
  by: RawBuilder<unknown>;
  value: RawBuilder<string>;
  at(value: string): RawBuilder<unknown>;
}

const micros = (column: RawBuilder<unknown>) =>
  sql<string>`(extract(epoch from ${column}) * 1000000)::bigint`;
const text = (by: RawBuilder<unknown>): SortKey => ({
  by: sql`${by} collate "C"`,
  value: sql`${by}`,
  at: (value) => sql`${value}::text`,
});

const sortKeys: Record<EnvironmentSortKey, SortKey> = {
  created_at: {
    by: sql`e.created_at`,
    value: sql`${micros(sql`e.created_at`)}::text`,
    at: (value) => sql`(timestamptz 'epoch' + ${value}::bigint * interval '1 microsecond')`,
  },
  name: text(sql`lower(e.name)`),
  status: text(sql`e.status`),
  // What never ran comes before what ran first.
  started_at: {
    by: sql`coalesce(${micros(sql`e.started_at`)}, 0)`,
    value: sql`coalesce(${micros(sql`e.started_at`)}, 0)::text`,
    at: (value) => sql`${value}::bigint`,
  },
};

const stamps = [
  'status_since',
  'created_at',
  'started_at',
  'password_changed_at',
  'password_notice_at',
] as const satisfies (keyof EnvironmentWithPort)[];

export interface EnvironmentFilter {
  /** null: everybody's. */
  visibleTo: number | null;
  customerId: number | undefined;
  /** A whole name or id. */
  name: string | undefined;
  /** Part of either. */
  search: string | undefined;
  status: Status | undefined;
  image: string | undefined;
}

export async function listEnvironments(
  session: Session,
  filter: EnvironmentFilter,
  options: {
    sort: EnvironmentSortKey;
    descending: boolean;
    /** Position of the last row of the page before. */
    after: { value: string; id: string } | undefined;
    limit: number;
  },
): Promise<(EnvironmentWithPort & { position: string })[]> {
  const { by, value, at } = sortKeys[options.sort];
  const direction = options.descending ? 'desc' : 'asc';
  let query = rows(session)
    .select(value.as('position'))
    .orderBy(by, direction)
    .orderBy('e.id', direction)
    .limit(options.limit);
  const { visibleTo, customerId, name, search, status, image } = filter;
  if (visibleTo !== null) query = query.where('e.customer_id', '=', visibleTo);
  if (customerId !== undefined) query = query.where('e.customer_id', '=', customerId);
  if (status !== undefined) query = query.where('e.status', '=', status);
  if (image !== undefined) query = query.where('e.image', '=', image);
  if (name !== undefined) query = query.where((e) => e.or([e('e.name', '=', name), e('e.id', '=', name)]));
  if (search !== undefined)
    query = query.where(
      sql<boolean>`position(lower(${search}) in lower(e.name)) + position(lower(${search}) in e.id) > 0`,
    );
  if (options.after !== undefined) {
    const { after, descending } = options;
    const beyond = sql.raw(descending ? '<' : '>');
    query = query.where(sql<boolean>`(${by}, e.id) ${beyond} (${at(after.value)}, ${after.id})`);
  }
  // As one text: the embedded database hands over a hundred rows of thirty columns four times slower than their JSON.
  const { rows: pages } = await sql<{ page: string }>`
    select coalesce(json_agg(t), '[]')::text as page from (${query}) t`.execute(session);
  const found = JSON.parse(pages[0]?.page ?? '[]') as (EnvironmentWithPort & { position: string })[];
  for (const row of found) {
    for (const stamp of stamps) {
      const value = row[stamp] as Date | string | null;
      if (value !== null) Object.assign(row, { [stamp]: new Date(value) });
    }
  }
  return found;
}

export async function insertEnvironment(session: Session, row: NewEnvironmentRow): Promise<void> {
  await session
    .insertInto('environments')
    .values({ ...row, due_at: sql<Date>`now()` })
    .execute();
}

/** Public key lines of the shared port; none as long as no gateway has asked for keys. */
export async function sharedHostKeys(session: Session): Promise<string[]> {
  const rows = await session.selectFrom('gateway_host_keys').select('public_key').orderBy('type').execute();
  return rows.map(({ public_key }) => public_key);
}

export type EnvironmentChange = Updateable<EnvironmentsTable>;

/** Changes what needs no work of the reconciler's: it reads the row when it next starts the environment. */
export async function updateColumns(session: Session, id: string, change: EnvironmentChange): Promise<void> {
  await session.updateTable('environments').set(change).where('id', '=', id).execute();
}

/**
 * Writes down what somebody wants from now on, and wakes the reconciler; a stop with its time, which the next start forgets.
 *
 * @returns the new generation
 */
export async function request(session: Session, id: string, change: EnvironmentChange): Promise<number> {
  const row = await session
    .updateTable('environments')
    .set({
      ...change,
      ...(change.status === undefined ? {} : { status_since: sql<Date>`clock_timestamp()`, step: null }),
      ...(change.wanted === 'stopped' ? { stop_asked_at: sql<Date>`clock_timestamp()` } : {}),
      ...(change.wanted === 'running' ? { stop_asked_at: null } : {}),
      generation: sql<number>`generation + 1`,
      due_at: sql<Date>`now()`,
      attempts: 0,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return row.generation;
}

/** Has the files of credentials written again for each environment of the customer that runs or is about to. */
export async function renewSecrets(session: Session, customerId: number): Promise<void> {
  const changed = await session
    .updateTable('environments')
    .set({ generation: sql<number>`generation + 1`, due_at: sql<Date>`now()` })
    .where('customer_id', '=', customerId)
    .where('wanted', '=', 'running')
    .where('status', '<>', 'failed')
    .returning(['id', 'generation'])
    .execute();
  for (const { id, generation } of changed) await notify(session, JSON.stringify({ id, generation }));
}
