/** `berth authorities` and `berth revocations`: user certificates that open environments, and which do not. */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type {
  AddSshAuthority,
  SetSshRevocations,
  SshAuthority,
  SshAuthorityPage,
  SshRevocations,
} from '@berth/contract';
import { customerId } from '../customer.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { addListCommand, answerList, thereAre } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime } from '../text.ts';

interface CustomerOptions extends CommonOptions {
  customer?: string;
}

const ofCustomer = ['--customer <customer>', "this customer's (for administrators)"] as const;

export function addAuthorityCommands(program: Command): void {
  const authorities = program
    .command('authorities')
    .description('Authorities whose SSH user certificates open your environments');

  addListCommand(authorities, 'list', 'List the authorities')
    .option(...ofCustomer)
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(authorities, 'add', 'Add an authority')
    .argument('<name>', 'for people, such as company')
    .argument('<file>', "the .pub file of the authority's key, or - for stdin")
    .option(...ofCustomer)
    .addHelpText(
      'after',
      "\nA certificate must name the environment's id, its user name, or one of your accounts as a principal.",
    )
    .action((name: string, file: string, _: object, command: Command) =>
      add(name, file, command.optsWithGlobals()),
    );

  addCommand(authorities, 'remove', 'Remove an authority; its certificates open nothing any more')
    .argument('<authority>', 'its id, name or fingerprint')
    .option(...ofCustomer)
    .action((wanted: string, _: object, command: Command) => remove(wanted, command.optsWithGlobals()));

  const revocations = program
    .command('revocations')
    .description('Keys and SSH user certificates that open nothing any more');

  addCommand(revocations, 'show', 'Show what list is in force', unnamed)
    .option(...ofCustomer)
    .action((_: object, command: Command) => show(command.optsWithGlobals()));

  addCommand(revocations, 'set', 'Put a list in force, in place of the one before', unnamed)
    .argument('<file>', 'a KRL of "ssh-keygen -k", or lines of public keys; - for stdin')
    .option(...ofCustomer)
    .action((file: string, _: object, command: Command) => set(file, command.optsWithGlobals()));

  addCommand(revocations, 'clear', 'Revoke nothing any more', unnamed)
    .option(...ofCustomer)
    .action((_: object, command: Command) => clear(command.optsWithGlobals()));
}

async function customerIn(
  session: Session,
  { customer }: CustomerOptions,
): Promise<{ customer_id?: number }> {
  return customer === undefined ? {} : { customer_id: await customerId(session.client, customer) };
}

async function list(options: CustomerOptions & ListOptions): Promise<void> {
  const session = new Session(options);
  await answerList<SshAuthority>(session, {
    route: routes.sshAuthorities,
    query: await customerIn(session, options),
    limit: options.limit,
    columns: {
      ID: ({ id }) => String(id),
      NAME: ({ name }) => name,
      TYPE: ({ type }) => type,
      FINGERPRINT: ({ fingerprint }) => fingerprint,
      ADDED: ({ created_at }) => relativeTime(created_at),
    },
    none: 'There are no authorities. Add one with: npx berth authorities add NAME user_ca.pub',
    nameOf: ({ id }) => String(id),
  });
}

async function add(name: string, file: string, options: CustomerOptions): Promise<void> {
  const session = new Session(options);
  const content = (await contentOf(file)).toString('utf8');
  if (content.includes('PRIVATE KEY')) {
    throw usageFailure(
      `${file === '-' ? 'What came on stdin' : file} is a private key; it was not sent`,
      'Name the public half, which ends in .pub.',
    );
  }
  const wanted: AddSshAuthority = {
    name,
    public_key: content.trim(),
    ...(await customerIn(session, options)),
  };
  const authority = await session.client.post<SshAuthority>(routes.sshAuthorities, wanted);
  session.answer(
    authority,
    () =>
      `User certificates of ${printable(authority.name)} (${authority.fingerprint}) open the environments now.`,
  );
}

async function remove(wanted: string, options: CustomerOptions): Promise<void> {
  const session = new Session(options);
  const query = await customerIn(session, options);
  const authorities = await session.client.all<SshAuthorityPage['items'][number]>(
    routes.sshAuthorities,
    query,
  );
  const exact = authorities.filter(({ id, fingerprint }) => String(id) === wanted || fingerprint === wanted);
  const matches = exact.length > 0 ? exact : authorities.filter(({ name }) => name === wanted);
  const [authority] = matches;
  if (authority === undefined) {
    throw new CommandFailure(
      exitCodes.notFound,
      'not_found',
      `not found: there is no authority with the id, name or fingerprint ${printable(wanted)}; ` +
        thereAre(authorities.map(({ name }) => name)),
    );
  }
  if (matches.length > 1) {
    throw new CommandFailure(
      exitCodes.conflict,
      'ambiguous',
      `${matches.length} authorities are called ${printable(wanted)}; none was removed`,
      `Name one by its id: ${matches.map(({ id }) => id).join(', ')}.`,
    );
  }
  await session.client.delete(pathOf(routes.sshAuthority, { id: String(authority.id) }));
  session.answer(
    authority,
    () => `Certificates of ${printable(authority.name)} (${authority.fingerprint}) open nothing any more.`,
  );
}

async function show(options: CustomerOptions): Promise<void> {
  const session = new Session(options);
  const query = await customerIn(session, options);
  const revocations = await session.client.get<SshRevocations>(routes.sshRevocations, query);
  session.answer(revocations, () => describe(revocations));
}

async function set(file: string, options: CustomerOptions): Promise<void> {
  const session = new Session(options);
  const wanted: SetSshRevocations = {
    list: (await contentOf(file)).toString('base64'),
    ...(await customerIn(session, options)),
  };
  const revocations = await session.client.put<SshRevocations>(routes.sshRevocations, wanted);
  session.answer(revocations, () => `What it names opens nothing any more.\n\n${describe(revocations)}`);
}

async function clear(options: CustomerOptions): Promise<void> {
  const session = new Session(options);
  await session.client.delete(routes.sshRevocations, await customerIn(session, options));
  session.answer({ revocations: null }, () => 'Nothing is revoked any more.');
}

function describe({ version, comment, bytes, updated_at }: SshRevocations): string {
  return labelled([
    ['version', version],
    ['comment', printable(comment)],
    ['bytes', String(bytes)],
    ['set', relativeTime(updated_at)],
  ]);
}

/** @throws CommandFailure when it cannot be read */
async function contentOf(file: string): Promise<Buffer> {
  if (file === '-') return buffer(process.stdin);
  try {
    return readFileSync(file);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usageFailure(
      `The file ${file} cannot be read (${reason})`,
      'Name a file that is there, or - for stdin.',
    );
  }
}
