/** `berth allowlist`: the networks from which environments can be reached. */
import type { Command } from 'commander';
import { NetworkError, formatNetwork, readNetwork } from '@berth/contract/network';
import { pathOf, routes } from '@berth/contract/paths';
import type { AddAllowlistEntry, AllowlistCheck, AllowlistEntry } from '@berth/contract';
import type { Client } from '../client.ts';
import { confirm } from '../confirm.ts';
import { customerId } from '../customer.ts';
import { findEnvironment } from '../environment.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { addListCommand, answerList, thereAre } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, relativeTime } from '../text.ts';

interface PlaceOptions extends CommonOptions {
  environment?: string;
  customer?: string;
}

export function addAllowlistCommands(program: Command): void {
  const allowlist = program
    .command('allowlist')
    .description('Networks from which environments can be reached; with none in the list: from everywhere');

  addListCommand(allowlist, 'list', 'List the networks')
    .option('--environment <environment>', "what holds for this one: its own entries and its customer's")
    .option('--customer <customer>', 'only those of this customer (for administrators)')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(allowlist, 'add', 'Let a network in, and from now on no address that is in none')
    .argument('<network>', 'CIDR, IPv4 or IPv6, such as 203.0.113.0/24; or one address')
    .option('--environment <environment>', 'to this one only (default: to all of the customer)')
    .option('--note <text>', 'for people, such as office')
    .option('--customer <customer>', "this customer's (for administrators)")
    .option('--yes', 'without asking, also where that shuts out the address that you come from')
    .addHelpText(
      'after',
      '\nAn address gets in when an entry of the environment or of its customer holds it. Connections that\na change shuts out end. All of IPv4 is 0.0.0.0/0, all of IPv6 ::/0.',
    )
    .action((network: string, _: object, command: Command) => add(network, command.optsWithGlobals()));

  addCommand(allowlist, 'remove', 'Take a network out of the list')
    .argument('<entry>', 'its id, or the network')
    .option('--environment <environment>', 'of this one')
    .option('--customer <customer>', 'of this customer (for administrators)')
    .action((entry: string, _: object, command: Command) => remove(entry, command.optsWithGlobals()));
}

async function placeOf(
  client: Client,
  { environment, customer }: PlaceOptions,
): Promise<{ env_id?: string; customer_id?: number }> {
  return {
    ...(environment === undefined ? {} : { env_id: (await findEnvironment(client, environment)).env_id }),
    ...(customer === undefined ? {} : { customer_id: await customerId(client, customer) }),
  };
}

async function list(options: PlaceOptions & ListOptions): Promise<void> {
  const session = new Session(options);
  const place = await placeOf(session.client, options);
  await answerList<AllowlistEntry>(session, {
    route: routes.allowlist,
    query: place,
    limit: options.limit,
    columns: {
      ID: ({ id }) => String(id),
      NETWORK: ({ network }) => network,
      ENVIRONMENT: ({ env_id }) => env_id ?? 'all',
      CUSTOMER: ({ customer_id }) => String(customer_id),
      NOTE: ({ note }) => note,
      ADDED: ({ created_at }) => relativeTime(created_at),
    },
    none: 'There is no entry: every address gets in.',
    nameOf: ({ id }) => String(id),
  });
}

/** @throws CommandFailure with the network that was meant */
function networkOf(text: string): string {
  try {
    return formatNetwork(readNetwork(text));
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    throw usageFailure(`The network ${error.message}`, error.cure);
  }
}

async function add(given: string, options: PlaceOptions & { note?: string; yes?: true }): Promise<void> {
  const network = networkOf(given);
  const session = new Session(options);
  const place = await placeOf(session.client, options);
  const where = place.env_id ?? (options.customer === undefined ? 'your environments' : 'its environments');
  const check = await session.client.get<AllowlistCheck>(routes.allowlistCheck, {
    ...place,
    adding: network,
  });
  if (!options.yes && !check.limited && check.allowed === false) {
    await confirm({
      refused: `${network} was not added`,
      question:
        `This is the first entry: from then on ${where} can be reached from ${network} only, ` +
        `and not from ${check.address}, where you are`,
      command: `berth allowlist add ${network}`,
    });
  }
  const wanted: AddAllowlistEntry = {
    network,
    ...place,
    ...(options.note === undefined ? {} : { note: options.note }),
  };
  const entry = await session.client.post<AllowlistEntry>(routes.allowlist, wanted);
  const first = check.limited ? '' : ' It is the first entry: who is in none does not get in any more.';
  session.answer(entry, () => `${entry.network} gets in to ${printable(where)} now.${first}`);
}

async function remove(given: string, options: PlaceOptions): Promise<void> {
  const network = /^\d+$/.test(given) ? undefined : networkOf(given);
  const session = new Session(options);
  const place = await placeOf(session.client, options);
  const entries = await session.client.all<AllowlistEntry>(routes.allowlist, place);
  const matches = entries.filter(
    (each) =>
      (network === undefined ? String(each.id) === given : each.network === network) &&
      (place.env_id === undefined || each.env_id === place.env_id),
  );
  const [entry] = matches;
  if (entry === undefined) {
    throw new CommandFailure(
      exitCodes.notFound,
      'not_found',
      `not found: ${network ?? `an entry with the id ${given}`} is not in the allowlist; ` +
        thereAre([...new Set(entries.map((each) => each.network))]),
    );
  }
  if (matches.length > 1) {
    throw new CommandFailure(
      exitCodes.conflict,
      'ambiguous',
      `${entry.network} stands in the allowlist ${matches.length} times; none was removed`,
      `Name one by its id: ${matches.map(({ id, env_id }) => `${id} (${env_id ?? 'all'})`).join(', ')}.`,
    );
  }
  await session.client.delete(pathOf(routes.allowlistEntry, { id: String(entry.id) }));
  const left = await session.client.list<AllowlistEntry>(
    routes.allowlist,
    entry.env_id === null ? { customer_id: entry.customer_id } : { env_id: entry.env_id },
    1,
  );
  const open = left.items.length === 0 ? ' No entry is left: every address gets in now.' : '';
  session.answer(entry, () => `${entry.network} is out of the allowlist.${open}`);
}
