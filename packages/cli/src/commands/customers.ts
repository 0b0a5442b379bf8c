/** `berth customers`: who owns environments. */
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { CreateCustomer, Customer, UpdateCustomer } from '@berth/contract';
import { confirmRemoval } from '../confirm.ts';
import { switchOption } from '../access.ts';
import { findCustomer } from '../customer.ts';
import { nothingToSet } from '../failure.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime } from '../text.ts';

export function addCustomerCommands(program: Command): void {
  const customers = program.command('customers').description('Customers, who own environments');

  addListCommand(customers, 'list', 'List the customers')
    .option('--search <text>', 'only those with this in the name')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(customers, 'show', 'Show one customer')
    .argument('<customer>', 'name or id')
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  addCommand(customers, 'add', 'Add a customer')
    .argument('<name>', 'for people: 1 to 64 characters')
    .action((name: string, _: object, command: Command) => add(name, command.optsWithGlobals()));

  addCommand(customers, 'rename', 'Give a customer another name')
    .argument('<customer>', 'name or id')
    .argument('<name>', 'the new name')
    .action((name: string, newName: string, _: object, command: Command) =>
      rename(name, newName, command.optsWithGlobals()),
    );

  addCommand(customers, 'set', 'Change a customer')
    .argument('<customer>', 'name or id')
    .option('--name <name>', 'call it so')
    .addOption(
      switchOption('--password-login <on|off>', 'whether passwords open its environments; off: keys only'),
    )
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));

  addCommand(customers, 'remove', 'Remove a customer that has nothing any more')
    .argument('<customer>', 'name or id')
    .option('--yes', 'without asking')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

async function list(options: ListOptions & { search?: string }): Promise<void> {
  const { search, limit } = options;
  await answerList<Customer>(new Session(options), {
    route: routes.customers,
    query: { search },
    limit,
    columns: {
      ID: ({ id }) => String(id),
      NAME: ({ name }) => name,
      ACCOUNTS: ({ accounts }) => String(accounts),
      ENVIRONMENTS: ({ environments }) => String(environments),
      ADDED: ({ created_at }) => relativeTime(created_at),
    },
    none: search === undefined ? 'There are no customers.' : 'No customer is called like that.',
  });
}

async function show(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const customer = await findCustomer(session.client, name);
  session.answer(customer, () => describe(customer));
}

function describe(customer: Customer): string {
  return labelled([
    ['name', customer.name],
    ['id', String(customer.id)],
    ['accounts', String(customer.accounts)],
    ['environments', String(customer.environments)],
    ['passwords', customer.password_login ? 'on' : 'off'],
    ['added', relativeTime(customer.created_at)],
  ]);
}

async function add(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const wanted: CreateCustomer = { name };
  const customer = await session.client.post<Customer>(routes.customers, wanted);
  session.answer(
    customer,
    () =>
      `The customer ${printable(customer.name)} (${customer.id}) is there.\n\n` +
      `Let somebody in with: npx berth accounts add NAME --customer ${customer.id}`,
  );
}

async function rename(name: string, newName: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const { id } = await findCustomer(session.client, name);
  const wanted: UpdateCustomer = { name: newName };
  const customer = await session.client.patch<Customer>(pathOf(routes.customer, { id: String(id) }), wanted);
  session.answer(customer, () => `The customer ${customer.id} is called ${printable(customer.name)} now.`);
}

async function set(
  name: string,
  options: CommonOptions & { name?: string; passwordLogin?: boolean },
): Promise<void> {
  const session = new Session(options);
  const wanted: UpdateCustomer = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.passwordLogin === undefined ? {} : { password_login: options.passwordLogin }),
  };
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth customers set');
  const { id } = await findCustomer(session.client, name);
  const customer = await session.client.patch<Customer>(pathOf(routes.customer, { id: String(id) }), wanted);
  session.answer(customer, () => `${printable(customer.name)} is changed.\n\n${describe(customer)}`);
}

async function remove(name: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const customer = await findCustomer(session.client, name);
  const id = String(customer.id);
  if (!options.yes) {
    await confirmRemoval({
      name: customer.name,
      id,
      what: `the customer ${customer.name} (${id})`,
      command: `berth customers remove ${id}`,
    });
  }
  await session.client.delete(pathOf(routes.customer, { id }));
  session.answer(customer, () => `The customer ${printable(customer.name)} is removed.`);
}
