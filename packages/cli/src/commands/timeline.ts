/** `berth events | logs`: what happened to an environment, and what it wrote. */
import type { Command } from 'commander';
import { pathOf, routes } from '@berth/contract/paths';
import type { EnvironmentEvent } from '@berth/contract';
import { linesOf } from '../event-stream.ts';
import { findEnvironment } from '../environment.ts';
import { Session, addCommand, say, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { printable, printableLines, relativeTime, table } from '../text.ts';
import { followEvents, pastEvents } from '../timeline.ts';
import { wholeNumber } from '../units.ts';
import { environmentArgument } from './environments.ts';

interface FollowOptions extends CommonOptions {
  follow?: true;
}

export function addTimelineCommands(program: Command): void {
  addCommand(program, 'events', 'Show what happened to an environment', unnamed)
    .addArgument(environmentArgument())
    .option('-f, --follow', 'and what happens from now on; with --json one document a line')
    .action((name: string, _: object, command: Command) => events(name, command.optsWithGlobals()));

  addCommand(program, 'logs', 'Show what an environment wrote to its log', unnamed)
    .addArgument(environmentArgument())
    .option('--tail <lines>', 'how many of the last lines', wholeNumber({ minimum: 0, maximum: 10_000 }))
    .option('-f, --follow', 'and what it writes from now on; with --json one document a line')
    .action((name: string, _: object, command: Command) => logs(name, command.optsWithGlobals()));
}

async function events(name: string, options: FollowOptions): Promise<void> {
  const session = new Session(options);
  const { env_id: id } = await findEnvironment(session.client, name);
  if (options.follow) {
    const following = followEvents(session.client, id, {
      after: 0,
      signal: new AbortController().signal,
      onInterruption: () => process.stderr.isTTY && say('The connection to Berth broke; trying again.'),
    });
    for await (const event of following) session.line(event, () => eventLine(event));
    say(`${id} is gone.`);
    return;
  }
  const items = await Array.fromAsync(pastEvents(session.client, id));
  session.answer({ items, next_cursor: null }, () =>
    table(
      ['WHEN', 'KIND', 'WHAT'],
      items.map((event) => [relativeTime(event.at), event.kind, event.message]),
    ),
  );
}

function eventLine(event: EnvironmentEvent): string {
  const time = new Date(event.at).toLocaleTimeString('en-GB');
  return `${time}  ${event.kind.padEnd(7)}  ${printable(event.message)}`;
}

async function logs(name: string, options: FollowOptions & { tail?: number }): Promise<void> {
  const session = new Session(options);
  const { env_id: id } = await findEnvironment(session.client, name);
  const stream = await session.client.stream(pathOf(routes.environmentLogs, { id }), {
    query: { tail: options.tail, follow: options.follow },
    headers: { accept: 'text/plain' },
    idleTimeoutMs: 0,
  });
  const lines = linesOf(stream, { withRest: true });
  if (session.forPrograms && !options.follow) {
    session.answer({ lines: await Array.fromAsync(lines) }, () => '');
    return;
  }
  for await (const line of lines) session.line({ line }, () => printableLines(line));
}
