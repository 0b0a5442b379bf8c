/**
 * What could stand next on a command line: commands, options, the values that an option knows, and the names of
 * things that the server has. It is asked at each press of Tab, so it is quick and never complains.
 */
import { json } from 'node:stream/consumers';
import type { Command, Option } from 'commander';
import { routes } from '@berth/contract/paths';
import { Client } from './client.ts';
import { placeInForce } from './place.ts';
import { readProfiles } from './profiles.ts';

export interface Candidate {
  word: string;
  about: string;
}

/** Longer than this nobody waits for a name. */
const namesTimeoutMs = 250;
const mostNames = 200;

/** Where names come from, by what arguments and options call them. */
const lists: Record<string, string> = {
  environment: routes.environments,
  customer: routes.customers,
  account: routes.accounts,
  token: routes.tokens,
  image: routes.images,
  dataset: routes.datasets,
  key: routes.sshKeys,
};

/** @param words those after `berth`; the last is the one that is being typed, and may be empty */
export async function candidatesFor(program: Command, words: string[]): Promise<Candidate[]> {
  const typed = words.at(-1) ?? '';
  const { command, operands, awaiting, places, onlyOperands } = read(program, words.slice(0, -1));
  const found =
    awaiting === undefined
      ? typed.startsWith('-') && !onlyOperands
        ? optionsOf(command)
        : await operandsOf(command, operands, places, typed)
      : await valuesOf(awaiting.argChoices, nameIn(awaiting.flags), places, typed);
  return found.filter(({ word }) => word.startsWith(typed));
}

type Places = { dataDir?: string; profile?: string };

interface Read {
  command: Command;
  operands: number;
  /** The option whose value comes next. */
  awaiting?: Option;
  places: Places;
  onlyOperands: boolean;
}

function read(program: Command, words: string[]): Read {
  const result: Read = { command: program, operands: 0, places: {}, onlyOperands: false };
  for (const word of words) {
    const { command, awaiting } = result;
    if (awaiting !== undefined) {
      delete result.awaiting;
      notePlace(result.places, awaiting.long, word);
    } else if (word === '--') result.onlyOperands = true;
    else if (word.startsWith('-') && !result.onlyOperands) {
      const [flag, value] = word.split('=', 2);
      const option = [...command.options, ...program.options].find(
        ({ long, short }) => long === flag || short === flag,
      );
      if (option?.required && value === undefined) result.awaiting = option;
      else if (value !== undefined) notePlace(result.places, flag, value);
    } else {
      const next = result.operands === 0 ? command.commands.find((each) => each.name() === word) : undefined;
      if (next === undefined) result.operands++;
      else result.command = next;
    }
  }
  return result;
}

function notePlace(places: Places, flag: string | undefined, value: string): void {
  if (flag === '--data-dir') places.dataDir = value;
  if (flag === '--profile') places.profile = value;
}

/** `--image <image>` -> "image" */
function nameIn(flags: string): string {
  return /[<[]([a-z]+)/.exec(flags)?.[1] ?? '';
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => ({ word: long ?? short ?? '', about: description }));
}

async function operandsOf(
  command: Command,
  before: number,
  places: Places,
  typed: string,
): Promise<Candidate[]> {
  if (command.commands.length > 0) {
    const subcommands = before === 0 ? command.createHelp().visibleCommands(command) : [];
    return subcommands.map((each) => ({ word: each.name(), about: each.description() }));
  }
  const last = command.registeredArguments.at(-1);
  const argument = command.registeredArguments[before] ?? (last?.variadic ? last : undefined);
  return argument === undefined ? [] : valuesOf(argument.argChoices, argument.name(), places, typed);
}

async function valuesOf(
  choices: string[] | undefined,
  name: string,
  places: Places,
  typed: string,
): Promise<Candidate[]> {
  if (choices !== undefined) return choices.map((word) => ({ word, about: '' }));
  if (name === 'profile') {
    return readProfiles().profiles.map((profile) => ({ word: profile.name, about: profile.url }));
  }
  const route = lists[name];
  return route === undefined ? [] : namesOf(route, places, typed);
}

async function namesOf(route: string, places: Places, typed: string): Promise<Candidate[]> {
  const client = Client.of(placeInForce(places));
  const stream = await client.stream(route, {
    query: {
      limit: mostNames,
      ...(route === routes.environments && typed !== '' ? { search: typed } : {}),
    },
    signal: AbortSignal.timeout(namesTimeoutMs),
  });
  const { items } = (await json(stream)) as {
    items: { name: string; env_id?: string; id?: number; status?: string }[];
  };
  const candidates = items.map(({ name, env_id, id, status = '' }): Candidate => {
    // A name with spaces, or with what a shell would read otherwise, is completed as its id.
    if (isPlain(name)) return { word: name, about: status };
    return { word: env_id ?? String(id ?? ''), about: `${status} ${name}`.trimStart() };
  });
  return candidates.filter(({ word }) => isPlain(word));
}

function isPlain(word: string): boolean {
  return /^[A-Za-z0-9._@%+,-]+$/.test(word) && !word.startsWith('-');
}
