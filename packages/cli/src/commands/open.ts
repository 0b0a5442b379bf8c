/** `berth open`: an environment in an editor or a browser. */
import { Argument } from 'commander';
import type { Command } from 'commander';
import { links, pathOf, routes } from '@berth/contract/paths';
import type { Environment, Platform } from '@berth/contract';
import { openInBrowser } from '../browser.ts';
import { findEnvironment } from '../environment.ts';
import { CommandFailure, exitCodes, usageFailure } from '../failure.ts';
import { Session, addCommand, say, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import { aliasOf, configFileOf, isConfigured } from '../ssh-config.ts';
import { connectionTo } from '../ssh-client.ts';
import { printable } from '../text.ts';

const targets = ['vscode', 'jetbrains', 'jupyter', 'console'] as const;
type Target = (typeof targets)[number];

const defaultFolder = '/gemini/code';

interface OpenOptions extends CommonOptions {
  print?: true;
  path: string;
  config?: string;
}

export function addOpenCommand(program: Command): void {
  addCommand(program, 'open', 'Open an environment in an editor or a browser', unnamed)
    .addArgument(new Argument('<where>', 'in what').choices(targets))
    .argument('[environment]', 'its name or id; the console needs none')
    .option('--path <folder>', 'the folder to open in an editor', defaultFolder)
    .option('--print', 'only show the address')
    .option('--config <file>', 'the ssh configuration that VS Code reads (default: ~/.ssh/config)')
    .action((where: Target, name: string | undefined, _: object, command: Command) =>
      open(where, name, command.optsWithGlobals()),
    );
}

async function open(where: Target, name: string | undefined, options: OpenOptions): Promise<void> {
  const session = new Session(options);
  const address = await addressFor(session, where, name, options);
  const opened = !options.print && !session.forPrograms && (await openInBrowser(address));
  session.answer({ address }, () => printable(address));
  if (!opened && !options.print && !session.forPrograms) {
    say('No display is here to open it on; open the address where there is one.');
  }
}

async function addressFor(
  session: Session,
  where: Target,
  name: string | undefined,
  options: OpenOptions,
): Promise<string> {
  if (where === 'console') return links.console(await publicUrl(session));
  if (name === undefined) {
    throw usageFailure(`open ${where} needs an environment`, `Name it: berth open ${where} NAME`);
  }
  if (!options.path.startsWith('/')) {
    throw usageFailure(
      `--path is ${JSON.stringify(options.path)}`,
      'It takes an absolute path inside, such as /gemini/code.',
    );
  }
  const environment = await findEnvironment(session.client, name);
  if (where === 'vscode') return vscodeAddress(environment, options);
  if (where === 'jetbrains') {
    const { host, port, username } = await connectionTo(session, name, options);
    const fragment = new URLSearchParams({
      type: 'ssh',
      host,
      port: String(port),
      user: username,
      projectPath: options.path,
      deploy: 'false',
    });
    return `jetbrains-gateway://connect#${fragment}`;
  }
  // A Berth that does not serve it says so, and what to do instead.
  const answer = await session.client.stream(pathOf(routes.jupyter, { id: environment.env_id }), {
    headers: { accept: 'application/problem+json' },
  });
  answer.destroy();
  return environment.jupyter_url;
}

function vscodeAddress(environment: Environment, options: OpenOptions): string {
  if (!isConfigured(configFileOf(options.config), environment)) {
    throw new CommandFailure(
      exitCodes.failed,
      'not_configured',
      `VS Code finds ${environment.name} by its name in the ssh configuration, where it is not`,
      'Put it there with: berth config-ssh',
    );
  }
  const path = options.path.split('/').map(encodeURIComponent).join('/');
  return `vscode://vscode-remote/ssh-remote+${aliasOf(environment)}${path}`;
}

async function publicUrl({ client, place }: Session): Promise<string> {
  if ('url' in place) return place.url.replace(/\/+$/, '');
  const { settings } = await client.get<Platform>(routes.platform);
  const value = (name: string) => settings.find((each) => each.name === name)?.value;
  return String(value('publicUrl') ?? `http://${String(value('http'))}`);
}
