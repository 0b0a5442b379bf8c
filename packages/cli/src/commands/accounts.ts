/** `berth accounts`: the people and programs that may ask Berth for something. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { roles } from '@berth/contract/vocabulary';
import type {
  Account,
  ChangePassword,
  CreateAccount,
  CreatedAccount,
  Role,
  UpdateAccount,
} from '@berth/contract';
import type { Client } from '../client.ts';
import { confirmRemoval } from '../confirm.ts';
import { customerId } from '../customer.ts';
import { nothingToSet, usageFailure } from '../failure.ts';
import { addListCommand, answerList, findOne } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { askSecret, askNewPassword } from '../secret.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime } from '../text.ts';

interface AddOptions extends CommonOptions {
  role?: Role;
  customer?: string;
  /** false: none; true: it is asked for */
  password?: boolean;
}

export function addAccountCommands(program: Command): void {
  const accounts = program.command('accounts').description('Accounts of people and programs');
  const role = (help: string) => new Option('--role <role>', help).choices(roles);

  addListCommand(accounts, 'list', 'List the accounts')
    .option('--customer <customer>', 'only those of this customer')
    .addOption(role('only those with this role'))
    .option('--search <text>', 'only those with this in the name')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(accounts, 'show', 'Show one account')
    .argument('<account>', 'name or id')
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  addCommand(accounts, 'add', 'Add an account; its password is shown once')
    .argument('<name>', 'lower case letters, digits, dots, hyphens and underscores')
    .addOption(role('what it may do (default: member)'))
    .option('--customer <customer>', 'whose it is (default: yours)')
    .option('--password', 'ask for its password, or read it from stdin, instead of making one')
    .option('--no-password', 'without a password: only tokens get in')
    .action((name: string, _: object, command: Command) => add(name, command.optsWithGlobals()));

  addCommand(accounts, 'set', 'Change what an account may do')
    .argument('<account>', 'name or id')
    .addOption(role('what it may do'))
    .option('--no-password', 'take its password away: only tokens get in')
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));

  addCommand(accounts, 'password', 'Change a password; asks for it, or reads it from stdin')
    .argument('[account]', 'name or id (default: your own)')
    .addHelpText(
      'after',
      '\nOn stdin: the new password; for your own first the one until now, each on a line.',
    )
    .action((name: string | undefined, _: object, command: Command) =>
      password(name, command.optsWithGlobals()),
    );

  addCommand(accounts, 'remove', 'Remove an account, its tokens and its logins')
    .argument('<account>', 'name or id')
    .option('--yes', 'without asking')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

export function findAccount(client: Client, nameOrId: string): Promise<Account> {
  return findOne<Account>(client, nameOrId, { route: routes.accounts, what: 'account' });
}

async function list(
  options: ListOptions & { customer?: string; role?: Role; search?: string },
): Promise<void> {
  const session = new Session(options);
  const { customer, role, search, limit } = options;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  await answerList<Account>(session, {
    route: routes.accounts,
    query: { customer_id, role, search },
    limit,
    columns: {
      ID: ({ id }) => String(id),
      NAME: ({ name }) => name,
      ROLE: ({ role }) => role,
      CUSTOMER: ({ customer }) => customer,
      'LAST LOGIN': ({ last_login_at }) => relativeTime(last_login_at),
      PASSWORD: ({ has_password }) => (has_password ? 'yes' : 'no'),
    },
    none: 'No account is like that.',
  });
}

async function show(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const account = await findAccount(session.client, name);
  session.answer(account, () => describe(account));
}

function describe(account: Account): string {
  return labelled([
    ['name', account.name],
    ['id', String(account.id)],
    ['role', account.role],
    ['customer', `${account.customer} (${account.customer_id})`],
    ['password', account.has_password ? 'yes' : 'no: only its tokens get in'],
    ['last login', relativeTime(account.last_login_at)],
    ['added', relativeTime(account.created_at)],
  ]);
}

async function add(name: string, options: AddOptions): Promise<void> {
  const session = new Session(options);
  const { role, customer } = options;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  const wanted: CreateAccount = {
    name,
    ...(role === undefined ? {} : { role }),
    ...(customer_id === undefined ? {} : { customer_id }),
    ...(options.password === undefined
      ? {}
      : { password: options.password ? await askNewPassword(name) : null }),
  };
  const account = await session.client.post<CreatedAccount>(routes.accounts, wanted);
  session.answer(account, () => {
    const shown =
      account.password === null
        ? []
        : [['password', `${account.password}  (shown this once)`] as [string, string]];
    return `The account ${account.name} is there.\n\n${labelled([
      ['role', account.role],
      ['customer', `${account.customer} (${account.customer_id})`],
      ...shown,
    ])}`;
  });
}

async function set(name: string, options: CommonOptions & { role?: Role; password?: false }): Promise<void> {
  const session = new Session(options);
  const wanted: UpdateAccount = {
    ...(options.role === undefined ? {} : { role: options.role }),
    ...(options.password === false ? { password: null } : {}),
  };
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth accounts set');
  const { id } = await findAccount(session.client, name);
  const account = await session.client.patch<Account>(pathOf(routes.account, { id: String(id) }), wanted);
  session.answer(account, () => `The account ${account.name} is changed.\n\n${describe(account)}`);
}

async function password(name: string | undefined, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  if (name === undefined) {
    if ('folder' in session.place) {
      throw usageFailure(
        'Through the socket of this machine nobody is signed in with a password',
        'Name the account: berth accounts password ACCOUNT',
      );
    }
    const wanted: ChangePassword = {
      current: await askSecret('Password until now: '),
      new: await askNewPassword('you'),
    };
    await session.client.post(routes.ownPassword, wanted);
    session.answer({ name: 'password' }, () => 'Your password is changed.');
    return;
  }
  const { id } = await findAccount(session.client, name);
  const wanted: UpdateAccount = { password: await askNewPassword(name) };
  const account = await session.client.patch<Account>(pathOf(routes.account, { id: String(id) }), wanted);
  session.answer(account, () => `The password of ${account.name} is changed.`);
}

async function remove(name: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const account = await findAccount(session.client, name);
  const id = String(account.id);
  if (!options.yes) {
    await confirmRemoval({
      name: account.name,
      id,
      what: `the account ${account.name} of ${account.customer}, its tokens and its logins`,
      command: `berth accounts remove ${account.name}`,
    });
  }
  await session.client.delete(pathOf(routes.account, { id }));
  session.answer(account, () => `The account ${printable(account.name)} is removed.`);
}
