/** `berth create | list | show | set | start | stop | restart | delete`: environments and what is asked of them. */
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { ownPortModes, statuses, resourceBounds } from '@berth/contract/vocabulary';
import type {
  CreateEnvironment,
  CreatedEnvironment,
  Environment,
  EnvironmentSortKey,
  OwnPortMode,
  Resources,
  StartEnvironment,
  Status,
} from '@berth/contract';
import type { Client } from '../client.ts';
import { confirmRemoval, exitCodeOfInterrupt } from '../confirm.ts';
import { accessOf, accessRows, heldAtOnce, withAccess } from '../access.ts';
import type { AccessOptions } from '../access.ts';
import { customerId } from '../customer.ts';
import {
  addressOf,
  createdText,
  findEnvironment,
  refuseFailed,
  statusCell,
  statusSentence,
} from '../environment.ts';
import { CommandFailure, exitCodes, nothingToSet } from '../failure.ts';
import { addListCommand, answerList, collect } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Progress } from '../progress.ts';
import { Session, addCommand, say } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime } from '../text.ts';
import { lastEventId } from '../timeline.ts';
import { cores, gibibyteSize, wholeNumber } from '../units.ts';
import { variablesOf } from '../variables.ts';
import type { VariableOptions } from '../variables.ts';
import { waitUntilAtRest } from '../wait.ts';

const sortKeys: EnvironmentSortKey[] = ['created_at', 'name', 'status', 'started_at'];

interface WaitOptions extends CommonOptions {
  wait?: true;
}

interface ResourceOptions {
  cpu?: number;
  memory?: number;
  gpu?: number;
  storage?: number;
}

interface CreateOptions extends WaitOptions, ResourceOptions, VariableOptions, AccessOptions {
  image?: string;
  dataset?: string[];
  ownPort?: OwnPortMode;
  sudo: boolean;
  customer?: string;
  adoptStorage?: string;
}

interface SetOptions extends CommonOptions, ResourceOptions, VariableOptions, AccessOptions {
  name?: string;
  unsetEnv?: string[];
  dataset?: string[] | false;
  sudo?: boolean;
}

interface ListEnvironmentsOptions extends ListOptions {
  status?: Status;
  search?: string;
  image?: string;
  customer?: string;
  sort?: string;
}

export function addEnvironmentCommands(program: Command): void {
  const creation = addCommand(program, 'create', 'Create an environment')
    .argument('<name>', 'for people: 1 to 64 characters')
    .option('--image <image>', 'image in the catalogue');
  withResources(creation).option(
    '--storage <size>',
    'for each of the folders that last',
    gibibyteSize(resourceBounds.storage),
  );
  withAccess(creation)
    .option('--dataset <dataset>', 'mount this data set at /gemini/data-<name>; may be repeated', collect)
    .option('--env <name=value>', 'set a variable inside; may be repeated', collect)
    .option('--env-from <file>', 'set the variables of a file, NAME=VALUE a line; - for stdin')
    .addOption(new Option('--own-port <mode>', 'a public port of its own').choices(ownPortModes))
    .option('--no-sudo', 'without root rights inside')
    .option('--adopt-storage <id>', 'take the files that were kept of this deleted environment')
    .option('--customer <customer>', 'for this customer (for administrators)')
    .option('--wait', 'until it runs or failed')
    .action((name: string, _: object, command: Command) => create(name, command.optsWithGlobals()));

  addListCommand(program, 'list', 'List the environments')
    .addOption(new Option('--status <status>', 'only those in this state').choices(statuses))
    .option('--search <text>', 'only those with this in the name or id')
    .option('--image <image>', 'only those from this image')
    .option('--customer <customer>', 'only those of this customer')
    .addOption(
      new Option(
        '--sort <key>',
        'by what; with - before it the greatest first (default: -created_at)',
      ).choices(sortKeys.flatMap((key) => [key, `-${key}`])),
    )
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(program, 'show', 'Show one environment')
    .addArgument(environmentArgument())
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  const setting = addCommand(
    program,
    'set',
    'Change an environment; its resources, variables, data sets, sudo and exposure from its next start on',
  )
    .addArgument(environmentArgument())
    .option('--name <name>', 'call it so');
  withResources(setting).option(
    '--storage <size>',
    'for each of the folders that last',
    gibibyteSize(resourceBounds.storage),
  );
  withAccess(setting)
    .option('--env <name=value>', 'set a variable; may be repeated', collect)
    .option('--env-from <file>', 'set the variables of a file, NAME=VALUE a line; - for stdin')
    .option('--unset-env <name>', 'take a variable away; may be repeated', collect)
    .option('--dataset <dataset>', 'mount this data set and no other; may be repeated', collect)
    .option('--no-dataset', 'mount none')
    .option('--sudo', 'with root rights inside')
    .option('--no-sudo', 'without root rights inside')
    .action((name: string, _: object, command: Command) => set(name, command.optsWithGlobals()));

  const starting = addCommand(program, 'start', 'Start an environment that is stopped').addArgument(
    environmentArgument(),
  );
  withResources(starting, ', for this run only')
    .option('--wait', 'until it runs or failed')
    .action((name: string, _: object, command: Command) => {
      const options = command.optsWithGlobals<WaitOptions & ResourceOptions>();
      const resources = resourcesOf(options);
      return change(name, routes.environmentStart, options, resources && { resources });
    });

  const changes = [
    ['stop', routes.environmentStop, 'Stop an environment; its files stay'],
    ['restart', routes.environmentRestart, 'Stop an environment and start it again'],
  ] as const;
  for (const [verb, route, summary] of changes) {
    addCommand(program, verb, summary)
      .addArgument(environmentArgument())
      .option('--wait', 'until that is done')
      .action((name: string, _: object, command: Command) => change(name, route, command.optsWithGlobals()));
  }

  addCommand(program, 'delete', 'Delete an environment and its files')
    .addArgument(environmentArgument())
    .option('--keep-storage', 'keep its files, for another to adopt')
    .option('--yes', 'without asking')
    .option('--wait', 'until it is gone')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

export function environmentArgument(): Argument {
  return new Argument('<environment>', 'its name or id');
}

function withResources(command: Command, forHowLong = ''): Command {
  return command
    .option('--cpu <cores>', `such as 2, 0.5 or 500m${forHowLong}`, cores(resourceBounds.cpu))
    .option(
      '--memory <size>',
      `such as 16, 16G, 16Gi or 512M${forHowLong}`,
      gibibyteSize(resourceBounds.memory),
    )
    .option('--gpu <count>', `whole devices${forHowLong}`, wholeNumber(resourceBounds.gpu));
}

function resourcesOf({ cpu, memory, gpu, storage }: ResourceOptions): ResourceOptions | undefined {
  const resources = {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpu === undefined ? {} : { gpu }),
    ...(storage === undefined ? {} : { storage }),
  };
  return Object.keys(resources).length === 0 ? undefined : resources;
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const session = new Session(options);
  const { image, dataset, ownPort, customer, adoptStorage } = options;
  const resources = resourcesOf(options);
  const variables = await variablesOf(options);
  const wanted: CreateEnvironment = {
    name,
    ...(image === undefined ? {} : { image }),
    ...(resources === undefined ? {} : { resources }),
    ...(dataset === undefined ? {} : { datasets: dataset }),
    ...(variables === undefined ? {} : { env_vars: variables }),
    ...(ownPort === undefined ? {} : { own_port: ownPort }),
    ...(options.sudo ? {} : { sudo: false }),
    ...(customer === undefined ? {} : { customer_id: await customerId(session.client, customer) }),
    ...(adoptStorage === undefined ? {} : { adopt_storage: adoptStorage }),
    ...accessOf(options),
  };
  const created = await session.client.post<CreatedEnvironment>(routes.environments, wanted);
  const title = printable(created.name);
  if (!options.wait) {
    session.answer(
      created,
      () =>
        `${title} is being created.\n\n${createdText(created)}\n\n` +
        `Follow it with: npx berth events ${created.env_id} --follow`,
    );
    return;
  }
  const atRest = await waitAloud(session.client, created, 0);
  const environment = { ...gone(atRest, created), ssh_password: created.ssh_password };
  if (session.forPrograms || environment.status !== 'failed') {
    session.answer(
      environment,
      () =>
        `${statusSentence(environment)}.\n\n${createdText(environment)}\n\nGet in with: npx berth ssh ${environment.env_id}`,
    );
  }
  refuseFailed(environment);
}

async function list(options: ListEnvironmentsOptions): Promise<void> {
  const session = new Session(options);
  const { status, search, image, sort, customer, limit } = options;
  const filtered = [status, search, image, customer].some((each) => each !== undefined);
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  await answerList<Environment>(session, {
    route: routes.environments,
    query: { status, search, image, sort, customer_id },
    limit,
    columns: {
      NAME: (each) => each.name,
      ID: (each) => each.env_id,
      STATUS: (each) => statusCell(each.status),
      SINCE: (each) => relativeTime(each.status_since),
      IMAGE: (each) => each.image,
      CPU: (each) => String(each.resources.cpu),
      MEMORY: (each) => `${each.resources.memory} GiB`,
      SSH: addressOf,
    },
    none: filtered
      ? 'No environment is like that.'
      : 'There are no environments. Make one with: npx berth create NAME',
  });
}

async function show(name: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  session.answer(environment, () => describe(environment));
}

function describe(environment: Environment): string {
  const { resources, failure } = environment;
  const rows: [string, string][] = [
    ['name', printable(environment.name)],
    ['id', environment.env_id],
    ['status', `${environment.status}, ${relativeTime(environment.status_since)}`],
    ['customer', String(environment.customer_id)],
  ];
  if (environment.step !== null) rows.push(['step', environment.step]);
  if (failure !== null) rows.push(['cause', failure.cause], ['cure', failure.cure]);
  rows.push(
    ['image', environment.image],
    ['resources', resourcesText(resources)],
    ...(environment.running_resources === null
      ? []
      : [['runs with', resourcesText(environment.running_resources)] as [string, string]]),
    ...(environment.datasets.length === 0
      ? []
      : [['data sets', environment.datasets.join(', ')] as [string, string]]),
    ...(environment.env_vars.length === 0
      ? []
      : [['variables', environment.env_vars.join(', ')] as [string, string]]),
    ['sudo', environment.sudo ? 'yes' : 'no'],
    ['ssh', addressOf(environment)],
    ...accessRows(environment),
    ['jupyter', environment.jupyter_url],
    ['created', relativeTime(environment.created_at)],
    ['started', relativeTime(environment.started_at)],
    ...(environment.password_expires_at === null
      ? []
      : [['password', `is replaced ${relativeTime(environment.password_expires_at)}`] as [string, string]]),
    ...environment.notes.map((note): [string, string] => ['note', note]),
  );
  return labelled(rows);
}

function resourcesText({ cpu, memory, gpu, storage }: Resources): string {
  return `${cpu} cores, ${memory} GiB memory, ${gpu} GPU, ${storage} GiB storage`;
}

async function set(name: string, options: SetOptions): Promise<void> {
  const session = new Session(options);
  const resources = resourcesOf(options);
  const variables = {
    ...(await variablesOf(options)),
    ...Object.fromEntries((options.unsetEnv ?? []).map((each) => [each, null])),
  };
  const wanted = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(resources === undefined ? {} : { resources }),
    ...(Object.keys(variables).length === 0 ? {} : { env_vars: variables }),
    ...(options.dataset === undefined ? {} : { datasets: options.dataset === false ? [] : options.dataset }),
    ...(options.sudo === undefined ? {} : { sudo: options.sudo }),
    ...accessOf(options),
  };
  if (Object.keys(wanted).length === 0) throw nothingToSet('berth set');
  const { env_id: id } = await findEnvironment(session.client, name);
  const changed = await session.client.patch<Environment>(pathOf(routes.environment, { id }), wanted);
  const later = Object.keys(wanted).some((key) => !heldAtOnce.has(key)) && changed.status !== 'stopped';
  session.answer(
    changed,
    () =>
      `${printable(changed.name)} is changed${later ? '; it takes effect at its next start' : ''}.\n\n${describe(changed)}`,
  );
}

async function change(
  name: string,
  route: string,
  options: WaitOptions,
  body?: StartEnvironment,
): Promise<void> {
  const session = new Session(options);
  const { env_id: id } = await findEnvironment(session.client, name);
  const after = options.wait ? await lastEventId(session.client, id) : 0;
  const asked = await session.client.post<Environment>(pathOf(route, { id }), body);
  const environment = options.wait ? gone(await waitAloud(session.client, asked, after), asked) : asked;
  if (session.forPrograms || environment.status !== 'failed' || !options.wait) {
    session.answer(environment, () => {
      const sentence = `${statusSentence(environment)}.`;
      return environment.status === 'running'
        ? `${sentence}\n\n${labelled([['ssh', addressOf(environment)]])}`
        : sentence;
    });
  }
  if (options.wait) refuseFailed(environment);
}

async function remove(
  name: string,
  options: WaitOptions & { yes?: true; keepStorage?: true },
): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  const { env_id: id } = environment;
  if (!options.yes) {
    await confirmRemoval({
      name: environment.name,
      id,
      what: `${environment.name} (${id})${options.keepStorage ? '; its files are kept' : ' and its files'}`,
      command: `berth delete ${id}${options.keepStorage ? ' --keep-storage' : ''}`,
    });
  }
  const after = options.wait ? await lastEventId(session.client, id) : 0;
  await session.client.delete(pathOf(routes.environment, { id }), { keep_storage: options.keepStorage });
  const left = options.wait ? await waitAloud(session.client, environment, after) : undefined;
  if (options.wait && left !== undefined) refuseFailed(left);
  const kept = options.keepStorage
    ? ` Its files are kept; another takes them with: npx berth create NAME --adopt-storage ${id}`
    : '';
  session.answer(
    { env_id: id, name: environment.name, status: options.wait ? 'deleted' : 'deleting' },
    () => `${printable(environment.name)} is ${options.wait ? 'deleted' : 'being deleted'}.${kept}`,
  );
}

/** Shows progress; Ctrl-C ends the waiting, not what is waited for. */
async function waitAloud(
  client: Client,
  environment: Environment,
  after: number,
): Promise<Environment | undefined> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    const atRest = await waitUntilAtRest(client, environment.env_id, {
      after,
      progress: new Progress(),
      signal: interrupted.signal,
    });
    if (!interrupted.signal.aborted) return atRest;
  } finally {
    process.off('SIGINT', interrupt);
  }
  say(`Berth goes on with ${printable(environment.name)}; see: npx berth show ${environment.env_id}`);
  throw new CommandFailure(exitCodeOfInterrupt, 'interrupted', 'No longer waiting.');
}

/** @throws CommandFailure when somebody deleted what was waited for */
function gone(environment: Environment | undefined, before: Environment): Environment {
  if (environment !== undefined) return environment;
  throw new CommandFailure(exitCodes.failed, 'gone', `${before.name} was deleted meanwhile.`);
}
