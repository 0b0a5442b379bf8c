/**
 * The rules of environments: what may be asked in which state, and what is written down for it.
 *
 * A request writes what is wanted, the port, the credentials and a line of the timeline in one transaction and then
 * answers; the reconciler makes it so.
 */
import { BerthError, defaultResources, everythingForwarded } from '@berth/contract';
import type {
  CreatedEnvironment,
  CreateEnvironment,
  Environment,
  EnvironmentSortKey,
  ListEnvironments,
  Resources,
  SshAccess,
  StartEnvironment,
  Status,
  UpdateEnvironment,
} from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import {
  insertCredentials,
  newPassword,
  plainPassword,
  readCredentials,
  updatePassword,
} from '../credentials/credentials.ts';
import { cutConnections, cutPasswordLogins, passwordsOffSentence } from '../connections/end.ts';
import { lockCustomer } from '../customers/table.ts';
import type { Session } from '../database/database.ts';
import { datasetsFor } from '../datasets/table.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { addEvents } from '../events/events.ts';
import type { NewEvent } from '../events/events.ts';
import type { Services } from '../http/app.ts';
import { pageOf, readCursor, strangeCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import type { Remember } from '../http/repeatable.ts';
import { defaultImage, imageForNew } from '../images/images.ts';
import { claimLoginName } from '../login-names/table.ts';
import { givePort } from '../ports/ports.ts';
import { activePort, releaseMapping } from '../ports/table.ts';
import { mustFit } from '../quotas/quotas.ts';
import { storageFor } from '../storage/storage.ts';
import { handOver } from '../storage/table.ts';
import { makeEnvironmentId } from './identifier.ts';
import { presentEnvironment, presentSsh } from './present.ts';
import { areEqual, inWords, resourcesOf, resourcesOfNextRun } from './resources.ts';
import {
  findEnvironment,
  insertEnvironment,
  listEnvironments,
  lockEnvironment,
  request,
  sharedHostKeys,
  updateColumns,
} from './table.ts';
import type { EnvironmentChange } from './table.ts';
import { accessInWords } from './access.ts';
import { changeVariables, openVariables, sealVariables } from './variables.ts';

/**
 * @param remember called in the transaction that makes it, so that a repeated request finds the answer if, and only
 *   if, it was made
 * @throws BerthError `unknown_image`, `unusable_image`, `unknown_reference`, `name_taken`, `in_use`, `forbidden`,
 *   `quota_exceeded`, `ports_exhausted`
 */
export async function createEnvironment(
  services: Services,
  asker: Asker,
  input: CreateEnvironment,
  remember?: Remember,
): Promise<CreatedEnvironment> {
  const { database, runtime, settings, keyRing } = services;
  const { principal } = asker;
  const name = readName(input.name);
  const { image = defaultImage, datasets = [], own_port = 'auto', sudo = true, env_vars = {} } = input;

  const password = newPassword(settings);

  return database.transaction().execute(async (transaction) => {
    const customerId = customerOf(principal, input.customer_id);
    await mustHoldCustomer(transaction, customerId);
    const { default_resources } = await imageForNew(transaction, customerId, image);
    await mustBeFreeName(transaction, customerId, name);
    await datasetsFor(transaction, customerId, datasets);
    const id = await freshId(transaction, name);
    const adopted =
      input.adopt_storage === undefined
        ? undefined
        : await storageFor(transaction, customerId, input.adopt_storage);
    const resources = {
      ...defaultResources,
      ...default_resources,
      ...(adopted && { storage: adopted.storage }),
      ...input.resources,
    };
    if (adopted) mustNotShrink(adopted.storage, resources.storage);
    await mustFit(transaction, customerId, {
      excludeId: adopted?.id ?? null,
      environments: 1,
      ...resources,
    });
    if (adopted) await handOver(transaction, adopted.id);
    await insertEnvironment(transaction, {
      id,
      customer_id: customerId,
      name,
      image,
      ...resources,
      ...sealVariables(keyRing, id, env_vars),
      exposure: input.exposure ?? settings.exposure,
      forwarding: JSON.stringify({ ...everythingForwarded, ...input.forwarding }),
      password_login: input.password_login ?? true,
      wake: input.wake ?? true,
      own_port,
      sudo,
      datasets,
      username: settings.userName === 'customer' ? `user${customerId}` : 'developer',
      storage_id: adopted?.storage_id ?? id,
      wanted: 'running',
      status: 'creating',
    });
    const events: NewEvent[] = [
      { kind: 'request', message: `${principal.account} asked for it.`, status: 'creating' },
    ];
    if (adopted) events.push({ kind: 'note', message: `It takes over the files of ${adopted.id}.` });
    // Port first: the answer names it.
    const environment = { id, customer_id: customerId, own_port };
    events.push(...(await givePort(transaction, runtime, settings, environment)).events);
    await insertCredentials(transaction, keyRing, id, password);
    await addEvents(transaction, id, events, 1);
    if (adopted)
      await addEvents(transaction, adopted.id, [
        { kind: 'note', message: `Its files are those of ${id} now.` },
      ]);
    await audit(transaction, asker, { action: 'environment.create', target: id, customerId });
    const shown = await getEnvironment({ ...services, database: transaction }, principal, id);
    const created = { ...shown, ssh_password: password.plain };
    await remember?.(transaction, 202, created);
    return created;
  });
}

export async function listMine(
  { database, addresses }: Services,
  principal: Principal,
  query: ListEnvironments,
): Promise<Page<Environment>> {
  const {
    limit = 100,
    sort: order = '-created_at',
    cursor,
    customer_id,
    name,
    search,
    status,
    image,
  } = query;
  const descending = order.startsWith('-');
  const sort = (descending ? order.slice(1) : order) as EnvironmentSortKey;
  const rows = await listEnvironments(
    database,
    { visibleTo: visibleCustomer(principal), customerId: customer_id, name, search, status, image },
    { sort, descending, after: readPosition(cursor, order), limit: limit + 1 },
  );
  return pageOf(
    rows,
    limit,
    ({ id, position }) => [order, position, id],
    (row) => presentEnvironment(row, addresses),
  );
}

const ofNumbers: readonly string[] = ['created_at', 'started_at'] satisfies EnvironmentSortKey[];

/** @throws BerthError `bad_request` when the cursor is not one of a list in this order */
function readPosition(cursor: string | undefined, order: string): { value: string; id: string } | undefined {
  const [of, value, id] = (readCursor(cursor, ['string', 'string', 'string']) ?? []) as string[];
  if (value === undefined || id === undefined) return undefined;
  if (of !== order || (ofNumbers.includes(order.replace('-', '')) && !/^\d{1,18}$/.test(value)))
    throw strangeCursor();
  return { value, id };
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

/**
 * Name, forwarding, passwords and wake hold at once, all else from the next start.
 *
 * @throws BerthError `not_found`, `wrong_state`, `name_taken`, `bad_request`, `unknown_reference`, `quota_exceeded`
 */
export async function updateEnvironment(
  services: Services,
  asker: Asker,
  id: string,
  input: UpdateEnvironment,
): Promise<Environment> {
  const { keyRing } = services;
  return change(services, asker, id, 'update', async (row, session) => {
    const changes: EnvironmentChange = {};
    const now: string[] = [];
    /** From the next start. */
    const later: string[] = [];
    if (input.resources !== undefined) {
      const resources = { ...resourcesOf(row), ...input.resources };
      mustNotShrink(row.storage, resources.storage);
      const nextRun = resourcesOfNextRun({ ...resources, run_resources: row.run_resources });
      await lockCustomer(session, row.customer_id);
      await mustFit(
        session,
        row.customer_id,
        useOf(row, isToRun(row) ? nextRun : { ...resources, cpu: 0, memory: 0, gpu: 0 }),
      );
      Object.assign(changes, resources);
      later.push(inWords(input.resources));
    }
    if (input.env_vars !== undefined) {
      const variables = changeVariables(openVariables(keyRing, row), input.env_vars);
      Object.assign(changes, sealVariables(keyRing, id, variables));
      later.push(`other variables (${Object.keys(input.env_vars).toSorted().join(', ')})`);
    }
    if (input.datasets !== undefined) {
      await datasetsFor(session, row.customer_id, input.datasets);
      changes.datasets = input.datasets;
      later.push(input.datasets.length === 0 ? 'no data sets' : `data sets ${input.datasets.join(', ')}`);
    }
    if (input.sudo !== undefined) {
      changes.sudo = input.sudo;
      later.push(`sudo ${input.sudo ? 'on' : 'off'}`);
    }
    if (input.exposure !== undefined) {
      changes.exposure = input.exposure;
      later.push(
        `its own port served by the ${input.exposure === 'gateway' ? 'gateway' : 'container itself'}`,
      );
    }
    if (input.name !== undefined) {
      const name = readName(input.name);
      await lockCustomer(session, row.customer_id);
      await mustBeFreeName(session, row.customer_id, name, id);
      changes.name = name;
      now.push(`the name ${JSON.stringify(name)}`);
    }
    const { forwarding, password_login, wake } = input;
    if (forwarding !== undefined) changes.forwarding = JSON.stringify({ ...row.forwarding, ...forwarding });
    if (password_login !== undefined) changes.password_login = password_login;
    if (password_login === false)
      await cutPasswordLogins(session, services.settings, { environment: id }, passwordsOffSentence);
    if (wake !== undefined) changes.wake = wake;
    now.push(...accessInWords({ forwarding, password_login, wake }));
    if (later.length > 0) now.push(`from the next start ${later.join(', ')}`);
    return {
      change: changes,
      asked: now.join(', '),
      // The container has the password's hash, which is written anew.
      ...(password_login === undefined ? {} : { wanted: {} }),
    };
  });
}

/**
 * @param input.resources for this run only; without them it runs with its own again
 * @throws BerthError `not_found`, `wrong_state`, `quota_exceeded`, `ports_exhausted`
 */
export async function startEnvironment(
  services: Services,
  asker: Asker,
  id: string,
  input: StartEnvironment = {},
): Promise<Environment> {
  return change(services, asker, id, 'start', startWith(services, id, input));
}

/** Somebody who logs in by SSH; `account` null: not known, as with the environment's password. */
export interface Login {
  account: string | null;
  source: string;
  /** Id of the attempt. */
  attempt: string;
}

/** A start that a login asked for. @throws BerthError `not_found`, `wrong_state`, `quota_exceeded`, `ports_exhausted` */
export async function wakeEnvironment(services: Services, login: Login, id: string): Promise<void> {
  const decide = startWith(services, id, {});
  await services.database.transaction().execute(async (transaction) => {
    const row = await lockLiving(transaction, id, null, 'start');
    const decision = await decide(row, transaction);
    if (decision === null) return;
    const who = login.account === null ? login.source : `${login.account} from ${login.source}`;
    await carryOut(transaction, id, `A login by ${who}`, decision);
    await audit(
      transaction,
      { principal: null, source: login.source },
      {
        action: 'environment.start',
        target: id,
        customerId: row.customer_id,
        ...(login.account === null ? {} : { account: login.account }),
        detail: { asked: 'login', attempt: login.attempt },
      },
    );
  });
}

type Decide = (row: EnvironmentRow, session: Session) => Decision | null | Promise<Decision | null>;

function startWith(services: Services, id: string, input: StartEnvironment): Decide {
  return async (row, session) => {
    const { cpu, memory, gpu } = { ...resourcesOf(row), ...input.resources };
    const next = { cpu, memory, gpu, storage: row.storage };
    if (isToRun(row)) {
      const { storage: _, ...now } = row.running_resources ?? resourcesOfNextRun(row);
      if (input.resources === undefined || areEqual(next, { ...now, storage: row.storage })) return null;
      throw new BerthError('wrong_state', `The environment ${id} is ${row.status} with ${inWords(now)}.`, {
        field: 'resources',
        cure: 'Stop it first, then start it with these resources.',
      });
    }
    await lockCustomer(session, row.customer_id);
    await mustFit(session, row.customer_id, useOf(row, next));
    const events: NewEvent[] = [];
    if ((await activePort(session, id)) === null)
      events.push(...(await givePort(session, services.runtime, services.settings, row)).events);
    const status = row.first_started_at === null ? 'creating' : 'starting';
    return {
      wanted: {
        wanted: 'running',
        status,
        run_resources: input.resources === undefined ? null : JSON.stringify(next),
      },
      asked: input.resources === undefined ? 'start' : `start, this time with ${inWords(input.resources)}`,
      events,
    };
  };
}

/** @throws BerthError `not_found`, `wrong_state` */
export async function stopEnvironment(services: Services, asker: Asker, id: string): Promise<Environment> {
  return change(services, asker, id, 'stop', async (row, session) => {
    if (row.wanted === 'stopped' || row.status === 'failed') return null;
    const sentence = `The environment ${id} is being stopped.`;
    await cutConnections(session, services.settings, { environment: id }, sentence);
    return {
      wanted: { wanted: 'stopped', status: 'stopping', restart_wanted: false },
      asked: 'stop',
    };
  });
}

/** @throws BerthError `not_found`, `wrong_state` */
export async function restartEnvironment(services: Services, asker: Asker, id: string): Promise<Environment> {
  return change(services, asker, id, 'restart', (row) => {
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
    return { wanted: { status: 'restarting', restart_wanted: true }, asked: 'restart' };
  });
}

/**
 * @param keepStorage keeps its files for another environment; one that never ran has none
 * @throws BerthError `not_found`, `wrong_state`
 */
export async function deleteEnvironment(
  services: Services,
  asker: Asker,
  id: string,
  keepStorage = false,
): Promise<Environment> {
  return change(services, asker, id, 'delete', (row) => {
    if (row.wanted === 'deleted') {
      if (!keepStorage || row.keep_storage) return null;
      throw new BerthError('wrong_state', `The environment ${id} is being deleted with its files.`, {
        field: 'keep_storage',
        cure: 'Nothing brings them back; create a new environment.',
      });
    }
    return {
      wanted: { wanted: 'deleted', status: 'deleting', restart_wanted: false, keep_storage: keepStorage },
      asked: keepStorage ? 'delete it and keep its files' : 'delete',
    };
  });
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
  return presentSsh(row, {
    credentials,
    password: plainPassword(keyRing, credentials),
    account: principal.account,
    sharedHostKeys: await sharedHostKeys(database),
    addresses,
  });
}

/** The old password opens no new connection within two seconds. @throws BerthError `not_found`, `wrong_state` */
export async function resetPassword(
  services: Services,
  asker: Asker,
  id: string,
): Promise<{ ssh_password: string }> {
  const password = newPassword(services.settings);
  await change(services, asker, id, 'reset-password', async (_row, session) => {
    await updatePassword(session, services.keyRing, id, password);
    await cutPasswordLogins(session, services.settings, { environment: id }, newPasswordSentence(id));
    return { wanted: {}, asked: 'new password' };
  });
  return { ssh_password: password.plain };
}

/** For whoever came in by the old one. */
export function newPasswordSentence(id: string): string {
  return `The environment ${id} has a new password. Log in again with that.`;
}

interface Decision {
  /** What is wanted from now on, for the reconciler. */
  wanted?: Parameters<typeof request>[2];
  /** What holds from the next start, or at once without the reconciler. */
  change?: EnvironmentChange;
  /** For the timeline. */
  asked: string;
  events?: NewEvent[];
}

/**
 * One request on one environment: locks the row, decides, writes what is wanted and the timeline.
 *
 * @param decide null: it is so already
 */
async function change(
  services: Services,
  asker: Asker,
  id: string,
  act: string,
  decide: Decide,
): Promise<Environment> {
  const { principal } = asker;
  return services.database.transaction().execute(async (transaction) => {
    const row = await lockLiving(transaction, id, visibleCustomer(principal), act);
    const decision = await decide(row, transaction);
    if (decision !== null) {
      const { asked } = decision;
      await carryOut(transaction, id, principal.account, decision);
      await audit(transaction, asker, {
        action: `environment.${act}`,
        target: id,
        customerId: row.customer_id,
        detail: { asked },
      });
    }
    // Read before others can go on: what is asked for may be done, or gone, right after.
    return getEnvironment({ ...services, database: transaction }, principal, id);
  });
}

/** @throws BerthError `not_found`; `wrong_state` when it is being deleted and asked for anything else */
async function lockLiving(
  session: Session,
  id: string,
  customerId: number | null,
  act: string,
): Promise<EnvironmentRow> {
  const row = await lockEnvironment(session, id, customerId);
  if (!row) throw noSuchEnvironment(id);
  if (row.wanted !== 'deleted' || act === 'delete') return row;
  throw new BerthError('wrong_state', `The environment ${id} is being deleted.`, {
    cure: 'Create a new one.',
  });
}

async function carryOut(session: Session, id: string, who: string, decision: Decision): Promise<void> {
  const { wanted, change: columns, asked, events = [] } = decision;
  if (columns) await updateColumns(session, id, columns);
  const generation = wanted && (await request(session, id, wanted));
  const line: NewEvent = { kind: 'request', message: `${who} asked: ${asked}.` };
  if (wanted?.status !== undefined) line.status = wanted.status as Status;
  await addEvents(session, id, [line, ...events], generation);
}

/** @throws BerthError `forbidden` */
function customerOf(principal: Principal, asked: number | undefined): number {
  if (asked === undefined || asked === principal.customerId) return principal.customerId;
  if (principal.role !== 'admin') {
    throw new BerthError('forbidden', 'customer_id: only an administrator may name another customer.', {
      field: 'customer_id',
      cure: 'Leave it out: the environment is then of your own customer.',
    });
  }
  return asked;
}

/**
 * Until the transaction ends the customer is not deleted, and its names and quota are checked by nobody else.
 *
 * @throws BerthError `unknown_reference`
 */
async function mustHoldCustomer(session: Session, customerId: number): Promise<void> {
  if ((await lockCustomer(session, customerId)) !== undefined) return;
  throw new BerthError('unknown_reference', `customer_id: there is no customer ${customerId}.`, {
    field: 'customer_id',
    cure: 'GET /api/customers lists those that there are.',
  });
}

/** @throws BerthError `bad_request` */
function readName(text: string): string {
  const name = text.normalize('NFC').trim();
  if (name !== '') return name;
  throw new BerthError('bad_request', 'name: must hold more than spaces.', { field: 'name' });
}

/** @throws BerthError `bad_request` */
function mustNotShrink(before: number, after: number): void {
  if (after >= before) return;
  throw new BerthError(
    'bad_request',
    `resources.storage: is ${after} and must be >= ${before}: files may be there already, so storage can only grow.`,
    { field: 'resources.storage' },
  );
}

function isToRun({ wanted, status }: EnvironmentRow): boolean {
  return wanted === 'running' && status !== 'failed';
}

/** For the quota. */
function useOf({ id }: EnvironmentRow, resources: Resources): Parameters<typeof mustFit>[2] {
  return { excludeId: id, environments: 1, ...resources };
}

function noSuchEnvironment(id: string): BerthError {
  return new BerthError('not_found', `There is no environment ${JSON.stringify(id)}.`);
}

/** `except`: the environment that may have it. @throws BerthError `name_taken` */
async function mustBeFreeName(
  session: Session,
  customerId: number,
  name: string,
  except = '',
): Promise<void> {
  const holder = await session
    .selectFrom('environments')
    .select('id')
    .where('customer_id', '=', customerId)
    .where('name', '=', name)
    .where('id', '<>', except)
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
    if (await claimLoginName(session, id, 'environment')) return id;
  }
}

/** Used by the reconciler as well: the port goes back, with a line in the timeline. */
export async function releasePort(session: Session, id: string): Promise<NewEvent[]> {
  const port = await releaseMapping(session, id);
  return port === undefined ? [] : [{ kind: 'port', message: `Port ${port} was released.` }];
}
