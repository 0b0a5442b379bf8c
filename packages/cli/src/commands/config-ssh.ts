/** `berth config-ssh`: environments in one's own ssh configuration. */
import { mkdirSync, rmSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { routes } from '@berth/contract/paths';
import type { Environment, SshAccess } from '@berth/contract';
import { firstWay } from '../environment.ts';
import { undefinedIfGone } from '../failure.ts';
import { replaceContent } from '../files.ts';
import { Session, addCommand, unnamed } from '../session.ts';
import type { CommonOptions } from '../session.ts';
import {
  aliasOf,
  changesToRemove,
  changesToWrite,
  configFileOf,
  folderOf,
  isKnown,
  unifiedDiff,
} from '../ssh-config.ts';
import type { Change } from '../ssh-config.ts';
import { sshAccess } from '../ssh-client.ts';
import { printableLines, styled } from '../text.ts';

/** How many environments are asked for at once. */
const concurrency = 8;

interface ConfigOptions extends CommonOptions {
  config?: string;
  dryRun?: true;
  remove?: true;
}

export function addConfigSshCommand(program: Command): void {
  addCommand(program, 'config-ssh', 'Make environments known to ssh, VS Code and rsync by their ids', unnamed)
    .option('--dry-run', 'show what would change, and change nothing')
    .option('--remove', 'take everything out again')
    .option('--config <file>', 'the ssh configuration (default: ~/.ssh/config)')
    .addHelpText(
      'after',
      '\nOne Include line goes to the top of the configuration; the host blocks stand in berth.d/\n' +
        'beside it, with the host keys that Berth gave. Run it again when environments came or went.',
    )
    .action((_: object, command: Command) => configSsh(command.optsWithGlobals()));
}

async function configSsh(options: ConfigOptions): Promise<void> {
  const configFile = configFileOf(options.config);
  const session = options.remove ? undefined : new Session(options);
  const accesses = session === undefined ? [] : await allAccesses(session);
  const changes =
    session === undefined
      ? changesToRemove(configFile)
      : changesToWrite(configFile, session.place.name, accesses);
  if (!options.dryRun) for (const each of changes) apply(each);
  if (!options.dryRun && options.remove) removeEmptyFolder(folderOf(configFile));
  const document = {
    config: configFile,
    dry_run: options.dryRun === true,
    hosts: accesses.filter(isKnown).map(aliasOf),
    changes: changes.map((each) => ({ file: each.file, diff: unifiedDiff(each) })),
  };
  Session.answerOf(options, document, () => {
    if (options.dryRun) {
      return changes.length === 0
        ? 'Nothing would change.'
        : changes.map((each) => coloured(each)).join('\n');
    }
    if (options.remove) {
      return changes.length === 0
        ? 'There was nothing of Berth.'
        : `${configFile} is as it was before Berth.`;
    }
    const count = document.hosts.length;
    const [first] = document.hosts;
    return (
      `${count} ${count === 1 ? 'environment is' : 'environments are'} in ${configFile}` +
      `${changes.length === 0 ? '; nothing had changed' : ''}.` +
      (first === undefined ? '' : `\n\nGet in with: ssh ${first}`)
    );
  });
}

async function allAccesses(session: Session): Promise<SshAccess[]> {
  const environments = (await session.client.all<Environment>(routes.environments)).filter(
    (environment) => firstWay(environment) !== undefined && environment.status !== 'deleting',
  );
  const accesses: SshAccess[] = [];
  const waiting = environments.toSorted((one, other) => (one.env_id < other.env_id ? -1 : 1)).entries();
  const work = async () => {
    for (const [index, { env_id }] of waiting) {
      // One that was deleted meanwhile is left out.
      const access = await sshAccess(session, env_id).catch(undefinedIfGone);
      if (access !== undefined) accesses[index] = access;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return accesses.filter((each) => each !== undefined);
}

function apply({ file, after }: Change): void {
  if (after === null) {
    rmSync(file);
    return;
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  replaceContent(file, after, 0o600);
}

/** One with somebody's own files stays. */
function removeEmptyFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error;
  }
}

function coloured(change: Change): string {
  return printableLines(unifiedDiff(change))
    .split('\n')
    .map((line) => styled(line, line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : 'none'))
    .join('\n');
}
