/** What each command has at hand: the client, and the way to stdout and stderr. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { Client } from './client.ts';
import { usageFailure } from './failure.ts';
import { placeInForce } from './place.ts';
import type { Place } from './place.ts';
import { jsonText, printable } from './text.ts';
import { yamlText } from './yaml.ts';

export type Format = 'table' | 'json' | 'yaml' | 'name' | 'jsonl';

export interface CommonOptions {
  json?: true;
  output?: Format;
  dataDir?: string;
  profile?: string;
}

let answered = false;

/** Whether anything stands on stdout already, so that a failure must not add a document of its own. */
export function hasAnswered(): boolean {
  return answered;
}

export function writeAnswer(text: string): void {
  answered = true;
  process.stdout.write(`${text}\n`);
}

export class Session {
  readonly client: Client;
  readonly place: Place;
  readonly format: Format;

  /** @throws CommandFailure when two formats are asked for, or nothing says where Berth is */
  constructor(options: CommonOptions) {
    this.format = formatOf(options);
    this.place = placeInForce(options);
    this.client = Client.of(this.place);
  }

  /** Whether a program reads the answer, so that it is a document whatever it says. */
  get forPrograms(): boolean {
    return this.format !== 'table';
  }

  /**
   * The command's answer: a document for programs, or text for people.
   *
   * @param nameOf what `-o name` shows of it, or of each of its `items`; other commands take that
   */
  answer<T>(document: T, forPeople: () => string, nameOf?: (document: T) => string | string[]): void {
    writeDocument(this.format, document, forPeople, nameOf);
  }

  /** The same, for commands that ask no server. */
  static answerOf<T>(
    options: CommonOptions,
    document: T,
    forPeople: () => string,
    nameOf?: (document: T) => string | string[],
  ): void {
    writeDocument(formatOf(options), document, forPeople, nameOf);
  }

  /** One of many answers that are written as they come: one JSON document a line, or one YAML document each. */
  line(document: unknown, forPeople: () => string): void {
    if (this.format === 'yaml') writeAnswer(`---\n${yamlText(document)}`);
    else writeAnswer(this.format === 'table' ? forPeople() : jsonText(document));
  }
}

function writeDocument<T>(
  format: Format,
  document: T,
  forPeople: () => string,
  nameOf: (document: T) => string | string[] = nameIn,
): void {
  if (format === 'table') writeAnswer(forPeople());
  else if (format === 'yaml') writeAnswer(yamlText(document));
  else if (format === 'name') {
    const names = [nameOf(document)].flat().map(printable);
    if (names.length > 0) writeAnswer(names.join('\n'));
  } else writeAnswer(jsonText(document, 2));
}

function nameIn(document: unknown): string {
  const { env_id, name, id } = document as { env_id?: string; name?: string; id?: number };
  return env_id ?? name ?? String(id);
}

function formatOf({ json, output }: CommonOptions): Format {
  if (json && output !== undefined && output !== 'json') {
    throw usageFailure(
      `--json and -o ${output} ask for two formats`,
      'Name one; --json is short for -o json.',
    );
  }
  return json ? 'json' : (output ?? 'table');
}

/** What is said aside: never part of the answer. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function withPlace(command: Command): Command {
  return command
    .option('--data-dir <folder>', 'ask the Berth of this machine that has this data folder')
    .option('--profile <profile>', 'ask the Berth of this profile; see "berth profiles list"');
}

export function withCommonOptions(command: Command, formats: Format[]): Command {
  return withOutput(withPlace(command), formats);
}

export function withOutput(command: Command, formats: Format[]): Command {
  return command
    .addOption(new Option('-o, --output <format>', 'how the answer is written').choices(formats))
    .option('--json', 'short for -o json; everything else goes to stderr');
}

/** For what has no name to show. */
export const unnamed: Format[] = ['table', 'json', 'yaml'];
export const named: Format[] = [...unnamed, 'name'];

/** Adds a command with the options that every command has. */
export function addCommand(
  parent: Command,
  nameAndArguments: string,
  summary: string,
  formats: Format[] = named,
): Command {
  return withCommonOptions(parent.command(nameAndArguments).description(summary), formats);
}
