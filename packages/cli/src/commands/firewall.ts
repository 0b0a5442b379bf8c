/** `berth firewall`: the rules of this machine for the ports that Berth opens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { Platform } from '@berth/contract';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { firewallRules, portsOf, removalRules, sourcesOf, tableOf } from '../firewall.ts';
import { collect } from '../listing.ts';
import { Session, addCommand, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';

interface FirewallOptions extends CommonOptions {
  source?: string[];
  remove?: true;
}

const about = `
The rules hold on own ports, whoever serves them, and on the shared port, before Docker sends packets on to a
container, for IPv4 and IPv6. What comes from this machine itself gets in. They are a list of the platform's own: allowlists
of customers are not in it, and hold beside it.`;

export function addFirewallCommands(program: Command): void {
  const firewall = program
    .command('firewall')
    .description("This machine's own rules (nftables) for the ports that Berth opens");

  addCommand(firewall, 'print', 'Show the rules; nothing is changed', unnamed)
    .option('--source <network>', 'let this one in; may be repeated', collect)
    .addHelpText(
      'after',
      `${about}\n\nTo keep them: berth firewall print --source ... > /etc/nftables.d/berth.nft`,
    )
    .action((_: object, command: Command) => print(command.optsWithGlobals()));

  addCommand(
    firewall,
    'apply',
    'Put the rules in force in the place of those before, until the machine restarts',
    unnamed,
  )
    .option('--source <network>', 'let this one in; may be repeated', collect)
    .option('--remove', 'take the rules out of force')
    .addHelpText('after', `${about}\n\nIt needs root, and nft. Nobody else's rules are touched.`)
    .action((_: object, command: Command) => apply(command.optsWithGlobals()));
}

async function print(options: FirewallOptions): Promise<void> {
  const sources = sourcesOf(options.source ?? []);
  const session = new Session(options);
  const platform = await session.client.get<Platform>(routes.platform);
  const rules = firewallRules(platform, sources);
  session.answer({ table: tableOf(platform), ports: portsOf(platform), sources, rules }, () =>
    rules.trimEnd(),
  );
}

async function apply(options: FirewallOptions): Promise<void> {
  if (options.remove && options.source !== undefined) {
    throw usageFailure('--remove and --source say two things', 'Leave one of them out.');
  }
  const sources = options.remove ? [] : sourcesOf(options.source ?? []);
  const session = new Session(options);
  if (!('folder' in session.place)) {
    throw usageFailure(
      `The Berth that is asked is ${session.place.url}, and rules are put in force on this machine`,
      'Run it on the machine of that Berth with --data-dir, or take the rules there: berth firewall print',
    );
  }
  if (process.getuid?.() !== 0) {
    throw new CommandFailure(
      exitCodes.notAllowed,
      'forbidden',
      'Only root may change the rules of this machine',
      'Run it with sudo, and with --data-dir where Berth runs as another account.',
    );
  }
  const platform = await session.client.get<Platform>(routes.platform);
  const table = tableOf(platform);
  await nft(options.remove ? removalRules(platform) : firewallRules(platform, sources));
  const ports = portsOf(platform);
  session.answer({ table, ports, sources, in_force: !options.remove }, () =>
    options.remove
      ? `The table inet ${table} is gone: this machine lets everybody to the ports ${ports.join(' and ')}.`
      : `The table inet ${table} is in force: the ports ${ports.join(' and ')} can be reached from ` +
        `${sources.join(', ')} and from this machine only, until it restarts.`,
  );
}

/** @throws CommandFailure with what nft said */
async function nft(rules: string): Promise<void> {
  const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = once(child, 'close') as Promise<[number | null]>;
  child.stdin.on('error', () => undefined).end(rules);
  try {
    const [said, [code]] = await Promise.all([text(child.stderr), ended]);
    if (code === 0) return;
    throw new CommandFailure(
      exitCodes.failed,
      'nft_failed',
      `nft did not take the rules (${said.trim().split('\n')[0] ?? `exit code ${code}`}); those before are in force`,
      'The kernel needs nf_tables with the family inet, sets and fib.',
    );
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(
      exitCodes.failed,
      'no_nft',
      `The program nft cannot be run (${error instanceof Error ? error.message : String(error)})`,
      'Install it; in Debian and Ubuntu: apt-get install nftables',
    );
  }
}
