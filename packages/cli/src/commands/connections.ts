/** `berth connections`: who is connected, and who was. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import { loginMethods, waysIn } from '@berth/contract/vocabulary';
import type { Connection, LoginMethod, WayIn } from '@berth/contract';
import { customerId } from '../customer.ts';
import { findEnvironment } from '../environment.ts';
import { addListCommand, answerList } from '../listing.ts';
import type { ListOptions } from '../listing.ts';
import { Session, addCommand, named } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { duration, printable, relativeTime } from '../text.ts';
import { bytesText, moment } from '../units.ts';

interface ConnectionOptions extends ListOptions {
  live?: true;
  ended?: true;
  environment?: string;
  customer?: string;
  account?: string;
  source?: string;
  key?: string;
  method?: LoginMethod;
  way?: WayIn;
  since?: string;
  until?: string;
}

export function addConnectionCommands(program: Command): void {
  const connections = program.command('connections').description('Who is connected by SSH, and who was');
  addListCommand(connections, 'list', 'List who came in, newest first', [...named, 'jsonl'])
    .addOption(new Option('--live', 'only those that are there').conflicts('ended'))
    .option('--ended', 'only those that are over')
    .option(
      '--environment <environment>',
      "only those of the environment of this name or id, or of a deleted one's id",
    )
    .option('--customer <customer>', 'only those of this customer')
    .option('--account <account>', 'only those by a key of this account')
    .option('--source <address>', 'only those from this address')
    .option('--key <fingerprint>', 'only those by this key (SHA256:...)')
    .addOption(new Option('--method <method>', 'only those that logged in so').choices(loginMethods))
    .addOption(new Option('--way <way>', 'only those that came this way').choices(waysIn))
    .option(
      '--since <time>',
      'that were there then or later: a time such as 2026-02-03T04:05:06Z, or a span such as 12h or 7d',
      moment,
    )
    .option('--until <time>', 'that began before', moment)
    .addHelpText('after', '\n-o jsonl writes one JSON document a line, as each page comes.')
    .action((_: object, command: Command) => list(command.optsWithGlobals()));

  addCommand(connections, 'kill', 'End a connection within two seconds')
    .argument('<id>', 'id of the connection, from the list')
    .action((id: string, _: object, command: Command) => kill(id, command.optsWithGlobals()));
}

async function list(options: ConnectionOptions): Promise<void> {
  const session = new Session(options);
  const { live, ended, environment, customer, account, source, key, method, way, since, until, limit } =
    options;
  const customer_id = customer === undefined ? undefined : await customerId(session.client, customer);
  // The history knows environments that are gone.
  const env_id =
    environment === undefined
      ? undefined
      : await findEnvironment(session.client, environment).then(
          (found) => found.env_id,
          () => environment,
        );
  const query = {
    live: live ?? (ended ? false : undefined),
    env_id,
    customer_id,
    account,
    source,
    fingerprint: key,
    method,
    way,
    since,
    until,
  };
  if (session.format === 'jsonl') {
    for await (const connection of session.client.items<Connection>(routes.connections, query, limit))
      session.line(connection, () => '');
    return;
  }
  await answerList<Connection>(session, {
    route: routes.connections,
    query,
    limit,
    columns: {
      ID: ({ id }) => id,
      ENVIRONMENT: ({ env_id }) => env_id,
      WHO: ({ account, key_name, method }) =>
        [account, key_name].filter((each) => each !== null).join(' ') || method,
      FROM: ({ source }) => source,
      WAY: ({ way }) => way,
      SINCE: ({ started_at }) => relativeTime(started_at),
      LASTED: ({ started_at, ended_at }) =>
        ended_at === null
          ? { text: 'live', look: 'green' }
          : duration(Date.parse(ended_at) - Date.parse(started_at)),
      IN: ({ bytes_in }) => bytesText(bytes_in),
      OUT: ({ bytes_out }) => bytesText(bytes_out),
      CHANNELS: ({ channels, open_channels, ended_at }) =>
        ended_at === null ? `${open_channels} of ${channels}` : String(channels),
      CLIENT: ({ client }) => client,
    },
    none: live ? 'Nobody is connected.' : 'Nobody was connected.',
    nameOf: ({ id }) => id,
  });
}

async function kill(id: string, options: CommonOptions): Promise<void> {
  const session = new Session(options);
  const connection = await session.client.delete<Connection>(pathOf(routes.connection, { id }));
  session.answer(
    connection,
    () =>
      connection.ended_at === null
        ? `The connection ${printable(id)} from ${connection.source} to ${connection.env_id} is being ended.`
        : `The connection ${printable(id)} was over already: ${printable(connection.end_reason ?? 'ended')}.`,
    () => id,
  );
}
