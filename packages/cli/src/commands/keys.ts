/** `berth keys`: the public keys that open one's environments. */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { AddSshKey, SshKey } from '@berth/contract';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { addListCommand, answerList, thereAre } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, relativeTime } from '../text.ts';

export function addKeyCommands(program: Command): void {
  const keys = program.command('keys').description('Public keys that open your environments');

  addCommand(keys, 'add', 'Add a public key')
    .argument('<name>', 'for people, such as laptop')
    .argument('<file>', 'a .pub file, or - for stdin')
    .action((name: string, file: string, _: object, command: Command) =>
      add(name, file, command.optsWithGlobals()),
    );

  addListCommand(keys, 'list', 'List the public keys').action((_: object, command: Command) =>
    list(command.optsWithGlobals()),
  );

  addCommand(keys, 'remove', 'Remove a public key')
    .argument('<key>', 'its id, name or fingerprint')
    .action((key: string, _: object, command: Command) => remove(key, command.optsWithGlobals()));
}

async function add(name: string, file: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const content = file === '-' ? await text(process.stdin) : readKeyFile(file);
  if (content.includes('PRIVATE KEY')) {
    throw usageFailure(
      `${file === '-' ? 'What came on stdin' : file} is a private key; it was not sent`,
      'Name the public half, which ends in .pub.',
    );
  }
  const wanted: AddSshKey = { name, public_key: content.trim() };
  const key = await session.client.post<SshKey>(routes.sshKeys, wanted);
  session.answer(key, () => `${printable(key.name)} (${key.fingerprint}) opens your environments now.`);
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw usageFailure(
      `The key file ${file} cannot be read (${reason})`,
      'Name a .pub file, such as ~/.ssh/id_ed25519.pub.',
    );
  }
}

async function list(options: ListOptions): Promise<void> {
  await answerList<SshKey>(new Session(options), {
    route: routes.sshKeys,
    limit: options.limit,
    columns: {
      ID: ({ id }) => String(id),
      NAME: ({ name }) => name,
      TYPE: ({ type }) => type,
      FINGERPRINT: ({ fingerprint }) => fingerprint,
      ADDED: ({ created_at }) => relativeTime(created_at),
      'LAST USED': ({ last_used_at }) => relativeTime(last_used_at),
    },
    none: 'There are no keys. Add one with: npx berth keys add NAME ~/.ssh/id_ed25519.pub',
    nameOf: ({ id }) => String(id),
  });
}

async function remove(wanted: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const keys = await session.client.all<SshKey>(routes.sshKeys);
  const exact = keys.filter((key) => String(key.id) === wanted || key.fingerprint === wanted);
  const matches = exact.length > 0 ? exact : keys.filter((key) => key.name === wanted);
  const [key] = matches;
  if (key === undefined) {
    throw new CommandFailure(
      exitCodes.notFound,
      'not_found',
      `not found: there is no key with the id, name or fingerprint ${printable(wanted)}; ` +
        thereAre(keys.map((each) => each.name)),
    );
  }
  if (matches.length > 1) {
    throw new CommandFailure(
      exitCodes.conflict,
      'ambiguous',
      `${matches.length} keys are called ${printable(wanted)}; none was removed`,
      `Name one by its id: ${matches.map((each) => each.id).join(', ')}.`,
    );
  }
  await session.client.delete(pathOf(routes.sshKey, { id: String(key.id) }));
  session.answer(key, () => `${printable(key.name)} (${key.fingerprint}) opens nothing any more.`);
}
