/** `berth ports`: who holds which port, and who held it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { PortMapping } from '@berth/contract';
import { customerId } from '../customer.ts';
import { findEnvironment } from '../environment.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session } from '../session.ts';
import { relativeTime } from '../text.ts';
import { wholeNumber } from '../units.ts';

interface PortOptions extends ListOptions {
  port?: number;
  status?: PortMapping['status'];
  environment?: string;
  customer?: string;
}

export function addPortCommands(program: Command): void {
  const ports = program.command('ports').description('Ports of environments, and their history');
  addListCommand(ports, 'list', 'List who holds which port, and who held it')
    .option('--port <number>', 'only this one', wholeNumber({ minimum: 1, maximum: 65_535 }))
    .addOption(new Option('--status <status>', 'only these').choices(['active', 'released']))
    .option(
      '--environment <environment>',
      "only those of the environment of this name or id, or of a deleted one's id",
    )
    .option('--customer <customer>', 'only those of this customer')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));
}

async function list(options: PortOptions): Promise<void> {
  const session = new Session(options);
  const { port, status, environment, customer, limit } = options;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  // The history knows environments that are gone.
  const env_id =
    environment === undefined
      ? undefined
      : await findEnvironment(session.client, environment).then(
          (found) => found.env_id,
          () => environment,
        );
  await answerList<PortMapping>(session, {
    route: routes.ports,
    query: { port, status, env_id, customer_id },
    limit,
    columns: {
      PORT: ({ external_port }) => String(external_port),
      INSIDE: ({ internal_port }) => String(internal_port),
      ENVIRONMENT: ({ env_id }) => env_id,
      STATUS: ({ status }) => ({ text: status, look: status === 'active' ? 'green' : 'dim' }),
      ALLOCATED: ({ allocated_at }) => relativeTime(allocated_at),
      RELEASED: ({ released_at }) => relativeTime(released_at),
    },
    none: 'No port was given to an environment.',
    nameOf: ({ external_port }) => String(external_port),
  });
}
