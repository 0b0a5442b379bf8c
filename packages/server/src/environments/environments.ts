/**
 * The rules of environments: what may be asked in which state, and what is written down for it.
 *
 * A request writes what is wanted, the port, the credentials and a line of the timeline in one transaction and then
 * answers; the reconciler makes it so.
 */
import { BerthError, defaultResources } from '@berth/contract';
import type { CreatedEnvironment, CreateEnvironment, Environment, SshAccess, Status } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import {
  insertCredentials,
  newPassword,
  plainPassword,
  readCredentials,
  updatePassword,
} from '../credentials/credentials.ts';
import type { Session } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { addEvents } from '../events/events.ts';
import type { NewEvent } from '../events/events.ts';
import type { Services } from '../http/app.ts';
import { givePort } from '../ports/ports.ts';
import { activePort, releaseMapping } from '../ports/table.ts';
import { makeEnvironmentId } from './identifier.ts';
import { presentEnvironment, presentSsh } from './present.ts';
import {
  findEnvironment,
  idExists,
  insertEnvironment,
  listEnvironments,
  lockEnvironment,
  request,
} from './table.ts';

const defaultImage = 'default';
const username = 'developer';

/** @throws BerthError `unknown_image`, `name_taken`, `ports_exhausted` */
export async function createEnvironment(
  services: Services,
  principal: Principal,
  input: CreateEnvironment,
): Promise<CreatedEnvironment> {
  const { database, runtime, settings, keyRing } = services;
  const name = input.name.normalize('NFC').trim();
  if (name === '')
    throw new BerthError('bad_request', 'name: must hold more than spaces.', { field: 'name' });
  const image = input.image ?? defaultImage;
  const { own_port = 'auto', sudo = true } = input;
  const resources = { ...defaultResources, ...input.resources };

  const password = newPassword(settings);

  const id = await database.transaction().execute(async (transaction) => {
    await mustBeKnownImage(transaction, image);
    await lockCustomer(transaction, principal.customerId);
    await mustBeFreeName(transaction, principal.customerId, name);
    const id = await freshId(transaction, name);
    await insertEnvironment(transaction, {
      id,
      customer_id: principal.customerId,
      name,
      image,
      ...resources,
      exposure: settings.exposure,
      own_port,
      sudo,
      username,
      storage_id: id,
      wanted: 'running',
      status: 'creating',
    });
    const events: NewEvent[] = [
      { kind: 'request', message: `${principal.account} asked for it.`, status: 'creating' },
    ];
    // Port first: the answer names it.
    const environment = { id, customer_id: principal.customerId, own_port };
    events.push(...(await givePort(transaction, runtime, settings, environment)).events);
    await insertCredentials(transaction, keyRing, id, password);
    await addEvents(transaction, id, events, 1);
    return id;
  });
  return { ...(await getEnvironment(services, principal, id)), ssh_password: password.plain };
}

export async function listMine(
  { database, addresses }: Services,
  principal: Principal,
  query: { limit?: number; cursor?: string; name?: string; status?: Status },
): Promise<{ items: Environment[]; next_cursor: string | null }> {
  const { limit = 100 } = query;
  const rows = await listEnvironments(database, {
    customerId: visibleCustomer(principal),
    name: query.name,
    status: query.status,
    after: query.cursor === undefined ? undefined : readCursor(query.cursor),
    limit: limit + 1,
  });
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).map((row) => presentEnvironment(row, addresses)),
    next_cursor: last ? Buffer.from(`${last.created_micros} ${last.id}`).toString('base64url') : null,
  };
}

/** @throws BerthError `not_found` */
export async function getEnvironment(
  { database, addresses }: Services,
  principal: Principal,
  id: string,
): Promise<Environment> {
  const row = await findEnvironment(database, id, visibleCustomer(principal));
  if (!row) throw noSuchEnvironment(id);
  return presentEnvironment(row, addresses);
}

/** @throws BerthError `not_found`, `wrong_state` */
export async function startEnvironment(
  services: Services,
  principal: Principal,
  id: string,
): Promise<Environment> {
  return change(services, principal, id, async (row, session) => {
    if (row.wanted === 'running' && row.status !== 'failed') return [];
    const events: NewEvent[] = [];
    if ((await activePort(session, id)) === null)
      events.push(...(await givePort(session, services.runtime, services.settings, row)).events);
    const status = row.first_started_at === null ? 'creating' : 'starting';
    return [{ wanted: 'running', status }, 'start', events];
  });
}

/** @throws BerthError `not_found`, `wrong_state` */
export async function stopEnvironment(
  services: Services,
  principal: Principal,
  id: string,
): Promise<Environment> {
  return change(services, principal, id, (row) =>
    row.wanted === 'stopped' || row.status === 'failed'
      ? []
      : [{ wanted: 'stopped', status: 'stopping', restart_wanted: false }, 'stop', []],
  );
}

/** @throws BerthError `not_found`, `wrong_state` */
export async function restartEnvironment(
  services: Services,
  principal: Principal,
  id: string,
): Promise<Environment> {
  return change(services, principal, id, (row) => {
    if (row.status !== 'running' && row.status !== 'restarting') {
      throw new BerthError(
        'wrong_state',
        `The environment ${id} is ${row.status}; only a running one can be restarted.`,
        {
          cure:
            row.status === 'stopped' || row.status === 'failed'
              ? 'Start it instead.'
              : 'Wait until it is running.',
        },
      );
    }
    return [{ status: 'restarting', restart_wanted: true }, 'restart', []];
  });
}

/** @throws BerthError `not_found` */
export async function deleteEnvironment(
  services: Services,
  principal: Principal,
  id: string,
): Promise<Environment> {
  return change(
    services,
    principal,
    id,
    (row) =>
      row.wanted === 'deleted'
        ? []
        : [{ wanted: 'deleted', status: 'deleting', restart_wanted: false }, 'delete', []],
    { alsoWhileDeleting: true },
  );
}

/** @throws BerthError `not_found` */
export async function sshAccess(
  { database, addresses, keyRing }: Services,
  principal: Principal,
  id: string,
): Promise<SshAccess> {
  const row = await findEnvironment(database, id, visibleCustomer(principal));
  if (!row) throw noSuchEnvironment(id);
  const credentials = await readCredentials(database, id);
  return presentSsh(row, credentials, plainPassword(keyRing, credentials), addresses);
}

/** The old password opens no new connection within two seconds. @throws BerthError `not_found`, `wrong_state` */
export async function resetPassword(
  services: Services,
  principal: Principal,
  id: string,
): Promise<{ ssh_password: string }> {
  const password = newPassword(services.settings);
  await change(services, principal, id, async (_row, session) => {
    await updatePassword(session, services.keyRing, id, password);
    return [{}, 'new password', []];
  });
  return { ssh_password: password.plain };
}

type Decision = [] | [Parameters<typeof request>[2], asked: string, events: NewEvent[]];

/** One request on one environment: locks the row, decides, writes what is wanted and the timeline. */
async function change(
  services: Services,
  principal: Principal,
  id: string,
  decide: (row: EnvironmentRow, session: Session) => Decision | Promise<Decision>,
  options: { alsoWhileDeleting?: boolean } = {},
): Promise<Environment> {
  return services.database.transaction().execute(async (transaction) => {
    const row = await lockEnvironment(transaction, id, visibleCustomer(principal));
    if (!row) throw noSuchEnvironment(id);
    if (row.wanted === 'deleted' && options.alsoWhileDeleting !== true) {
      throw new BerthError('wrong_state', `The environment ${id} is being deleted.`, {
        cure: 'Create a new one.',
      });
    }
    const [wanted, asked, events] = await decide(row, transaction);
    if (wanted !== undefined) {
      const generation = await request(transaction, id, wanted);
      const line: NewEvent = { kind: 'request', message: `${principal.account} asked: ${asked}.` };
      if (wanted.status !== undefined) line.status = wanted.status as Status;
      await addEvents(transaction, id, [line, ...(events ?? [])], generation);
    }
    // Read before others can go on: what is asked for may be done, or gone, right after.
    return getEnvironment({ ...services, database: transaction }, principal, id);
  });
}

function noSuchEnvironment(id: string): BerthError {
  return new BerthError('not_found', `There is no environment ${JSON.stringify(id)}.`);
}

async function mustBeKnownImage(session: Session, name: string): Promise<void> {
  const images = await session.selectFrom('images').select('name').orderBy('name').execute();
  if (images.some((image) => image.name === name)) return;
  const known = images.map((image) => image.name).join(', ');
  throw new BerthError(
    'unknown_image',
    `image: there is no image ${JSON.stringify(name)}; there ${known ? `are: ${known}` : 'are none'}.`,
    {
      field: 'image',
      ...(known ? {} : { cure: 'Start Berth with "npx berth up", which builds the environment image.' }),
    },
  );
}

/** Names and, later, quotas of one customer are checked one request after the other. */
async function lockCustomer(session: Session, customerId: number): Promise<void> {
  await session.selectFrom('customers').select('id').where('id', '=', customerId).forUpdate().execute();
}

async function mustBeFreeName(session: Session, customerId: number, name: string): Promise<void> {
  const holder = await session
    .selectFrom('environments')
    .select('id')
    .where('customer_id', '=', customerId)
    .where('name', '=', name)
    .where('status', '<>', 'deleted')
    .executeTakeFirst();
  if (holder)
    throw new BerthError('name_taken', `name: ${JSON.stringify(name)} is the name of ${holder.id}.`, {
      field: 'name',
    });
}

async function freshId(session: Session, name: string): Promise<string> {
  for (;;) {
    const id = makeEnvironmentId(name);
    if (!(await idExists(session, id))) return id;
  }
}

function readCursor(cursor: string): { createdAt: string; id: string } {
  const [, createdAt, id] =
    /^(\d{1,18}) ([a-z0-9-]{1,41})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? [];
  if (createdAt === undefined || id === undefined) {
    throw new BerthError(
      'bad_request',
      `cursor: ${JSON.stringify(cursor)} is not a next_cursor of this list.`,
      { field: 'cursor' },
    );
  }
  return { createdAt, id };
}

/** Used by the reconciler as well: the port goes back, with a line in the timeline. */
export async function releasePort(session: Session, id: string): Promise<NewEvent[]> {
  const port = await releaseMapping(session, id);
  return port === undefined ? [] : [{ kind: 'port', message: `Port ${port} was released.` }];
}
