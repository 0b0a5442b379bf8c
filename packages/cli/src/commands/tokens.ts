/** `berth tokens`: what programs sign in with. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { scopes } from '@berth/contract/vocabulary';
import type { CreateToken, CreatedToken, Scope, Token, TokenKind } from '@berth/contract';
import { confirmRemoval } from '../confirm.ts';
import { addListCommand, answerList, findOne } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime } from '../text.ts';
import { wholeNumber } from '../units.ts';
import { findAccount } from './accounts.ts';

const kinds: TokenKind[] = ['api', 'login', 'session'];
const daysBounds = { minimum: 1, maximum: 3650 };

interface AddOptions extends CommonOptions {
  scope?: Scope[];
  expires?: number | 'never';
  account?: string;
}

export function addTokenCommands(program: Command): void {
  const tokens = program.command('tokens').description('Tokens that programs sign in with');

  addListCommand(tokens, 'list', 'List the tokens and logins')
    .option('--account <account>', 'only those of this account')
    .addOption(new Option('--kind <kind>', 'made by hand, by berth login, by a browser').choices(kinds))
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(tokens, 'add', 'Add a token; it is shown once')
    .argument('<name>', 'for people, such as what it is for')
    .addOption(new Option('--scope <scope...>', 'what it may do (default: read and write)').choices(scopes))
    .option('--expires <days>', 'valid for so many days, or never (default: 90)', daysOrNever)
    .option('--account <account>', 'for this account (for administrators)')
    .action((name: string, _: object, command: Command) => add(name, command.optsWithGlobals()));

  addCommand(tokens, 'remove', 'Remove a token or end a login')
    .argument('<token>', 'id or name')
    .option('--yes', 'without asking')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

/** commander takes null for no value at all. */
function daysOrNever(value: string): number | 'never' {
  if (value === 'never') return value;
  try {
    return wholeNumber(daysBounds)(value);
  } catch {
    throw new InvalidArgumentError('Allowed: days from 1 to 3650, or never.');
  }
}

async function list(options: ListOptions & { account?: string; kind?: TokenKind }): Promise<void> {
  const session = new Session(options);
  const { account, kind, limit } = options;
  const account_id = account === undefined ? undefined : (await findAccount(session.client, account)).id;
  await answerList<Token>(session, {
    route: routes.tokens,
    query: { account_id, kind },
    limit,
    columns: {
      ID: ({ id }) => String(id),
      NAME: ({ name, current }) => `${name}${current ? ' (this one)' : ''}`.trimStart() || '-',
      ACCOUNT: ({ account }) => account,
      KIND: ({ kind }) => kind,
      SCOPES: ({ scopes }) => scopes.join(','),
      BEGINS: ({ hint }) => hint,
      'LAST USED': ({ last_used_at }) => relativeTime(last_used_at),
      EXPIRES: ({ expires_at }) => (expires_at === null ? 'never' : relativeTime(expires_at)),
    },
    none: 'There are no tokens. Make one with: npx berth tokens add NAME',
    nameOf: ({ id }) => String(id),
  });
}

async function add(name: string, options: AddOptions): Promise<void> {
  const session = new Session(options);
  const { scope, expires, account } = options;
  const wanted: CreateToken = {
    name,
    ...(scope === undefined ? {} : { scopes: [...new Set(scope)] }),
    ...(expires === undefined ? {} : { expires_in_days: expires === 'never' ? null : expires }),
    ...(account === undefined ? {} : { account_id: (await findAccount(session.client, account)).id }),
  };
  const token = await session.client.post<CreatedToken>(routes.tokens, wanted);
  session.answer(
    token,
    () =>
      `The token ${printable(token.name)} is there. It is shown this once.\n\n${labelled([
        ['token', token.token],
        ['account', token.account],
        ['scopes', token.scopes.join(', ')],
        ['expires', token.expires_at === null ? 'never' : relativeTime(token.expires_at)],
      ])}`,
    ({ id }) => String(id),
  );
}

async function remove(wanted: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const token = await findOne<Token>(session.client, wanted, { route: routes.tokens, what: 'token' });
  const id = String(token.id);
  if (!options.yes) {
    await confirmRemoval({
      name: token.name,
      id,
      what: `the token ${token.name} (${id}) of ${token.account}, and lets nothing in with it any more`,
      command: `berth tokens remove ${id}`,
    });
  }
  await session.client.delete(pathOf(routes.token, { id }));
  session.answer(
    token,
    () => `The token ${printable(token.name)} (${id}) lets nobody in any more.`,
    () => id,
  );
}
