/** `berth quotas`: how much each customer may use, and uses. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { quotaLimits } from '@berth/contract/vocabulary';
import type { Limits, Quota, SetLimits, Whoami } from '@berth/contract';
import { customerId } from '../customer.ts';
import { nothingToSet } from '../failure.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, table } from '../text.ts';
import type { Cell } from '../text.ts';
import { gibibyteSize, wholeNumber } from '../units.ts';

type LimitName = keyof Limits;
type LimitOptions = Partial<Record<LimitName, number | 'none'>>;

const units: Record<LimitName, string> = {
  environments: '',
  cpu: 'cores',
  memory: 'GiB',
  gpu: '',
  storage: 'GiB',
};

export function addQuotaCommands(program: Command): void {
  const quotas = program.command('quotas').description('How much each customer may use');

  addListCommand(quotas, 'list', 'List what customers use and may use').action(
    (_: object, command: Command) => list(command.optsWithGlobals()),
  );

  addCommand(quotas, 'show', 'Show what a customer uses and may use')
    .argument('[customer]', 'name or id (default: your own)')
    .action((name: string | undefined, _: object, command: Command) => show(name, command.optsWithGlobals()));

  const whole = wholeNumber({ minimum: 0, maximum: 1_000_000 });
  addCommand(quotas, 'set', 'Limit what a customer may use; "none" takes a limit away')
    .argument('<customer>', 'name or id')
    .option('--environments <count>', 'environments, running or not', orNone(whole))
    .option('--cpu <cores>', 'cores of the environments that run', orNone(amount))
    .option(
      '--memory <size>',
      'memory of the environments that run, such as 64 or 64G',
      orNone(gibibyteSize({ minimum: 0, maximum: 100_000_000 })),
    )
    .option('--gpu <count>', 'devices of the environments that run', orNone(whole))
    .option(
      '--storage <size>',
      'all folders that last, such as 500G or 2T',
      orNone(gibibyteSize({ minimum: 0, maximum: 1_000_000_000 })),
    )
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));
}

/** commander takes null for no value at all. */
function orNone(read: (value: string) => number): (value: string) => number | 'none' {
  return (value) => {
    if (value === 'none') return value;
    try {
      return read(value);
    } catch (error) {
      const allowed =
        error instanceof InvalidArgumentError ? error.message.replace(/\.$/, '') : 'Allowed: a number';
      throw new InvalidArgumentError(`${allowed}; or none for no limit.`);
    }
  };
}

function amount(value: string): number {
  const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
  if (number <= 1_000_000) return number;
  throw new InvalidArgumentError('Allowed: a number from 0 to 1000000, such as 16 or 0.5.');
}

/** "2 of 4": red where nothing is left. */
function use({ used, limits }: Quota, name: LimitName): Cell {
  const limit = limits[name];
  const text = `${used[name]} of ${limit ?? 'any'}`;
  return { text, look: limit !== null && used[name] >= limit ? 'red' : 'none' };
}

async function list(options: ListOptions): Promise<void> {
  await answerList<Quota>(new Session(options), {
    route: routes.quotas,
    limit: options.limit,
    columns: {
      CUSTOMER: ({ customer }) => customer,
      ENVIRONMENTS: (quota) => use(quota, 'environments'),
      CPU: (quota) => use(quota, 'cpu'),
      'MEMORY GiB': (quota) => use(quota, 'memory'),
      GPU: (quota) => use(quota, 'gpu'),
      'STORAGE GiB': (quota) => use(quota, 'storage'),
    },
    none: 'There are no customers.',
    nameOf: ({ customer }) => customer,
  });
}

async function show(name: string | undefined, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const id =
    name === undefined
      ? (await session.client.get<Whoami>(routes.whoami)).customer_id
      : await customerId(session.client, name);
  const quota = await session.client.get<Quota>(pathOf(routes.quota, { id: String(id) }));
  session.answer(quota, () => describe(quota), nameOf);
}

function nameOf({ customer }: Quota): string {
  return customer;
}

function describe(quota: Quota): string {
  return table(
    ['WHAT', 'USED', 'LIMIT', ''],
    quotaLimits.map((name) => {
      const limit = quota.limits[name];
      const full = limit !== null && quota.used[name] >= limit;
      return [
        name,
        { text: String(quota.used[name]), look: full ? 'red' : 'none' },
        limit === null ? 'none' : String(limit),
        units[name],
      ];
    }),
  );
}

async function set(name: string, options: CommonOptions & LimitOptions): Promise<void> {
  const wanted: SetLimits = Object.fromEntries(
    quotaLimits.flatMap((each) =>
      options[each] === undefined ? [] : [[each, options[each] === 'none' ? null : options[each]]],
    ),
  );
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth quotas set');
  const session = new Session(options);
  const id = await customerId(session.client, name);
  const quota = await session.client.put<Quota>(pathOf(routes.quota, { id: String(id) }), wanted);
  session.answer(
    quota,
    () => `The limits of ${printable(quota.customer)} are changed.\n\n${describe(quota)}`,
    nameOf,
  );
}
