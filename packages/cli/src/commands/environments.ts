/** `berth create | list | show | start | stop | restart | delete`: environments and what is asked of them. */
import { constants } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { Argument, Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { ownPortModes, statuses, resourceBounds } from '@berth/contract/vocabulary';
import type {
  CreateEnvironment,
  CreatedEnvironment,
  Environment,
  OwnPortMode,
  Status,
} from '@berth/contract';
import type { Client } from '../client.ts';
import { addressOf, createdText, findEnvironment, refuseFailed, statusSentence } from '../environment.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { Progress } from '../progress.ts';
import { Session, addCommand, say } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, printable, relativeTime, table } from '../text.ts';
import { lastEventId } from '../timeline.ts';
import { cores, gibibyteSize, wholeNumber } from '../units.ts';
import { waitUntilAtRest } from '../wait.ts';

/** As a shell reports what SIGINT ended. */
const exitCodeOfInterrupt = 128 + constants.signals.SIGINT;

interface WaitOptions extends CommonOptions {
  wait?: true;
}

interface CreateOptions extends WaitOptions {
  image?: string;
  cpu?: number;
  memory?: number;
  gpu?: number;
  storage?: number;
  ownPort?: OwnPortMode;
  sudo: boolean;
}

export function addEnvironmentCommands(program: Command): void {
  addCommand(program, 'create', 'Create an environment')
    .argument('<name>', 'for people: 1 to 64 characters')
    .option('--image <name>', 'image in the catalogue')
    .option('--cpu <cores>', 'such as 2, 0.5 or 500m', cores(resourceBounds.cpu))
    .option('--memory <size>', 'such as 16, 16G, 16Gi or 512M', gibibyteSize(resourceBounds.memory))
    .option('--gpu <count>', 'whole devices', wholeNumber(resourceBounds.gpu))
    .option('--storage <size>', 'for each of the folders that last', gibibyteSize(resourceBounds.storage))
    .addOption(new Option('--own-port <mode>', 'a public port of its own').choices(ownPortModes))
    .option('--no-sudo', 'without root rights inside')
    .option('--wait', 'until it runs or failed')
    .action((name: string, _: object, command: Command) => create(name, command.optsWithGlobals()));

  addCommand(program, 'list', 'List the environments')
    .addOption(new Option('--status <status>', 'only those in this state').choices(statuses))
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(program, 'show', 'Show one environment')
    .addArgument(environmentArgument())
    .action((name: string, _: object, command: Command) => show(name, command.optsWithGlobals()));

  const changes = [
    ['start', routes.environmentStart, 'Start an environment that is stopped'],
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
    .option('--yes', 'without asking')
    .option('--wait', 'until it is gone')
    .action((name: string, _: object, command: Command) => remove(name, command.optsWithGlobals()));
}

export function environmentArgument(): Argument {
  return new Argument('<name>', "an environment's name or id");
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const session = new Session(options);
  const { image, cpu, memory, gpu, storage, ownPort } = options;
  const resources = {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
    ...(gpu === undefined ? {} : { gpu }),
    ...(storage === undefined ? {} : { storage }),
  };
  const wanted: CreateEnvironment = {
    name,
    ...(image === undefined ? {} : { image }),
    ...(Object.keys(resources).length === 0 ? {} : { resources }),
    ...(ownPort === undefined ? {} : { own_port: ownPort }),
    ...(options.sudo ? {} : { sudo: false }),
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
  if (session.json || environment.status !== 'failed') {
    session.answer(
      environment,
      () =>
        `${statusSentence(environment)}.\n\n${createdText(environment)}\n\nGet in with: npx berth ssh ${environment.env_id}`,
    );
  }
  refuseFailed(environment);
}

async function list(options: CommonOptions & { status?: Status }): Promise<void> {
  const session = new Session(options);
  const items = await session.client.all<Environment>(routes.environments, { status: options.status });
  session.answer({ items, next_cursor: null }, () =>
    items.length === 0
      ? 'There are no environments. Make one with: npx berth create NAME'
      : table(
          ['NAME', 'ID', 'STATUS', 'SINCE', 'IMAGE', 'CPU', 'MEMORY', 'SSH'],
          items.map((each) => [
            each.name,
            each.env_id,
            each.status,
            relativeTime(each.status_since),
            each.image,
            String(each.resources.cpu),
            `${each.resources.memory} GiB`,
            addressOf(each),
          ]),
        ),
  );
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
  ];
  if (environment.step !== null) rows.push(['step', environment.step]);
  if (failure !== null) rows.push(['cause', failure.cause], ['cure', failure.cure]);
  rows.push(
    ['image', environment.image],
    [
      'resources',
      `${resources.cpu} cores, ${resources.memory} GiB memory, ${resources.gpu} GPU, ${resources.storage} GiB storage`,
    ],
    ['sudo', environment.sudo ? 'yes' : 'no'],
    ['ssh', addressOf(environment)],
    ['jupyter', environment.jupyter_url],
    ['created', relativeTime(environment.created_at)],
    ['started', relativeTime(environment.started_at)],
    ...environment.notes.map((note): [string, string] => ['note', note]),
  );
  return labelled(rows);
}

async function change(name: string, route: string, options: WaitOptions): Promise<void> {
  const session = new Session(options);
  const { env_id: id } = await findEnvironment(session.client, name);
  const after = options.wait ? await lastEventId(session.client, id) : 0;
  const asked = await session.client.post<Environment>(pathOf(route, { id }));
  const environment = options.wait ? gone(await waitAloud(session.client, asked, after), asked) : asked;
  if (session.json || environment.status !== 'failed' || !options.wait) {
    session.answer(environment, () => {
      const sentence = `${statusSentence(environment)}.`;
      return environment.status === 'running'
        ? `${sentence}\n\n${labelled([['ssh', addressOf(environment)]])}`
        : sentence;
    });
  }
  if (options.wait) refuseFailed(environment);
}

async function remove(name: string, options: WaitOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const environment = await findEnvironment(session.client, name);
  const { env_id: id } = environment;
  if (!options.yes) await confirmDeletion(environment);
  const after = options.wait ? await lastEventId(session.client, id) : 0;
  await session.client.delete(pathOf(routes.environment, { id }));
  const left = options.wait ? await waitAloud(session.client, environment, after) : undefined;
  if (options.wait && left !== undefined) refuseFailed(left);
  session.answer(
    { env_id: id, name: environment.name, status: options.wait ? 'deleted' : 'deleting' },
    () => `${printable(environment.name)} is ${options.wait ? 'deleted' : 'being deleted'}.`,
  );
}

async function confirmDeletion(environment: Environment): Promise<void> {
  const name = printable(environment.name);
  if (!process.stdin.isTTY) {
    throw usageFailure(
      `${name} was not deleted: nobody is there to confirm that its files go too`,
      `To delete it without a question: berth delete ${environment.env_id} --yes`,
    );
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const interrupted = new AbortController();
  // Ctrl-C and Ctrl-D.
  lines.once('close', () => interrupted.abort());
  const question = `This deletes ${name} (${environment.env_id}) and its files. Type its name to go on: `;
  const answer = await lines.question(question, { signal: interrupted.signal }).catch(() => undefined);
  lines.close();
  if (answer === undefined) {
    throw new CommandFailure(exitCodeOfInterrupt, 'interrupted', `${name} was not deleted.`);
  }
  if (answer.trim() !== environment.name && answer.trim() !== environment.env_id) {
    throw new CommandFailure(
      exitCodes.failed,
      'not_confirmed',
      `${name} was not deleted: that is not its name.`,
    );
  }
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
