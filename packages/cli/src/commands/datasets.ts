/** `berth datasets`: files that many environments mount. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { AddDataset, Dataset, DatasetKind, UpdateDataset } from '@berth/contract';
import { confirmRemoval } from '../confirm.ts';
import { audienceOf, customerNames } from '../customer.ts';
import type { AudienceOptions } from '../customer.ts';
import { nothingToSet } from '../failure.ts';
import { addListCommand, answerList, collect } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, relativeTime } from '../text.ts';

const kinds: DatasetKind[] = ['folder', 'volume'];

interface EntryOptions extends CommonOptions, AudienceOptions {
  kind?: DatasetKind;
  writable?: true;
  readOnly?: true;
  description?: string;
}

export function addDatasetCommands(program: Command): void {
  const datasets = program
    .command('datasets')
    .description('Data sets that environments mount at /gemini/data-<name>');

  addListCommand(datasets, 'list', 'List the data sets').action((_: object, command: Command) =>
    list(command.optsWithGlobals()),
  );

  addCommand(datasets, 'show', 'Show one data set')
    .argument('<dataset>', 'name in the catalogue')
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  withEntry(addCommand(datasets, 'add', 'Add a data set'))
    .argument('<name>', 'lower case letters, digits and hyphens')
    .argument('<source>', "absolute path of a folder where Berth runs, or a volume's name")
    .addOption(
      new Option('--kind <kind>', 'what the source is (default: folder where it begins with /)').choices(
        kinds,
      ),
    )
    .action((name: string, source: string, _: object, command: Command) =>
      add(name, source, command.optsWithGlobals()),
    );

  withEntry(addCommand(datasets, 'set', 'Change a data set; environments get it at their next start'))
    .argument('<dataset>', 'name in the catalogue')
    .option('--read-only', 'environments cannot write to it')
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));

  addCommand(datasets, 'remove', 'Take a data set out of the catalogue; its files stay')
    .argument('<dataset>', 'name in the catalogue')
    .option('--yes', 'without asking')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

function withEntry(command: Command): Command {
  return command
    .option('--writable', 'environments can write to it (default: read-only)')
    .option('--description <text>', 'for people who choose')
    .option('--customer <customer>', 'only for this customer; may be repeated', collect)
    .option('--all-customers', 'for all customers (the default)');
}

async function entryOf(session: Session, options: EntryOptions): Promise<UpdateDataset> {
  const { description, writable, readOnly } = options;
  const customers = await audienceOf(session.client, options);
  return {
    ...(writable ? { read_only: false } : {}),
    ...(readOnly ? { read_only: true } : {}),
    ...(description === undefined ? {} : { description }),
    ...(customers === undefined ? {} : { customers }),
  };
}

async function list(options: ListOptions): Promise<void> {
  await answerList<Dataset>(new Session(options), {
    route: routes.datasets,
    limit: options.limit,
    columns: {
      NAME: ({ name }) => name,
      KIND: ({ kind }) => kind,
      SOURCE: ({ source }) => source ?? '-',
      ACCESS: ({ read_only }) => (read_only ? 'read' : 'write'),
      'USED BY': ({ environments }) => String(environments),
      CUSTOMERS: ({ customers }) => (customers === null ? 'all' : String(customers.length)),
    },
    none: 'There are no data sets. Add one with: npx berth datasets add NAME /PATH',
  });
}

async function show(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const dataset = await session.client.get<Dataset>(pathOf(routes.dataset, { name }));
  const customers = session.format === 'table' ? await customerNames(session.client, dataset.customers) : '';
  session.answer(dataset, () =>
    labelled([
      ['name', dataset.name],
      [dataset.kind, dataset.source ?? 'only administrators see it'],
      ['mounted at', dataset.mount_path],
      ['access', dataset.read_only ? 'read' : 'write'],
      ['description', dataset.description],
      ['customers', customers],
      ['used by', `${dataset.environments} environments`],
      ['added', relativeTime(dataset.created_at)],
    ]),
  );
}

async function add(name: string, source: string, options: EntryOptions): Promise<void> {
  const session = new Session(options);
  const kind = options.kind ?? (source.startsWith('/') ? 'folder' : 'volume');
  const wanted: AddDataset = { name, kind, source, ...(await entryOf(session, options)) };
  const dataset = await session.client.post<Dataset>(routes.datasets, wanted);
  session.answer(
    dataset,
    () =>
      `The data set ${dataset.name} is there. Environments made with "--dataset ${dataset.name}" have it at ` +
      `${dataset.mount_path}.`,
  );
}

async function set(name: string, options: EntryOptions): Promise<void> {
  const session = new Session(options);
  const wanted = await entryOf(session, options);
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth datasets set');
  const dataset = await session.client.patch<Dataset>(pathOf(routes.dataset, { name }), wanted);
  session.answer(
    dataset,
    () => `The data set ${dataset.name} is changed; environments get it at their next start.`,
  );
}

async function remove(name: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const path = pathOf(routes.dataset, { name });
  const dataset = await session.client.get<Dataset>(path);
  if (!options.yes) {
    await confirmRemoval({
      name: dataset.name,
      what: `the data set ${dataset.name} from the catalogue (its files stay)`,
      command: `berth datasets remove ${dataset.name}`,
    });
  }
  await session.client.delete(path);
  session.answer(dataset, () => `The data set ${dataset.name} is out of the catalogue; its files stay.`);
}
