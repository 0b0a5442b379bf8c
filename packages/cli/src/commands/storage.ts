/** `berth storage`: files of deleted environments that were kept. */
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { KeptStorage } from '@berth/contract';
import { confirmRemoval } from '../confirm.ts';
import { CommandFailure, exitCodes } from '../failure.ts';
import { addListCommand, answerList, thereAre } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, relativeTime } from '../text.ts';

export function addStorageCommands(program: Command): void {
  const storage = program.command('storage').description('Kept files of deleted environments');

  addListCommand(storage, 'list', 'List the kept files').action((_: object, command: Command) =>
    list(command.optsWithGlobals()),
  );

  addCommand(storage, 'remove', 'Delete kept files for good')
    .argument('<id>', 'id of the environment whose files they were')
    .option('--yes', 'without asking')
    .action((id: string, _: object, command: Command) => remove(id, command.optsWithGlobals()));
}

async function list(options: ListOptions): Promise<void> {
  await answerList<KeptStorage>(new Session(options), {
    route: routes.keptStorage,
    limit: options.limit,
    columns: {
      ID: ({ env_id }) => env_id,
      NAME: ({ name }) => name,
      SIZE: ({ storage }) => `${storage} GiB a folder`,
      KEPT: ({ kept_since }) => relativeTime(kept_since),
    },
    none: 'There are no kept files. Keep some with: npx berth delete NAME --keep-storage',
  });
}

async function remove(id: string, options: CommonOptions & { yes?: true }): Promise<void> {
  const session = new Session(options);
  const all = await session.client.all<KeptStorage>(routes.keptStorage);
  const kept = all.find(({ env_id }) => env_id === id);
  if (kept === undefined) {
    throw new CommandFailure(
      exitCodes.notFound,
      'not_found',
      `not found: there are no kept files of ${printable(id)}; ${thereAre(all.map(({ env_id }) => env_id))}`,
    );
  }
  if (!options.yes) {
    await confirmRemoval({
      name: id,
      what: `the files of ${kept.name} (${id}), kept ${relativeTime(kept.kept_since)}`,
      command: `berth storage remove ${id}`,
    });
  }
  await session.client.delete(pathOf(routes.keptStorageOf, { id }));
  session.answer(kept, () => `The files of ${printable(kept.name)} (${id}) are being deleted.`);
}
