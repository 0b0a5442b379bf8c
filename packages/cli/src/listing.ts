/** Lists as commands show them, and the one thing of a list that somebody names. */
import type { Command } from 'commander';
import type { Client, Query } from './client.ts';
import { CommandFailure, exitCodes } from './failure.ts';
import { addCommand, named, say } from './session.ts';
import type { CommonOptions, Format, Session } from './session.ts';
import { printable, table } from './text.ts';
import type { Cell } from './text.ts';
import { wholeNumber } from './units.ts';

/** How many names a sentence holds. */
const namesInSentence = 20;

export interface ListOptions extends CommonOptions {
  limit?: number;
}

interface Listing<T> {
  route: string;
  query?: Query;
  limit?: number | undefined;
  columns: Record<string, (item: T) => Cell>;
  /** What people read where the list is empty. */
  none: string;
  nameOf?: (item: T) => string;
}

export function addListCommand(
  parent: Command,
  name: string,
  summary: string,
  formats: Format[] = named,
): Command {
  return addCommand(parent, name, summary, formats).option(
    '--limit <count>',
    'at most so many (default: all)',
    wholeNumber({ minimum: 1, maximum: 1_000_000 }),
  );
}

export async function answerList<T>(session: Session, listing: Listing<T>): Promise<void> {
  const { route, query, limit, columns, none, nameOf = identityOf } = listing;
  const page = await session.client.list<T>(route, query, limit);
  session.answer(
    page,
    () => {
      if (page.items.length === 0) return none;
      const rows = page.items.map((item) => Object.values(columns).map((column) => column(item)));
      return table(Object.keys(columns), rows);
    },
    ({ items }) => items.map(nameOf),
  );
  if (page.next_cursor !== null && process.stderr.isTTY) say('There are more; leave --limit out to see all.');
}

function identityOf(item: unknown): string {
  const { env_id, name, id } = item as { env_id?: string; name?: string; id?: number };
  return env_id ?? name ?? String(id);
}

/**
 * The one of this name or id. A name wins where it is another's id, since people type names.
 *
 * @throws CommandFailure that names those there are
 */
export async function findOne<T extends { id: number; name: string }>(
  client: Client,
  wanted: string,
  { route, query, what }: { route: string; query?: Query; what: string },
): Promise<T> {
  const items = await client.all<T>(route, query);
  const called = items.filter(({ name }) => name === wanted);
  const [found] = called.length > 0 ? called : items.filter(({ id }) => String(id) === wanted);
  if (called.length > 1) {
    throw new CommandFailure(
      exitCodes.conflict,
      'ambiguous',
      `${called.length} things are called ${printable(wanted)}, so which ${what} is meant is not clear`,
      `Name it by its id: ${called.map(({ id }) => id).join(', ')}.`,
    );
  }
  if (found !== undefined) return found;
  throw new CommandFailure(
    exitCodes.notFound,
    'not_found',
    `not found: there is no ${what} called ${printable(wanted)}; ${thereAre(items.map(({ name }) => name))}`,
  );
}

/** "there are: a, b." */
export function thereAre(names: string[]): string {
  if (names.length === 0) return 'there are none yet.';
  const more = names.length - namesInSentence;
  const shown = names.slice(0, namesInSentence).map(printable).join(', ');
  return `there are: ${shown}${more > 0 ? ` and ${more} more` : ''}.`;
}

/** For options that may be given more than once. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
