/** `berth images`: the catalogue of images that environments start from. */
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { resourceBounds } from '@berth/contract/vocabulary';
import type { AddImage, Image, ImageFinding, UpdateImage } from '@berth/contract';
import { confirmRemoval } from '../confirm.ts';
import { audienceOf, customerNames } from '../customer.ts';
import type { AudienceOptions } from '../customer.ts';
import { CommandFailure, exitCodes, nothingToSet } from '../failure.ts';
import { addListCommand, answerList, collect } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, relativeTime, table } from '../text.ts';
import type { Cell } from '../text.ts';
import { cores, gibibyteSize, wholeNumber } from '../units.ts';

/** An image that is not there is pulled first. */
const checkTimeoutMs = 30 * 60_000;

interface EntryOptions extends CommonOptions, AudienceOptions {
  reference?: string;
  description?: string;
  cpu?: number;
  memory?: number;
  gpu?: number;
  storage?: number;
}

export function addImageCommands(program: Command): void {
  const images = program.command('images').description('Images that environments start from');

  addListCommand(images, 'list', 'List the images').action((_: object, command: Command) =>
    list(command.optsWithGlobals()),
  );

  addCommand(images, 'show', 'Show one image and what its last check found')
    .argument('<image>', 'name in the catalogue')
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  withEntry(addCommand(images, 'add', 'Add an image to the catalogue'))
    .argument('<name>', 'lower case letters, digits, dots and hyphens')
    .argument('<reference>', 'as "docker pull" takes it')
    .action((name: string, reference: string, _: object, command: Command) =>
      add(name, reference, command.optsWithGlobals()),
    );

  withEntry(addCommand(images, 'set', 'Change an image of the catalogue'))
    .argument('<image>', 'name in the catalogue')
    .option('--reference <reference>', 'as "docker pull" takes it')
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));

  addCommand(images, 'check', 'Look what an image lacks to be an environment')
    .argument('<image>', 'name in the catalogue')
    .addHelpText('after', '\nThe exit code is 1 where no environment can start from it.')
    .action((name: string, _: object, command: Command) => check(name, command.optsWithGlobals()));

  addCommand(images, 'remove', 'Take an image out of the catalogue')
    .argument('<image>', 'name in the catalogue')
    .option('--yes', 'without asking')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

function withEntry(command: Command): Command {
  return command
    .option('--description <text>', 'for people who choose')
    .option('--cpu <cores>', 'what an environment gets that names none', cores(resourceBounds.cpu))
    .option('--memory <size>', 'the same', gibibyteSize(resourceBounds.memory))
    .option('--gpu <count>', 'the same', wholeNumber(resourceBounds.gpu))
    .option('--storage <size>', 'the same', gibibyteSize(resourceBounds.storage))
    .option('--customer <customer>', 'only for this customer; may be repeated', collect)
    .option('--all-customers', 'for all customers (the default)');
}

async function entryOf(session: Session, options: EntryOptions): Promise<UpdateImage> {
  const { reference, description, cpu, memory, gpu, storage } = options;
  const resources = {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpu === undefined ? {} : { gpu }),
    ...(storage === undefined ? {} : { storage }),
  };
  const customers = await audienceOf(session.client, options);
  return {
    ...(reference === undefined ? {} : { reference }),
    ...(description === undefined ? {} : { description }),
    ...(Object.keys(resources).length === 0 ? {} : { default_resources: resources }),
    ...(customers === undefined ? {} : { customers }),
  };
}

async function list(options: ListOptions): Promise<void> {
  await answerList<Image>(new Session(options), {
    route: routes.images,
    limit: options.limit,
    columns: {
      NAME: ({ name }) => name,
      REFERENCE: ({ reference }) => reference,
      USABLE: usable,
      CUSTOMERS: ({ customers }) => (customers === null ? 'all' : String(customers.length)),
      DESCRIPTION: ({ description }) => description,
    },
    none: 'There are no images. Add one with: npx berth images add NAME REFERENCE',
  });
}

function usable({ check }: Image): Cell {
  if (check === null) return { text: 'not checked', look: 'dim' };
  if (!check.usable) return { text: 'no', look: 'red' };
  return check.findings.some(({ result }) => result === 'warning')
    ? { text: 'with warnings', look: 'yellow' }
    : { text: 'yes', look: 'green' };
}

async function show(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const image = await session.client.get<Image>(pathOf(routes.image, { name }));
  const customers = session.format === 'table' ? await customerNames(session.client, image.customers) : '';
  session.answer(image, () => describe(image, customers));
}

function describe(image: Image, customers: string): string {
  const defaults = Object.entries(image.default_resources).map(([name, amount]) => `${name} ${amount}`);
  const text = labelled([
    ['name', image.name],
    ['reference', image.reference],
    ['description', image.description],
    ['resources', defaults.length === 0 ? "Berth's defaults" : defaults.join(', ')],
    ['customers', customers],
    ['added', relativeTime(image.created_at)],
    ['checked', image.check === null ? 'never' : relativeTime(image.check.checked_at)],
  ]);
  return image.check === null ? text : `${text}\n\n${findingsText(image.check.findings)}`;
}

function findingsText(findings: ImageFinding[]): string {
  const looks = { ok: 'green', warning: 'yellow', missing: 'red' } as const;
  const text = table(
    ['WHAT', 'RESULT', 'DETAIL'],
    findings.map(({ what, result, detail }) => [what, { text: result, look: looks[result] }, detail]),
  );
  const cures = findings.flatMap(({ what, cure }) =>
    cure === null ? [] : [[what, cure] as [string, string]],
  );
  return cures.length === 0 ? text : `${text}\n\nTo mend it:\n${labelled(cures)}`;
}

async function add(name: string, reference: string, options: EntryOptions): Promise<void> {
  const session = new Session(options);
  const wanted: AddImage = { name, ...(await entryOf(session, options)), reference };
  const image = await session.client.post<Image>(routes.images, wanted);
  session.answer(
    image,
    () =>
      `The image ${image.name} is in the catalogue.\n\n` +
      `See whether it can be an environment: npx berth images check ${image.name}`,
  );
}

async function set(name: string, options: EntryOptions): Promise<void> {
  const session = new Session(options);
  const wanted = await entryOf(session, options);
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth images set');
  const image = await session.client.patch<Image>(pathOf(routes.image, { name }), wanted);
  session.answer(image, () => `The image ${image.name} is changed; environments get it at their next start.`);
}

async function check(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const image = await session.client.post<Image>(pathOf(routes.imageCheck, { name }), undefined, {
    answerTimeoutMs: checkTimeoutMs,
  });
  const { usable: fit, findings } = image.check ?? { usable: false, findings: [] };
  session.answer(
    image,
    () =>
      `${findingsText(findings)}\n\n` +
      (fit ? `Environments can start from ${image.name}.` : `No environment can start from ${image.name}.`),
  );
  if (!fit) {
    throw new CommandFailure(
      exitCodes.failed,
      'unusable_image',
      `The image ${image.name} cannot be an environment`,
    );
  }
}

async function remove(name: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const path = pathOf(routes.image, { name });
  const image = await session.client.get<Image>(path);
  if (!options.yes) {
    await confirmRemoval({
      name: image.name,
      what: `the image ${image.name} from the catalogue (${image.reference} itself stays)`,
      command: `berth images remove ${image.name}`,
    });
  }
  await session.client.delete(path);
  session.answer(image, () => `The image ${image.name} is out of the catalogue.`);
}
