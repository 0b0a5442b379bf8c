/** `berth status | settings | whoami`: this Berth as a whole. */
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { Platform, Whoami } from '@berth/contract';
import { socketIn } from '../place.ts';
import { Session, addCommand, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, table } from '../text.ts';

export function addPlatformCommands(program: Command): void {
  addCommand(program, 'status', 'Show how this Berth is', unnamed).action((_: object, command: Command) =>
    status(command.optsWithGlobals()),
  );

  addCommand(program, 'settings', 'Show the settings in force and where each came from').action(
    (_: object, command: Command) => settings(command.optsWithGlobals()),
  );

  addCommand(program, 'whoami', 'Show as whom Berth knows you').action((_: object, command: Command) =>
    whoami(command.optsWithGlobals()),
  );
}

async function status(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const platform = await session.client.get<Platform>(routes.platform);
  session.answer(platform, () => {
    const { used, resting, free } = platform.ports;
    return labelled([
      ['version', platform.version],
      ['installation', platform.installation_id],
      ['runtime', platform.runtime],
      ['database', platform.database],
      ['ports', `${used} used, ${resting} resting, ${free} free`],
      ...platform.images.map((image): [string, string] => ['image', `${image.name} (${image.reference})`]),
      ...platform.notes.map((note): [string, string] => ['note', note]),
      ...platform.unclaimed.map((thing): [string, string] => [
        'unclaimed',
        `${thing.kind} ${thing.name}, of ${thing.env_id}, which is no environment here; Berth leaves it alone`,
      ]),
    ]);
  });
}

async function settings(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const platform = await session.client.get<Platform>(routes.platform);
  session.answer(
    platform.settings,
    () =>
      table(
        ['NAME', 'VALUE', 'SOURCE'],
        platform.settings.map(({ name, value, source }) => [
          name,
          typeof value === 'string' ? value : value === null ? '-' : JSON.stringify(value),
          source,
        ]),
      ),
    (all) => all.map(({ name }) => name),
  );
}

async function whoami(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const me = await session.client.get<Whoami>(routes.whoami);
  session.answer(
    { ...me, place: place(session) },
    () =>
      labelled([
        ['account', me.account],
        ['role', me.role],
        ['customer', `${me.customer} (${me.customer_id})`],
        ['scopes', me.scopes.join(', ')],
        ['Berth', `${place(session).address}, since ${session.place.why}`],
      ]),
    () => me.account,
  );
}

function place({ place }: Session): { name: string; address: string; why: string } {
  const address = 'folder' in place ? socketIn(place.folder) : place.url;
  return { name: place.name, address, why: place.why };
}
