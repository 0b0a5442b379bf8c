/** What each command has at hand: the client, and the way to stdout and stderr. */
import type { Command } from 'commander';
import { Client } from './client.ts';
import { dataFolder } from './place.ts';
import { jsonText } from './text.ts';

export interface CommonOptions {
  json?: true;
  dataDir?: string;
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
  readonly json: boolean;

  /** The flag names a server on this machine, so it wins over BERTH_URL. */
  constructor({ json, dataDir }: CommonOptions) {
    const url = process.env['BERTH_URL'];
    this.json = json === true;
    this.client =
      url && dataDir === undefined
        ? Client.at(url, process.env['BERTH_TOKEN'])
        : Client.onThisMachine(dataFolder(dataDir));
  }

  /** The command's answer: a document for programs, or text for people. */
  answer(document: unknown, forPeople: () => string): void {
    writeAnswer(this.json ? jsonText(document, 2) : forPeople());
  }

  /** One of many answers that are written as they come: one JSON document a line. */
  line(document: unknown, forPeople: () => string): void {
    writeAnswer(this.json ? jsonText(document) : forPeople());
  }
}

/** What is said aside: never part of the answer. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function withDataDir(command: Command): Command {
  return command.option(
    '--data-dir <folder>',
    "Berth's data folder (default: BERTH_DATA_DIR, else the XDG data folder)",
  );
}

export function withCommonOptions(command: Command): Command {
  return withDataDir(command).option('--json', 'one JSON document on stdout, everything else on stderr');
}

/** Adds a command with the options that every command has. */
export function addCommand(parent: Command, nameAndArguments: string, summary: string): Command {
  return withCommonOptions(parent.command(nameAndArguments).description(summary));
}
