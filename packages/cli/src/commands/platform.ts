/** `berth status | settings | ports | whoami`: this Berth as a whole. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { Platform, PortMapping, Whoami } from '@berth/contract';
import { Session, addCommand } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { labelled, relativeTime, table } from '../text.ts';

export function addPlatformCommands(program: Command): void {
  addCommand(program, 'ports', 'List who holds which port, and who held it')
    .addOption(new Option('--status <status>', 'only these').choices(['active', 'released']))
    .action((_: object, command: Command) => ports(command.optsWithGlobals()));

  addCommand(program, 'status', 'Show how this Berth is').action((_: object, command: Command) =>
    status(command.optsWithGlobals()),
  );

  addCommand(program, 'settings', 'Show the settings in force and where each came from').action(
    (_: object, command: Command) => settings(command.optsWithGlobals()),
  );

  addCommand(program, 'whoami', 'Show as whom Berth knows you').action((_: object, command: Command) =>
    whoami(command.optsWithGlobals()),
  );
}

async function ports(options: CommonOptions & { status?: PortMapping['status'] }): Promise<void> {
  const session = new Session(options);
  const items = await session.client.all<PortMapping>(routes.ports, { status: options.status });
  session.answer({ items, next_cursor: null }, () =>
    items.length === 0
      ? 'No port was given to an environment.'
      : table(
          ['PORT', 'INSIDE', 'ENVIRONMENT', 'STATUS', 'ALLOCATED', 'RELEASED'],
          items.map((port) => [
            String(port.external_port),
            String(port.internal_port),
            port.env_id,
            port.status,
            relativeTime(port.allocated_at),
            relativeTime(port.released_at),
          ]),
        ),
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
  session.answer(platform.settings, () =>
    table(
      ['NAME', 'VALUE', 'SOURCE'],
      platform.settings.map(({ name, value, source }) => [
        name,
        typeof value === 'string' ? value : value === null ? '-' : JSON.stringify(value),
        source,
      ]),
    ),
  );
}

async function whoami(options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const me = await session.client.get<Whoami>(routes.whoami);
  session.answer(me, () =>
    labelled([
      ['account', me.account],
      ['role', me.role],
      ['customer', `${me.customer} (${me.customer_id})`],
    ]),
  );
}
