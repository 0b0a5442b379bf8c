/** `berth lockouts` and `berth bans`: addresses that failed to log in too often. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { Ban, Lockout } from '@berth/contract';
import { findEnvironment } from '../environment.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { addListCommand, answerList, thereAre } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, relativeTime } from '../text.ts';
import type { Cell } from '../text.ts';

interface Filters {
  environment?: string;
  source?: string;
}

interface AllOptions extends ListOptions, Filters {
  all?: true;
}

export function addLockoutCommands(program: Command): void {
  const lockouts = program
    .command('lockouts')
    .description('Addresses that failed too often at one environment, and get in there no more for a while');
  const source = () => new Option('--source <address>', 'of this address');
  const all = 'also those that are over';

  addListCommand(lockouts, 'list', 'List those in force, newest first')
    .option('--all', all)
    .option('--environment <environment>', 'at this environment')
    .addOption(source())
    .action((_: object, command: Command) => listLockouts(command.optsWithGlobals()));

  addCommand(lockouts, 'clear', 'End lockouts at once, and forget the failures that they were set for')
    .argument('[id]', 'one, from the list')
    .option('--environment <environment>', 'all at this environment')
    .addOption(source())
    .action((id: string | undefined, _: object, command: Command) =>
      clearLockouts(id, command.optsWithGlobals()),
    );

  const bans = program
    .command('bans')
    .description('Addresses that failed too often anywhere, and from which nothing is accepted for a while');

  addListCommand(bans, 'list', 'List those in force, newest first')
    .option('--all', all)
    .addOption(source())
    .action((_: object, command: Command) => listBans(command.optsWithGlobals()));

  addCommand(bans, 'clear', 'End bans at once, and forget the failures that they were set for')
    .argument('[id]', 'one, from the list')
    .addOption(source())
    .action((id: string | undefined, _: object, command: Command) =>
      clearBans(id, command.optsWithGlobals()),
    );
}

async function filtersOf(session: Session, { environment, source }: Filters) {
  const env_id =
    environment === undefined ? undefined : (await findEnvironment(session.client, environment)).env_id;
  return { ...(env_id === undefined ? {} : { env_id }), ...(source === undefined ? {} : { source }) };
}

async function listLockouts(options: AllOptions): Promise<void> {
  const session = new Session(options);
  await answerList<Lockout>(session, {
    route: routes.lockouts,
    query: { ...(await filtersOf(session, options)), all: options.all },
    limit: options.limit,
    columns: {
      ID: ({ id }) => String(id),
      TARGET: ({ target }) => target,
      FROM: ({ source }) => source,
      FAILURES: ({ failures }) => String(failures),
      LOCKED: ({ locked_at }) => relativeTime(locked_at),
      UNTIL: untilCell,
    },
    none: 'Nobody is locked out.',
    nameOf: ({ id }) => String(id),
  });
}

async function listBans(options: AllOptions): Promise<void> {
  const session = new Session(options);
  await answerList<Ban>(session, {
    route: routes.bans,
    query: { ...(await filtersOf(session, options)), all: options.all },
    limit: options.limit,
    columns: {
      ID: ({ id }) => String(id),
      FROM: ({ source }) => source,
      FAILURES: ({ failures }) => String(failures),
      BANNED: ({ banned_at }) => relativeTime(banned_at),
      UNTIL: untilCell,
    },
    none: 'No address is banned.',
    nameOf: ({ id }) => String(id),
  });
}

function untilCell({ until, cleared_at, cleared_by }: Lockout | Ban): Cell {
  if (cleared_by !== null) return `ended by ${cleared_by} ${relativeTime(cleared_at)}`;
  const isOver = cleared_at !== null || Date.parse(until) <= Date.now();
  return isOver ? { text: 'over', look: 'dim' } : `${until.slice(0, 10)} ${until.slice(11, 16)} UTC`;
}

async function clearLockouts(id: string | undefined, options: CommonOptions & Filters): Promise<void> {
  mustName(id, options, 'lockouts', 'an id, --environment or --source');
  const session = new Session(options);
  const found = await session.client.all<Lockout>(routes.lockouts, await filtersOf(session, options));
  const cleared = chosen(found, id, 'lockout');
  for (const each of cleared) await session.client.delete(pathOf(routes.lockout, { id: String(each.id) }));
  session.answer(
    { items: cleared },
    () => cleared.map(({ target, source }) => `${source} may try ${printable(target)} again.`).join('\n'),
    ({ items }) => items.map((each) => String(each.id)),
  );
}

async function clearBans(id: string | undefined, options: CommonOptions & Filters): Promise<void> {
  mustName(id, options, 'bans', 'an id or --source');
  const session = new Session(options);
  const found = await session.client.all<Ban>(routes.bans, await filtersOf(session, options));
  const cleared = chosen(found, id, 'ban');
  for (const each of cleared) await session.client.delete(pathOf(routes.ban, { id: String(each.id) }));
  session.answer(
    { items: cleared },
    () => cleared.map(({ source }) => `${source} may connect again.`).join('\n'),
    ({ items }) => items.map((each) => String(each.id)),
  );
}

/** @throws CommandFailure */
function mustName(id: string | undefined, { environment, source }: Filters, what: string, by: string): void {
  if (id !== undefined || environment !== undefined || source !== undefined) return;
  throw usageFailure(
    `Which ${what} shall end is not said, so none was cleared`,
    `Name them by ${by}; "npx berth ${what} list" shows them.`,
  );
}

/** @throws CommandFailure where there is none */
function chosen<T extends { id: number; source: string }>(
  found: T[],
  id: string | undefined,
  what: string,
): T[] {
  const matches = id === undefined ? found : found.filter((each) => String(each.id) === id);
  if (matches.length > 0) return matches;
  throw new CommandFailure(
    exitCodes.notFound,
    'not_found',
    `not found: there is no such ${what} in force; ${thereAre(found.map((each) => `${each.id} (${each.source})`))}`,
  );
}
